//! Files that somebody else has written to or replaced: errors, and never a crash, a hang or a wrong record.

use std::fs::{self, File};
use std::path::Path;

use mapio_shared::Error;
use mapio_shared::log::{Log, Position, RepairMode};
use mapio_testkit::FileAt;
use proptest::prelude::*;

use super::support::{HEADER, SHORT, copy_of, folder, payload, read_from, segments};

/// A log of three segments, nine records, with an index.
pub(crate) fn log() -> tempfile::TempDir {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    for number in 0..9 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    copy_of(dir.path())
}

/// Does everything that can be done to a log. Whatever is read must be a record.
pub(crate) fn use_all(path: &Path) {
    let Ok(log) = Log::open(path) else { return };
    for position in [Position::Start, Position::End, Position::Sequence(5), Position::Time(1)] {
        let Ok(mut reader) = log.reader(position) else { continue };
        let mut count = 0;
        while let Ok(Some(record)) = reader.try_next() {
            assert_eq!(record.to_vec().expect("it is there"), payload(record.sequence(), 1000));
            count += 1;
        }
        assert!(count <= 9, "{count} records of 9");
    }
    let _ = log.info();
    let _ = log.verify();
    let _ = Log::repair(path, RepairMode::DryRun);
    if let Ok(mut writer) = SHORT.open(path) {
        let next = writer.next_sequence();
        assert_eq!(writer.append(b"more").expect("room"), next);
    }
    let _ = Log::repair(path, RepairMode::Cut);
    assert!(Log::open(path).is_err() || log.verify().is_ok_and(|found| found.damage.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_over_any_file_make_errors_and_nothing_else(
        file in 0..6usize,
        at in prop_oneof![0..200u64, 4000..8192u64],
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 1..40),
            prop::collection::vec(Just(0u8), 1..3000),
            prop::collection::vec(Just(0xFFu8), 1..3000),
        ],
        len in prop::option::of(0..20_000u64),
    ) {
        let log = log();
        let entries = fs::read_dir(log.path()).expect("a folder");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("it").path()).collect();
        files.sort();
        let chosen = File::options().write(true).open(&files[file % files.len()]).expect("a file");
        chosen.write_all_at(&bytes, at).expect("room");
        if let Some(len) = len {
            chosen.set_len(len).expect("room");
        }
        use_all(log.path());
    }

    #[test]
    fn files_of_random_bytes_are_no_log(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let log = log();
        for file in segments(log.path()) {
            fs::write(file, &bytes).expect("room");
        }
        prop_assert!(SHORT.open(log.path()).is_err());
        use_all(log.path());
    }
}

#[test]
fn segments_of_another_log_are_told_from_its_own() {
    let (one, other) = (log(), log());
    let (ours, theirs) = (segments(one.path()), segments(other.path()));
    fs::copy(&theirs[1], &ours[1]).expect("room");
    let mut reader = Log::open(one.path()).expect("it").reader(Position::Start).expect("the start");
    assert_eq!(reader.records().filter(Result::is_ok).count(), 3);
    assert!(matches!(reader.try_next(), Err(Error::Foreign { .. })));
    assert!(matches!(SHORT.open(one.path()), Err(Error::Foreign { .. })));
    // Records that were copied there are not believed, either.
    let header = fs::read(&ours[2]).expect("a segment");
    let mut forged = fs::read(&theirs[2]).expect("a segment");
    forged[..HEADER].copy_from_slice(&header[..HEADER]);
    fs::write(&ours[2], forged).expect("room");
    let mut reader = Log::open(one.path()).expect("it").reader(Position::Sequence(6)).expect("a position");
    assert!(matches!(reader.try_next(), Err(Error::Corrupt { .. })));
    let repaired = Log::repair(one.path(), RepairMode::Cut).expect("damage is no error");
    assert_eq!((repaired.records, repaired.recovery.lost_segments.len()), (3, 2));
    assert_eq!(read_from(one.path(), Position::Start).len(), 3);
}
