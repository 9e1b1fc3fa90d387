//! A log does what a list does that loses its oldest entries.

use std::path::Path;
use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::log::{Durability, Log, Options, Position, Reader, RepairMode, Writer};
use proptest::prelude::*;

use super::support::{SHORT, folder, payload, read_from, segments};

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Batch(Vec<usize>),
    Flush,
    Reopen(usize),
    Follow,
    ReadFrom(u64),
    ReadSince(usize),
}

const DURABILITIES: [Durability; 3] =
    [Durability::Kernel, Durability::Always, Durability::Interval(Duration::from_millis(1))];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || prop_oneof![Just(0usize), 0..20usize, 0..700usize, Just(4096 - 64), Just(4096 - 63)];
    let step = prop_oneof![
        8 => len().prop_map(Step::Append),
        3 => prop::collection::vec(0..300usize, 0..8).prop_map(Step::Batch),
        1 => Just(Step::Flush),
        1 => (0..DURABILITIES.len()).prop_map(Step::Reopen),
        3 => Just(Step::Follow),
        1 => (0..60u64).prop_map(Step::ReadFrom),
        1 => (0..60usize).prop_map(Step::ReadSince),
    ];
    prop::collection::vec(step, 1..60)
}

/// A log beside what it should hold.
struct Pair<'a> {
    path: &'a Path,
    options: Options,
    writer: Option<Writer>,
    /// All that was appended, by sequence number.
    all: Vec<Vec<u8>>,
    /// Follows from the beginning.
    follower: Reader,
}

impl<'a> Pair<'a> {
    fn new(path: &'a Path, options: Options) -> Self {
        let writer = options.create(path).expect("a log");
        let follower = Log::open(path).expect("it").reader(Position::Start).expect("the start");
        Self { path, options, writer: Some(writer), all: Vec::new(), follower }
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("it is open")
    }

    fn next(&self) -> u64 {
        u64::try_from(self.all.len()).expect("few")
    }

