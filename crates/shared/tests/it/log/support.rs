//! What the tests of the log share.

use std::fs;
use std::path::{Path, PathBuf};

use mapio_shared::log::{Log, Options, Position, Record};

/// A folder for what asks nothing of a disk, in memory where there is such a place: hundreds of logs are made.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// The shortest segments: 4096 bytes of records.
pub(crate) const SHORT: Options = Options::new().segment_bytes(8192);
/// Bytes before the first record.
pub(crate) const HEADER: usize = 4096;
/// Bytes of a record before its payload.
pub(crate) const HEAD: usize = 32;

/// A payload that can be told from others of the same length.
pub(crate) fn payload(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = mapio_testkit::pattern(len);
    for (byte, tag) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *byte = tag;
    }
    bytes
}

/// Everything that can be read from a position on, which must be in order and without a gap.
pub(crate) fn read_from(path: &Path, position: Position) -> Vec<(u64, Vec<u8>)> {
    let mut reader = Log::open(path).expect("a log").reader(position).expect("a position");
    let mut next = reader.next_sequence();
    let mut time_ns = 0;
    let mut all = Vec::new();
    while let Some(record) = reader.try_next().expect("whole records") {
        assert_eq!(record.sequence(), next, "the next number");
        assert!(record.time_ns() >= time_ns, "time goes on");
        (next, time_ns) = (next + 1, record.time_ns());
        all.push((record.sequence(), bytes_of(record)));
    }
    all
}

pub(crate) fn bytes_of(record: Record<'_>) -> Vec<u8> {
    let bytes = record.to_vec().expect("it is there");
    assert_eq!(bytes.len(), record.len());
    bytes
}

/// The segments of a log, ascending.
pub(crate) fn segments(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "segment")).collect();
    found.sort();
    found
}

/// Copies the files of a log to a new folder.
pub(crate) fn copy_of(path: &Path) -> tempfile::TempDir {
    let copy = folder();
    for entry in fs::read_dir(path).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("room");
    }
    copy
}

/// Where each record of a segment begins, as its lengths say.
pub(crate) fn offsets(bytes: &[u8]) -> Vec<usize> {
    let mut at = HEADER;
    let mut found = Vec::new();
    while at + HEAD <= bytes.len() && bytes[at + 4..at + 8] == *b"RECd" {
        found.push(at);
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        at += HEAD + usize::try_from(len).expect("short").next_multiple_of(8);
    }
    found
}
