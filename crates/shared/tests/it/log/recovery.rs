//! What the next writer makes of what a death has left, byte by byte.

use std::fs;
use std::path::Path;

use mapio_shared::Error;
use mapio_shared::log::{Durability, Log, Options, Position, RepairMode};

use super::support::{HEAD, HEADER, SHORT, copy_of, folder, offsets, payload, read_from, segments};

const LENS: [usize; 6] = [10, 0, 200, 7, 64, 33];

/// A log with a record of each length, of a writer with these options; as it was before the writer has closed it.
fn log_of(options: Options) -> tempfile::TempDir {
    let dir = folder();
    let mut writer = options.open_or_create(dir.path()).expect("a log");
    for (&len, number) in LENS.iter().zip(0..) {
        writer.append(&payload(number, len)).expect("room");
    }
    copy_of(dir.path())
}

/// The first `count` records are there, and no others; and the log goes on behind them.
fn assert_goes_on_after(path: &Path, count: usize, case: &str) {
    let mut writer = SHORT.open(path).unwrap_or_else(|error| panic!("{case}: {error}"));
    let next = u64::try_from(count).expect("few");
    assert_eq!(writer.next_sequence(), next, "{case}");
    // Long enough to reach over whatever was behind the end.
    for number in next..next + 3 {
        assert_eq!(writer.append(&payload(number, 300)).expect("room"), number, "{case}");
    }
    let mut expected: Vec<_> =
        LENS[..count].iter().zip(0..).map(|(&len, number)| (number, payload(number, len))).collect();
    expected.extend((next..next + 3).map(|number| (number, payload(number, 300))));
    assert_eq!(read_from(path, Position::Start), expected, "{case}");
}

#[test]
fn a_last_record_of_which_bytes_are_missing_is_not_there_and_is_made_again() {
    let log = log_of(SHORT);
    let file = &segments(log.path())[0];
    let whole = fs::read(file).expect("a segment");
    let last = *offsets(&whole).last().expect("records");
    let end = last + HEAD + LENS[LENS.len() - 1];
    for cut in last..end {
        // The first bytes are there and the rest is not; or the other way round, as pages may be written.
        for (case, range) in [("tail", cut..end), ("head", last..cut + 1)] {
            let mut bytes = whole.clone();
            bytes[range.clone()].fill(0);
            let is_whole = bytes == whole;
            fs::write(file, &bytes).expect("room");
            let count = if is_whole { LENS.len() } else { LENS.len() - 1 };
            assert_goes_on_after(log.path(), count, &format!("{case} {range:?}"));
        }
    }
}

#[test]
fn any_changed_byte_ends_the_log_before_its_record() {
    let log = log_of(SHORT);
    let file = &segments(log.path())[0];
    let whole = fs::read(file).expect("a segment");
    let starts = offsets(&whole);
    assert_eq!(starts.len(), LENS.len());
    for (count, (&start, &len)) in starts.iter().zip(&LENS).enumerate() {
        for at in start..start + HEAD + len {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(file, &bytes).expect("room");
            let verified = Log::open(log.path()).expect("it").verify().expect("readable");
            assert_eq!(verified.damage.len(), 1, "byte {at}: {verified:?}");
            assert_eq!(verified.damage[0].offset, u64::try_from(start).expect("small"), "byte {at}");
            let mut reader = Log::open(log.path()).expect("it").reader(Position::Start).expect("the start");
            let read = reader.records().filter(Result::is_ok).count();
            assert_eq!(read, count, "byte {at}");
            assert!(matches!(reader.try_next(), Err(Error::Corrupt { .. })), "byte {at}");
            assert_goes_on_after(log.path(), count, &format!("byte {at}"));
        }
    }
}

