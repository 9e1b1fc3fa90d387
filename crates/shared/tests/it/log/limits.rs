//! Full disks, read-only folders, failing flushes, lost power: by small file systems and strace(1).

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::log::{Durability, Log, Options, Position};
use mapio_testkit::{Injection, Peer, SmallFs, skip};

use super::support::{SHORT, payload, read_from, segments};

#[test]
fn a_full_disk_is_an_error_before_anything_is_there_and_no_more_when_there_is_room() {
    let test = "log::limits::a_full_disk_is_an_error_before_anything_is_there_and_no_more_when_there_is_room";
    let made = [("tmpfs", SmallFs::tmpfs(1 << 20)), ("ext4", SmallFs::ext4(16 << 20))];
    for (name, fs) in made {
        let fs = match fs {
            Ok(fs) => fs,
            Err(error) => {
                skip(test, &format!("no {name}: {error}"));
                continue;
            }
        };
        let path = fs.path().join("log");
        let options = Options::new().segment_bytes(128 << 10);
        let mut writer = options.create(&path).expect("room for one");
        let record = [7; 10_000];
        let mut count = 0;
        let error = loop {
            match writer.append(&record) {
                Ok(sequence) => assert_eq!(sequence, count),
                Err(error) => break error,
            }
            count += 1;
        };
        match &error {
            Error::Os { source, .. } => assert_eq!(source.kind(), ErrorKind::StorageFull, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        assert!(count > 20, "{name}: {count}");
        assert_eq!(writer.append(&record).map_err(|error| error.to_string()), Err(error.to_string()), "{name}: again");
        assert_eq!(writer.next_sequence(), count);
        assert_eq!(read_from(&path, Position::Start).len(), usize::try_from(count).expect("few"), "{name}");
        // What fits into the segment still does, and with a segment less so does the rest.
        drop(writer);
        let mut writer = options.retain_bytes(256 << 10).open(&path).expect("it");
        for number in count..count + 30 {
            assert_eq!(writer.append(&record).expect("room"), number, "{name}");
        }
        assert!(Log::open(&path).expect("it").verify().expect("readable").damage.is_empty(), "{name}");
    }
}

#[test]
fn a_folder_and_a_user_that_may_only_read_can() {
    let test = "log::limits::a_folder_and_a_user_that_may_only_read_can";
    let fs = match SmallFs::tmpfs(1 << 20) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("no tmpfs: {error}")),
    };
    let mut writer = SHORT.create(fs.path().join("log")).expect("a log");
    for number in 0..10 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    drop(writer);
    let mut mount = std::process::Command::new("mount");
    let remounted = mount.args(["-o", "remount,ro"]).arg(fs.path()).uid(0).status();
    if !remounted.is_ok_and(|status| status.success()) {
        return skip(test, "it could not be made read-only");
    }
    let path = fs.path().join("log");
    assert_eq!(read_from(&path, Position::Start).len(), 10);
    let log = Log::open(&path).expect("it");
    assert!(log.verify().expect("readable").damage.is_empty());
    assert!(!log.info().expect("readable").has_writer);
    match SHORT.open(&path) {
        Err(Error::Os { source, .. }) => assert_eq!(source.kind(), ErrorKind::ReadOnlyFilesystem),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_log_whose_flush_has_failed_takes_no_more_until_it_is_opened_again() {
    let test = "log::limits::a_log_whose_flush_has_failed_takes_no_more_until_it_is_opened_again";
    let mut writer = None;
    // `open DIR`, `append`: answers the sequence number, or the error.
    let mut peer = Peer::start(test, move |request| {
        let answer = match request.split_once(' ') {
            Some((_, path)) => {
                drop(writer.take());
                SHORT.durability(Durability::Always).open_or_create(path).map(|opened| {
                    let next = opened.next_sequence();
                    writer = Some(opened);
                    next
                })
            }
            None => writer.as_mut().expect("it was opened").append(b"record"),
        };
        answer.map_or_else(|error| format!("{error:?}"), |number| number.to_string())
    });
    let dir = tempfile::tempdir().expect("a folder");
    let open = format!("open {}", dir.path().display());
    assert_eq!(peer.ask(&open), "0");
    assert_eq!(peer.ask("append"), "0");
    let injection = match Injection::attach(peer.id(), "fdatasync", &["fdatasync:error=EIO:when=1"]) {
        Ok(injection) => injection,
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
    };
    assert!(peer.ask("append").starts_with("Os {"));
    for _ in 0..2 {
        assert!(peer.ask("append").starts_with("Failed {"));
    }
    drop(injection);
    // The record was published; a machine that dies now might lose it. Opening again brings it to the disk.
    assert_eq!(peer.ask(&open), "2");
    assert_eq!(peer.ask("append"), "2");
    assert_eq!(read_from(dir.path(), Position::Start).len(), 3);
}

/// The new segment may be there after the next death or not, so no record may get a number that would be in it.
#[test]
fn a_log_whose_new_segment_may_lose_its_name_takes_no_more_until_it_is_opened_again() {
    let test = "log::limits::a_log_whose_new_segment_may_lose_its_name_takes_no_more_until_it_is_opened_again";
    let mut writer = None;
    // `open DIR`, then lengths.
    let mut peer = Peer::start(test, move |request| {
        let answer = match request.split_once(' ') {
            Some((_, path)) => {
                drop(writer.take());
                SHORT.open_or_create(path).map(|opened| writer.insert(opened).next_sequence())
            }
            None => writer.as_mut().expect("it was opened").append(&vec![7; request.parse().expect("a length")]),
        };
        answer.map_or_else(|error| format!("{error:?}"), |number| number.to_string())
    });
    let dir = tempfile::tempdir().expect("a folder");
    let open = format!("open {}", dir.path().display());
    assert_eq!((peer.ask(&open), peer.ask("3000")), ("0".to_owned(), "0".to_owned()));
    // The first is the new file's, the second the folder's.
    let injection = match Injection::attach(peer.id(), "fsync", &["fsync:error=EIO:when=2"]) {
        Ok(injection) => injection,
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
    };
    assert!(peer.ask("3000").starts_with("Os {"));
    assert_eq!(segments(dir.path()).len(), 2);
    // There would be room in the old one.
    assert!(peer.ask("10").starts_with("Failed {"));
    drop(injection);
    assert_eq!((peer.ask(&open), peer.ask("10")), ("1".to_owned(), "1".to_owned()));
    assert_eq!((read_from(dir.path(), Position::Start).len(), segments(dir.path()).len()), (2, 2));
    assert!(Log::open(dir.path()).expect("it").verify().expect("readable").damage.is_empty());
}

#[test]
fn an_interval_flushes_without_further_appends_and_tells_of_an_error() {
    let test = "log::limits::an_interval_flushes_without_further_appends_and_tells_of_an_error";
    let mut writer = None;
    let mut peer = Peer::start(test, move |request| match request.split_once(' ') {
        Some((_, path)) => {
            let options = SHORT.durability(Durability::Interval(Duration::from_millis(1)));
            writer = Some(options.open_or_create(path).expect("a log"));
            String::new()
        }
        None => {
            let appended = writer.as_mut().expect("it was opened").append(b"record");
            appended.map_or_else(|error| format!("{error:?}"), |number| number.to_string())
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    peer.ask(&format!("open {}", dir.path().display()));
    assert_eq!(peer.ask("append"), "0");
    let log = Log::open(dir.path()).expect("it");
    let flushed = |at_least: u64| {
        let start = std::time::Instant::now();
        while log.info().expect("whole").segments[0].flushed_bytes < at_least {
            assert!(start.elapsed() < Duration::from_secs(60), "it is never flushed");
            std::thread::yield_now();
        }
    };
    flushed(4096 + 40);
    let injection = match Injection::attach(peer.id(), "fdatasync", &["fdatasync:error=EIO"]) {
        Ok(injection) => injection,
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
    };
    let start = std::time::Instant::now();
    loop {
        let answer = peer.ask("append");
        if answer.starts_with("Os {") {
            break;
        }
        assert!(answer.parse::<u64>().is_ok(), "{answer}");
        assert!(start.elapsed() < Duration::from_secs(60), "the error is never told");
    }
    assert!(peer.ask("append").starts_with("Failed {"));
    drop(injection);
}

#[test]
fn a_log_that_has_lost_power_holds_every_record_that_was_flushed() {
    let test = "log::limits::a_log_that_has_lost_power_holds_every_record_that_was_flushed";
    let fs = match SmallFs::ext4(16 << 20) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("no ext4: {error}")),
    };
    let path = fs.path().join("log");
    for round in 0..4u64 {
        let durability = if round.is_multiple_of(2) { Durability::Always } else { Durability::Kernel };
        let mut writer =
            Options::new().segment_bytes(64 << 10).durability(durability).open_or_create(&path).expect("it");
        let first = writer.next_sequence();
        assert!(first >= round * 20, "round {round}: {first}");
        for number in first..first + 20 {
            writer.append(&payload(number, 5000)).expect("room");
        }
        if durability == Durability::Kernel {
            writer.flush().expect("a disk");
            for number in first + 20..first + 40 {
                writer.append(&payload(number, 5000)).expect("room");
            }
        }
        drop(writer);
        if let Err(error) = fs.lose_power() {
            return skip(test, &format!("it can't lose its power: {error}"));
        }
        let writer = SHORT.open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(writer.next_sequence() >= first + 20, "round {round}: {:?}", writer.recovery());
        let read = read_from(&path, Position::Start);
        assert_eq!(u64::try_from(read.len()).expect("few"), writer.next_sequence(), "round {round}");
        assert!(read.iter().all(|(number, bytes)| *bytes == payload(*number, 5000)), "round {round}");
    }
    assert!(segments(&path).len() > 2);
}

#[test]
fn a_long_record_that_could_not_be_written_leaves_nothing_behind() {
    let test = "log::limits::a_long_record_that_could_not_be_written_leaves_nothing_behind";
    let mut writer = None;
    // `open DIR`, then lengths.
    let mut peer = Peer::start(test, move |request| match request.split_once(' ') {
        Some((_, path)) => {
            writer = Some(Options::new().segment_bytes(256 << 10).open_or_create(path).expect("a log"));
            String::new()
        }
        None => {
            let appended = writer.as_mut().expect("it was opened").append(&vec![7; request.parse().expect("a length")]);
            appended.map_or_else(|error| format!("{error:?}"), |number| number.to_string())
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    peer.ask(&format!("open {}", dir.path().display()));
    assert_eq!(peer.ask("40000"), "0");
    let injection = match Injection::attach(peer.id(), "pwritev", &["pwritev:error=ENOSPC:when=1"]) {
        Ok(injection) => injection,
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
    };
    assert!(peer.ask("40000").starts_with("Os {"));
    assert_eq!(peer.ask("100"), "1");
    assert_eq!(peer.ask("40000"), "2");
    drop(injection);
    let lens: Vec<_> = read_from(dir.path(), Position::Start).into_iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lens, [40_000, 100, 40_000]);
}
