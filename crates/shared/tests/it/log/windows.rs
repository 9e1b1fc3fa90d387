//! What is Windows' own: files that can't be cut or removed while they are mapped, and what can't be tried there.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::log::{Log, Position};

use super::hostile::{log, use_all};
use super::support::{SHORT, folder, payload, read_from, segments};

/// Bytes of each record: three of them fill a segment.
const LEN: usize = 1000;

/// Files that could not be removed when they were to be.
fn put_away(path: &Path) -> usize {
    let names = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("it").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".gone")).count()
}

#[test]
fn a_segment_that_is_removed_stays_for_its_readers_and_no_longer() {
    let dir = folder();
    let mut writer = SHORT.retain_bytes(2 * 8192).open_or_create(dir.path()).expect("a log");
    let mut readers = Vec::new();
    for number in 0..30 {
        writer.append(&payload(number, LEN)).expect("room");
        if number % 3 == 0 {
            readers.push(Log::open(dir.path()).expect("it").reader(Position::End).expect("the end"));
        }
    }
    assert_eq!(segments(dir.path()).len(), 2);
    let info = Log::open(dir.path()).expect("it").info().expect("whole");
    for (reader, first) in readers.iter_mut().zip((1..).step_by(3)) {
        // The rest of its own segment, and then the oldest one.
        for number in first..first + 2 {
            let record = reader.try_next().expect("whole").expect("it is there");
            assert_eq!((record.sequence(), record.to_vec().expect("it is mapped")), (number, payload(number, LEN)));
        }
        match reader.try_next() {
            Ok(record) => assert!(record.is_none_or(|record| record.sequence() >= info.first_sequence)),
            Err(Error::Lagged { missed, .. }) => assert_eq!(first + 2 + missed, info.first_sequence),
            Err(error) => panic!("{error}"),
        }
    }
    drop((readers, writer));
    drop(SHORT.open(dir.path()).expect("nobody else has it"));
    assert_eq!(put_away(dir.path()), 0);
    assert_eq!(read_from(dir.path(), Position::Start).first().map(|first| first.0), Some(info.first_sequence));
}

#[test]
fn a_reader_whose_segment_and_log_are_gone_is_told_as_soon_as_it_waits() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append(b"last words").expect("room");
    let mut reader = Log::open(dir.path()).expect("it").reader(Position::Start).expect("the start");
    drop(writer);
    // What this library does with a file that can't be removed.
    let segment = &segments(dir.path())[0];
    fs::rename(segment, segment.with_extension("segment.0.gone")).expect("a mapped file may get another name");
    let mut buffer = Vec::new();
    assert_eq!(reader.read(&mut buffer, None).map(|entry| entry.sequence).ok(), Some(0));
    assert!(matches!(reader.read(&mut buffer, Some(Duration::from_secs(60))), Err(Error::Closed { .. })));
}

#[test]
fn a_segment_that_is_used_cannot_be_cut_and_can_be_when_it_is_not() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append(&payload(0, LEN)).expect("room");
    let file = File::options().write(true).open(&segments(dir.path())[0]).expect("a file");
    file.set_len(5000).expect_err("the writer has it mapped");
    assert_eq!(writer.append(&payload(1, LEN)).expect("room"), 1);
    drop(writer);
    file.set_len(5000).expect("nobody has it mapped");
    assert!(matches!(SHORT.open(dir.path()), Err(Error::Corrupt { .. })));
}

#[test]
fn folders_instead_of_files_are_errors() {
    for name in ["lock", "00000000000000000000.segment", "00000000000000000006.segment"] {
        let log = log();
        let path = log.path().join(name);
        fs::remove_file(&path).expect("it is there");
        fs::create_dir(&path).expect("room");
        assert!(matches!(SHORT.open(log.path()), Err(Error::Foreign { .. })), "{name}");
        use_all(log.path());
    }
}