    fn oldest(&self) -> u64 {
        Log::open(self.path).expect("it").info().expect("whole").first_sequence
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(len) => self.append(*len),
            Step::Batch(lens) => self.append_batch(lens),
            Step::Flush => self.writer().flush().expect("a disk"),
            Step::Reopen(durability) => {
                self.writer.take().expect("it is open").close().expect("a disk");
                self.options = self.options.durability(DURABILITIES[*durability]);
                let writer = self.options.open(self.path).expect("nobody else has it");
                assert_eq!((writer.next_sequence(), writer.recovery().cut.as_ref()), (self.next(), None));
                self.writer = Some(writer);
            }
            Step::Follow => self.follow(),
            Step::ReadFrom(sequence) => self.read_from(*sequence),
            Step::ReadSince(record) => self.read_since(*record),
        }
    }

    fn append(&mut self, len: usize) {
        let (next, bytes) = (self.next(), payload(self.next(), len));
        match self.writer().append(&bytes) {
            Ok(sequence) => {
                assert_eq!(sequence, next);
                self.all.push(bytes);
            }
            Err(Error::TooLong { len: said, most, .. }) => {
                assert!((said, most) == (4033, 4032) && len == 4033, "{said} {most}");
                assert_eq!(self.writer().next_sequence(), next);
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn append_batch(&mut self, lens: &[usize]) {
        let first = self.next();
        let batch: Vec<_> = lens.iter().zip(first..).map(|(&len, number)| payload(number, len)).collect();
        let appended = self.writer().append_batch(&batch).expect("room");
        assert_eq!(appended, first..first + u64::try_from(lens.len()).expect("few"));
        self.all.extend(batch);
    }

    /// The follower sees everything, or is told how much it has missed.
    fn follow(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let before = self.follower.next_sequence();
            match self.follower.try_read(&mut buffer) {
                Ok(Some(entry)) => {
                    assert_eq!(entry.sequence, before);
                    assert_eq!(buffer, self.all[usize::try_from(before).expect("few")]);
                }
                Ok(None) => break,
                Err(Error::Lagged { missed, .. }) => {
                    assert_eq!(self.follower.next_sequence(), before + missed);
                    assert_eq!(before + missed, self.oldest());
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(self.follower.next_sequence(), self.next());
    }

    fn read_from(&self, sequence: u64) {
        let log = Log::open(self.path).expect("it");
        let opened = log.reader(Position::Sequence(sequence));
        if sequence > self.next() {
            assert!(matches!(opened, Err(Error::Invalid { .. })), "{sequence} of {}", self.next());
            return;
        }
        let mut reader = opened.expect("a position");
        let oldest = self.oldest();
        if sequence < oldest {
            match reader.try_next() {
                Err(Error::Lagged { missed, .. }) => assert_eq!(missed, oldest - sequence),
                other => panic!("{other:?}"),
            }
        }
        let first = sequence.max(oldest);
        let read: Vec<_> = reader.records().map(|record| record.expect("whole")).collect();
        let expected = &self.all[usize::try_from(first).expect("few")..];
        assert_eq!(read.len(), expected.len());
        for ((entry, bytes), (expected, number)) in read.iter().zip(expected.iter().zip(first..)) {
            assert_eq!((entry.sequence, bytes), (number, expected));
        }
        assert!(reader.records().next().is_none());
    }

    /// From the time of a record on, the first that has that time is the next.
    fn read_since(&self, record: usize) {
        let log = Log::open(self.path).expect("it");
        let times: Vec<_> = read_times(&log);
        assert_eq!(times.len(), self.all.len() - usize::try_from(self.oldest()).expect("few"));
        let Some(&(_, time_ns)) = times.get(record) else { return };
        for wanted in [time_ns, time_ns + 1] {
            let expected =
                times.iter().find(|(_, time)| *time >= wanted).map_or(self.next(), |(sequence, _)| *sequence);
            let reader = log.reader(Position::Time(wanted)).expect("a time");
            let mut buffer = Vec::new();
            let mut reader = reader;
            let found = reader.try_read(&mut buffer).expect("whole").map_or(self.next(), |entry| entry.sequence);
            assert_eq!(found, expected);
        }
    }
}

fn read_times(log: &Log) -> Vec<(u64, u64)> {
    let mut reader = log.reader(Position::Start).expect("the start");
    reader.records().map(|record| record.map(|(entry, _)| (entry.sequence, entry.time_ns)).expect("whole")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_holds_what_was_appended_since_its_oldest_segment(
        steps in steps(), retained in prop::option::of(1..5u64), durability in 0..3usize
    ) {
        let dir = folder();
        let path = dir.path().join("log");
        let mut options = SHORT.durability(DURABILITIES[durability]);
        if let Some(segments) = retained {
            options = options.retain_bytes(8192 * segments);
        }
        let mut pair = Pair::new(&path, options);
        for step in &steps {
            pair.take(step);
            let most = retained.map_or(usize::MAX, |segments| usize::try_from(segments).expect("few"));
            prop_assert!(segments(&path).len() <= most);
        }
        pair.follow();
        let verified = Log::open(&path).expect("it").verify().expect("readable");
        prop_assert!(verified.damage.is_empty(), "{verified:?}");
        prop_assert_eq!(verified.records, pair.next() - pair.oldest());
    }
}

#[test]
fn the_end_is_behind_the_newest_record_and_sees_what_comes() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append(b"old").expect("room");
    let log = Log::open(dir.path()).expect("it");
    let mut reader = log.reader(Position::End).expect("the end");
    assert!(reader.try_next().expect("whole").is_none());
    assert!(!reader.wait(Some(Duration::from_millis(1))).expect("whole"));
    let mut buffer = Vec::new();
    assert!(matches!(reader.read(&mut buffer, Some(Duration::ZERO)), Err(Error::Timeout { .. })));
    writer.append(b"").expect("room");
    assert_eq!(reader.read(&mut buffer, None).expect("it is there").sequence, 1);
    assert!(buffer.is_empty());
    let since = log.reader(Position::Time(u64::MAX)).expect("a time").next_sequence();
    assert_eq!(since, 2);
    reader.seek(Position::Start).expect("the start");
    assert_eq!(reader.try_next().expect("whole").map(|record| record.sequence()), Some(0));
}

#[test]
fn a_reader_waits_for_a_record_of_another_thread() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    let mut reader = Log::open(dir.path()).expect("it").reader(Position::End).expect("the end");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..100 {
                assert_eq!(writer.append(&[7; 100]).expect("room"), number);
            }
        });
        let mut buffer = Vec::new();
        for number in 0..100 {
            let entry = reader.read(&mut buffer, Some(Duration::from_secs(60))).expect("it comes");
            assert_eq!((entry.sequence, buffer.len()), (number, 100));
        }
    });
}