#[test]
fn damage_in_what_was_flushed_is_an_error_until_it_is_repaired() {
    let dir = folder();
    let mut writer = SHORT.durability(Durability::Always).open_or_create(dir.path()).expect("a log");
    for (&len, number) in LENS.iter().zip(0..) {
        writer.append(&payload(number, len)).expect("room");
    }
    writer.close().expect("a disk");
    let file = &segments(dir.path())[0];
    let whole = fs::read(file).expect("a segment");
    let starts = offsets(&whole);
    for (count, &start) in starts.iter().enumerate() {
        // The number is followed even where the checksum is not looked at.
        let mut bytes = whole.clone();
        bytes[start + 8] ^= 1;
        fs::write(file, &bytes).expect("room");
        match SHORT.open(dir.path()) {
            Err(Error::Corrupt { offset, .. }) => assert_eq!(offset, u64::try_from(start).expect("small")),
            other => panic!("{other:?}"),
        }
        let planned = Log::repair(dir.path(), RepairMode::DryRun).expect("damage is no error");
        assert_eq!(fs::read(file).expect("it"), bytes, "a dry run changes nothing");
        assert_eq!(Log::repair(dir.path(), RepairMode::Cut).expect("damage is no error"), planned);
        let cut = planned.recovery.cut.expect("it was damaged");
        assert_eq!(
            (cut.offset, planned.records),
            (u64::try_from(start).expect("small"), u64::try_from(count).expect("few"))
        );
        assert_goes_on_after(dir.path(), count, &format!("record {count}"));
    }
}

#[test]
fn a_batch_that_is_not_whole_is_not_there_at_all() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append(&payload(0, LENS[0])).expect("room");
    writer.append_batch(&[payload(1, 50), payload(2, 60), payload(3, 70)]).expect("room");
    let log = copy_of(dir.path());
    let file = &segments(log.path())[0];
    let whole = fs::read(file).expect("a segment");
    let starts = offsets(&whole);
    for (range, count) in [
        (starts[1]..starts[1] + 8, 1),
        (starts[2]..starts[2] + 8, 1),
        (starts[3]..starts[3] + 8, 1),
        (starts[3] + 40..starts[3] + 50, 1),
        (starts[2]..starts[3] + 110, 1),
        // A neighbour that was never written, without the batch.
        (starts[3] + 200..starts[3] + 210, 4),
    ] {
        let mut bytes = whole.clone();
        bytes[range.clone()].fill(0);
        fs::write(file, &bytes).expect("room");
        let mut reader = Log::open(log.path()).expect("it").reader(Position::Start).expect("the start");
        assert_eq!(reader.records().filter(Result::is_ok).count(), count, "{range:?}: no part of a batch is shown");
        let verified = Log::open(log.path()).expect("it").verify().expect("readable");
        let is_torn = count == 1 && range != (starts[1]..starts[1] + 8);
        assert_eq!(
            (verified.records, verified.damage.len()),
            (u64::try_from(count).expect("few"), usize::from(is_torn)),
            "{range:?}"
        );
        if count == 1 {
            assert_goes_on_after(log.path(), 1, &format!("{range:?}"));
        } else {
            assert_eq!(SHORT.open(log.path()).expect("whole").next_sequence(), 4);
        }
    }
}

/// Three segments: what is lost in the middle takes everything behind it along.
#[test]
fn segments_behind_a_cut_are_set_aside() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    for number in 0..9 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    let log = copy_of(dir.path());
    let files = segments(log.path());
    assert_eq!(files.len(), 3);
    let mut bytes = fs::read(&files[1]).expect("a segment");
    bytes[HEADER + 1032 + 500] ^= 1;
    fs::write(&files[1], &bytes).expect("room");
    let writer = SHORT.open(log.path()).expect("what was not flushed may be missing");
    let lost = format!("{}.lost", files[2].display());
    assert_eq!(writer.recovery().lost_segments, std::slice::from_ref(&lost));
    let cut = writer.recovery().cut.clone().expect("it was cut");
    assert_eq!((cut.file, cut.offset), (files[1].display().to_string(), 4096 + 1032));
    assert_eq!(writer.next_sequence(), 4);
    assert!(fs::exists(&lost).expect("a folder") && !fs::exists(&files[2]).expect("a folder"));
    drop(writer);
    assert!(SHORT.open(log.path()).expect("it").recovery().cut.is_none(), "once is enough");
    assert_eq!(read_from(log.path(), Position::Start).len(), 4);
}

