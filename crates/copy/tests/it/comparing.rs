//! Comparing: the first difference, wherever it is.

// Files of /proc, files that can't be mapped, and files that are cut under their mapping.
#[cfg(target_os = "linux")]
mod linux;

use std::fs;
use std::path::Path;

use mapio_copy::{Comparison, Error, Meter, compare};
use mapio_testkit::pattern;

fn compared(left: &Path, right: &Path) -> Comparison {
    compare(left, right, &Meter::new()).expect("two files")
}

#[test]
fn files_with_the_same_bytes_are_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    for len in [0, 1, 4095, 4096, 8192, 8193, 100_000, 65 << 20] {
        fs::write(&left, pattern(len)).expect("room");
        fs::write(&right, pattern(len)).expect("room");
        let bytes = u64::try_from(len).expect("small");
        assert_eq!(compared(&left, &right), Comparison::Same { bytes });
        assert_eq!(compared(&left, &left), Comparison::Same { bytes });
    }
}

#[test]
fn the_first_difference_is_found_wherever_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    let len = (64 << 20) + 10_000;
    let mut bytes = pattern(len);
    fs::write(&left, &bytes).expect("room");
    // From the end, so that earlier differences come on top of later ones. 64 MiB is where the second window begins.
    for at in [len - 1, (64 << 20) + 1, 64 << 20, (64 << 20) - 1, 8192, 8191, 4096, 1, 0] {
        bytes[at] = 0;
        fs::write(&right, &bytes).expect("room");
        let (offset, byte) = (u64::try_from(at).expect("small"), pattern(len)[at]);
        assert_eq!(compared(&left, &right), Comparison::Differ { offset, left: Some(byte), right: Some(0) });
        assert_eq!(compared(&right, &left), Comparison::Differ { offset, left: Some(0), right: Some(byte) });
    }
}

#[test]
fn a_file_that_ends_first_differs_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    for (short, long) in [(0, 1), (0, 10_000), (4096, 4097), (8191, 8192), (8192, 8193), (8192, 20_000)] {
        fs::write(&left, pattern(short)).expect("room");
        fs::write(&right, pattern(long)).expect("room");
        let (offset, next) = (u64::try_from(short).expect("small"), pattern(long)[short]);
        assert_eq!(compared(&left, &right), Comparison::Differ { offset, left: None, right: Some(next) });
        assert_eq!(compared(&right, &left), Comparison::Differ { offset, left: Some(next), right: None });
    }
}

#[test]
fn folders_and_missing_files_are_errors() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    fs::write(&file, "bytes").expect("room");
    let meter = Meter::new();
    assert!(matches!(compare(dir.path(), &file, &meter), Err(Error::NotRegular { .. })));
    assert!(matches!(compare(&file, dir.path().join("missing"), &meter), Err(Error::Os { .. })));
}