#[test]
fn segments_whose_records_are_too_old_are_removed() {
    let dir = folder();
    let path = dir.path().join("log");
    let mut writer = SHORT.create(&path).expect("a log");
    for _ in 0..10 {
        writer.append(&[1; 2100]).expect("room");
    }
    assert_eq!(segments(&path).len(), 10);
    drop(writer);
    let mut writer = SHORT.retain_age(Duration::from_secs(3600)).open(&path).expect("it");
    writer.append(b"").expect("room");
    assert_eq!(segments(&path).len(), 10);
    drop(writer);
    let mut writer = SHORT.retain_age(Duration::ZERO).open(&path).expect("it");
    assert_eq!(segments(&path).len(), 1);
    for _ in 0..10 {
        writer.append(&[1; 2100]).expect("room");
        writer.retain().expect("removable");
    }
    assert_eq!(segments(&path).len(), 1);
    assert_eq!(read_from(&path, Position::Start).len(), 1);
}

#[test]
fn a_record_is_found_with_an_index_and_without_whatever_is_in_it() {
    let dir = folder();
    let mut writer = Options::new().segment_bytes(1 << 20).open_or_create(dir.path()).expect("a log");
    for number in 0..2000 {
        writer.append(&payload(number, 1000)).expect("room");
    }
    let index = dir.path().join("00000000000000000000.index");
    let written = std::fs::read(&index).expect("the first segment is finished");
    assert!(written.len() > 32 + 10 * 24, "{} bytes", written.len());
    let mut other = written.clone();
    // An entry in the middle leads to another record, or to none; the checksum is not what protects from that.
    for (at, value) in [(32 + 5 * 24 + 16, 4096u64), (32 + 6 * 24, 0), (32 + 7 * 24 + 16, u64::MAX), (16, 1 << 40)] {
        other[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for bytes in [Some(written.clone()), Some(other), Some(vec![0xFF; 100_000]), Some(Vec::new()), None] {
        match bytes {
            Some(bytes) => std::fs::write(&index, bytes).expect("room"),
            None => std::fs::remove_file(&index).expect("it is there"),
        }
        for wanted in [0, 1, 400, 700, 999, 1500, 1999] {
            let mut reader = Log::open(dir.path()).expect("it").reader(Position::Sequence(wanted)).expect("a position");
            let record = reader.try_next().expect("whole").expect("it is there");
            let (time_ns, bytes) = (record.time_ns(), super::support::bytes_of(record));
            assert_eq!(bytes, payload(wanted, 1000));
            reader.seek(Position::Time(time_ns)).expect("a time");
            let found = reader.try_next().expect("whole").expect("it is there");
            assert!(found.time_ns() == time_ns && found.sequence() <= wanted);
        }
    }
    assert!(Log::repair(dir.path(), RepairMode::DryRun).is_err(), "the log has a writer");
}

#[test]
fn the_times_of_records_never_go_back_and_a_batch_has_one() {
    let dir = folder();
    let mut writer = SHORT.open_or_create(dir.path()).expect("a log");
    writer.append_batch(&[b"a", b"b", b"c"]).expect("room");
    for _ in 0..500 {
        writer.append(b"x").expect("room");
    }
    let times = read_times(&Log::open(dir.path()).expect("it"));
    assert!(times.is_sorted_by_key(|(_, time)| *time));
    assert_eq!((times[0].1, times[0].1), (times[1].1, times[2].1));
}

#[test]
fn a_second_writer_is_refused_until_the_first_has_gone() {
    let dir = tempfile::tempdir().expect("a folder");
    let writer = SHORT.open_or_create(dir.path()).expect("a log");
    match SHORT.open(dir.path()) {
        Err(error @ Error::WouldBlock { .. }) => assert!(error.to_string().contains("has a writer already"), "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(Log::open(dir.path()).expect("it").info().expect("whole").has_writer);
    drop(writer);
    assert!(!Log::open(dir.path()).expect("it").info().expect("whole").has_writer);
    assert!(matches!(SHORT.create(dir.path()), Err(Error::Exists { .. })));
    drop(SHORT.open(dir.path()).expect("it is free"));
}

#[test]
fn what_is_no_log_is_not_written_to() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(matches!(SHORT.open(dir.path().join("none")), Err(Error::NotFound { .. })));
    assert!(matches!(Log::open(dir.path()), Err(Error::NotFound { .. })));
    assert!(matches!(SHORT.open(dir.path()), Err(Error::NotFound { .. })));
    std::fs::write(dir.path().join("letter"), "dear").expect("room");
    assert!(matches!(SHORT.open_or_create(dir.path()), Err(Error::Foreign { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing was added");
    for bytes in [0, 4096, (4 << 30) + 1] {
        let made = Options::new().segment_bytes(bytes).create(dir.path().join("new"));
        assert!(matches!(made, Err(Error::Invalid { .. })), "{bytes}: {made:?}");
    }
    assert!(!std::fs::exists(dir.path().join("new")).expect("a folder"));
}

/// Long records may be written by the kernel, and share segments with short ones.
#[test]
fn long_records_and_batches_of_them_are_as_good_as_short_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options::new().segment_bytes(256 << 10);
    let (mut writer, mut expected) = (options.open_or_create(dir.path()).expect("a log"), Vec::new());
    for round in 0..60u64 {
        let next = writer.next_sequence();
        let len = usize::try_from(round * 12_654 % 70_000).expect("small");
        let batch = match round % 3 {
            0 => vec![payload(next, len)],
            1 => vec![payload(next, 33_000), payload(next + 1, 32 << 10), payload(next + 2, 40_001)],
            _ => vec![payload(next, (32 << 10) - 1), payload(next + 1, len), payload(next + 2, 3)],
        };
        let appended = if batch.len() == 1 {
            next..writer.append(&batch[0]).expect("room") + 1
        } else {
            writer.append_batch(&batch).expect("room")
        };
        expected.extend(appended.zip(batch));
        if round % 7 == 6 {
            drop(writer);
            writer = options.open(dir.path()).expect("it");
        }
    }
    assert!(segments(dir.path()).len() > 10);
    assert_eq!(read_from(dir.path(), Position::Start), expected);
    assert!(Log::open(dir.path()).expect("it").verify().expect("readable").damage.is_empty());
}

/// A segment with three records, two of them a batch, its end, and the next segment with one record: the bytes of
/// docs/design/log.md, whatever the system is.
#[test]
fn a_log_of_these_bytes_holds_these_records() {
    const ID: &[u8] = b"0123456789abcdef";
    let header = |first: u64, created_ns: u64, crc: u32, mark: u64| {
        let mut bytes = [b"mapiolog".as_slice(), &[1, 0, 0, 0, 0x0D, 0x0C, 0x0B, 0x0A], ID].concat();
        bytes.extend([first, created_ns, 8192].map(u64::to_le_bytes).concat());
        bytes.extend([4096_u32, crc].map(u32::to_le_bytes).concat());
        bytes.extend(mark.to_le_bytes());
        bytes.resize(4096, 0);
        bytes
    };
    let record = |payload: &[u8], tag: &[u8], sequence: u64, time_ns: u64, (batch_left, crc): (u32, u32)| {
        let len = u32::try_from(payload.len()).expect("short").to_le_bytes();
        let numbers = [sequence, time_ns].map(u64::to_le_bytes).concat();
        let last = [batch_left, crc].map(u32::to_le_bytes).concat();
        let mut bytes = [len.as_slice(), tag, &numbers, &last, payload].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let mut first = header(7, 1000, 0x2725_7215, 0x32FE_0D00_0000_0213);
    first.extend(record(b"one", b"RECd", 7, 1001, (1, 0xE646_D33B)));
    first.extend(record(b"twice two", b"RECd", 8, 1001, (0, 0x9EEB_8D77)));
    first.extend(record(b"", b"RECd", 9, 1002, (0, 0xB5B6_E2CE)));
    first.extend(record(b"", b"ENDs", 10, 1003, (0, 0xFE4F_7BCE)));
    let mut second = header(10, 1003, 0x8241_DE5E, 0);
    second.extend(record(b"last", b"RECd", 10, 1004, (0, 0x05BE_A080)));
    let dir = folder();
    for (name, mut bytes) in [("00000000000000000007.segment", first), ("00000000000000000010.segment", second)] {
        bytes.resize(8192, 0);
        std::fs::write(dir.path().join(name), bytes).expect("room");
    }
    let expected = [(7, b"one".to_vec()), (8, b"twice two".to_vec()), (9, Vec::new()), (10, b"last".to_vec())];
    assert_eq!(read_from(dir.path(), Position::Start), expected);
    let log = Log::open(dir.path()).expect("it");
    assert_eq!(read_times(&log), [(7, 1001), (8, 1001), (9, 1002), (10, 1004)]);
    assert_eq!(log.info().expect("whole").segments[0].flushed_bytes, 4248);
    assert!(log.verify().expect("readable").damage.is_empty());
    let mut writer = SHORT.open(dir.path()).expect("whole");
    assert_eq!((writer.append(b"more").expect("room"), writer.recovery().cut.as_ref()), (11, None));
    assert_eq!(read_from(dir.path(), Position::Sequence(10)), [(10, b"last".to_vec()), (11, b"more".to_vec())]);
}