#[test]
fn a_segment_that_was_made_but_not_begun_is_gone_on_with() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    for number in 0..3 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    let before = fs::read(&segments(dir.path())[0]).expect("a segment");
    writer.append(&payload(3, 1000)).expect("room");
    drop(writer);
    let log = copy_of(dir.path());
    let files = segments(log.path());
    // As it was before the end record was stored, and before the first record of the new one.
    fs::write(&files[0], before).expect("room");
    let mut second = fs::read(&files[1]).expect("a segment");
    second[HEADER..].fill(0);
    fs::write(&files[1], second).expect("room");
    assert_eq!(read_from(log.path(), Position::Start).len(), 3);
    let mut writer = SHORT.open(log.path()).expect("whole");
    assert_eq!(writer.recovery().cut, None);
    assert_eq!(writer.append(&payload(3, 5)).expect("room"), 3);
    assert_eq!(segments(log.path()).len(), 2);
    assert_eq!(read_from(log.path(), Position::Start).len(), 4);
    // And one that ends, though no other follows.
    drop(writer);
    fs::remove_file(&files[1]).expect("it is there");
    let mut reader = Log::open(log.path()).expect("it").reader(Position::End).expect("the end");
    let mut writer = SHORT.open(log.path()).expect("whole");
    assert_eq!(writer.append(b"again").expect("room"), 3);
    assert_eq!(reader.try_next().expect("whole").map(|record| record.sequence()), Some(3));
}

#[test]
fn what_a_writer_left_behind_the_end_is_never_taken_for_records() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append_batch(&[payload(0, 40), payload(1, 40), payload(2, 40)]).expect("room");
    drop(writer);
    let log = copy_of(dir.path());
    let file = &segments(log.path())[0];
    let mut bytes = fs::read(file).expect("a segment");
    // The writer has died before it has published the first one: the others are complete.
    bytes[HEADER..HEADER + 8].fill(0);
    fs::write(file, &bytes).expect("room");
    let mut writer = SHORT.open(log.path()).expect("whole");
    assert!(writer.recovery().cut.is_none());
    assert_eq!(writer.append(&payload(0, 40)).expect("room"), 0);
    assert_eq!(read_from(log.path(), Position::Start), [(0, payload(0, 40))]);
    drop(writer);
    let bytes = fs::read(file).expect("a segment");
    assert!(bytes[HEADER + 72..].iter().all(|&byte| byte == 0));
}

/// More segments than a process may have files open, none of them ever flushed.
#[test]
fn a_log_of_more_segments_than_may_be_open_is_recovered_and_repaired() {
    let log = folder();
    let mut writer = SHORT.open_or_create(log.path()).expect("a log");
    let count = 1200u64;
    for number in 0..count {
        writer.append(&payload(number, 4000)).expect("room");
    }
    drop(writer);
    assert_eq!(segments(log.path()).len(), 1200);
    assert_eq!(SHORT.open(log.path()).expect("whole").next_sequence(), count);
    assert_eq!(Log::repair(log.path(), RepairMode::Cut).expect("whole").records, count);
    let writer = SHORT.durability(Durability::Always).open(log.path()).expect("whole");
    let info = Log::open(log.path()).expect("it").info().expect("whole");
    assert!(info.segments.iter().all(|segment| segment.flushed_bytes > 8000), "all that was found was flushed");
    drop(writer);
}

#[test]
fn a_log_without_a_usable_first_segment_is_set_aside_as_a_whole() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    for number in 0..9 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    drop(writer);
    let first = &segments(dir.path())[0];
    let mut bytes = fs::read(first).expect("a segment");
    bytes[40] ^= 1;
    fs::write(first, bytes).expect("room");
    assert!(matches!(SHORT.open(dir.path()), Err(Error::Corrupt { .. })));
    let repaired = Log::repair(dir.path(), RepairMode::Cut).expect("damage is no error");
    assert_eq!((repaired.records, repaired.next_sequence, repaired.recovery.lost_segments.len()), (0, 0, 3));
    assert!(segments(dir.path()).is_empty());
    assert_eq!(SHORT.open_or_create(dir.path()).expect("a new log").append(b"first").expect("room"), 0);
}
