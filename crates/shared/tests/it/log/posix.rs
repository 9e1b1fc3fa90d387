//! What Linux lets others do with files that are used: links and pipes in their places, cutting, removing them.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::log::{Log, Position};
use mapio_testkit::bus_errors_tell_where;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::hostile::{log, use_all};
use super::support::{SHORT, folder, payload, segments};

#[test]
fn links_pipes_and_folders_instead_of_files_are_errors_and_nothing_waits_for_them() {
    let replace: [fn(&Path, &Path); 3] = [
        |path, elsewhere| symlink(elsewhere, path).expect("room"),
        |path, _| mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room"),
        |path, _| fs::create_dir(path).expect("room"),
    ];
    for (kind, replace) in replace.iter().enumerate() {
        for name in ["lock", "00000000000000000000.segment", "00000000000000000006.segment"] {
            let (log, elsewhere) = (log(), tempfile::NamedTempFile::new().expect("room"));
            let path = log.path().join(name);
            fs::remove_file(&path).expect("it is there");
            replace(&path, elsewhere.path());
            assert!(SHORT.open(log.path()).is_err(), "{kind}: {name}");
            use_all(log.path());
            assert_eq!(elsewhere.as_file().metadata().expect("it").len(), 0, "{kind}: {name}");
        }
    }
}

#[test]
fn a_segment_that_is_cut_while_it_is_used_is_an_error_for_everybody() {
    if !bus_errors_tell_where("log::posix::a_segment_that_is_cut_while_it_is_used_is_an_error_for_everybody") {
        return;
    }
    for len in [0, 100, 4096, 5000] {
        let dir = folder();
        let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
        for number in 0..2 {
            writer.append(&payload(number, 1000)).expect("room");
        }
        let mut reader = Log::open(dir.path()).expect("it").reader(Position::Start).expect("the start");
        let file = &segments(dir.path())[0];
        File::options().write(true).open(file).expect("a file").set_len(len).expect("room");
        let mut buffer = Vec::new();
        let read = loop {
            match reader.read(&mut buffer, Some(Duration::from_secs(60))) {
                Ok(entry) => assert_eq!(buffer, payload(entry.sequence, 1000)),
                Err(error) => break error,
            }
        };
        assert!(matches!(read, Error::Fault { .. } | Error::Corrupt { .. }), "{len}: {read}");
        assert!(read.to_string().contains("00000000000000000000.segment"), "{len}: {read}");
        if len <= 4096 {
            let appended = writer.append(&[1; 10]);
            assert!(matches!(appended, Err(Error::Fault { .. })), "{len}: {appended:?}");
            assert!(matches!(writer.append(&[1; 10]), Err(Error::Failed { .. })));
        }
        drop(writer);
        assert!(matches!(SHORT.open(dir.path()), Err(Error::Corrupt { .. })), "{len}");
    }
}

#[test]
fn a_log_that_is_removed_is_closed_for_its_readers() {
    let dir = folder();
    let path = dir.path().join("log");
    let mut writer = SHORT.create(&path).expect("a log");
    writer.append(b"last words").expect("room");
    let mut reader = Log::open(&path).expect("it").reader(Position::Start).expect("the start");
    drop(writer);
    fs::remove_dir_all(&path).expect("it is there");
    let mut buffer = Vec::new();
    assert_eq!(reader.read(&mut buffer, None).map(|entry| entry.sequence).ok(), Some(0));
    assert!(matches!(reader.read(&mut buffer, Some(Duration::from_secs(60))), Err(Error::Closed { .. })));
}
