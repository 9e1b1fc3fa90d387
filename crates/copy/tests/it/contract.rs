//! The contract of a copy: one table of cases, run over every engine.

// Permission bits, links, /proc, sockets and devices.
#[cfg(target_os = "linux")]
mod linux;

use std::fs;
use std::num::NonZero;

use mapio_copy::{CopyOptions, Engine};
use mapio_testkit::{pattern, report};

use crate::support::{assert_holds, every_way};

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

#[test]
fn every_engine_copies_every_length() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    let lengths =
        [0, 1, 5, PAGE - 1, PAGE, PAGE + 1, MIB - 1, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 33 * MIB + 7, 65 * MIB];
    let mut cases = 0;
    for len in lengths {
        let bytes = pattern(len);
        fs::write(&source, &bytes).expect("room");
        for (name, way) in every_way() {
            let report = way.copy(&source, &target).unwrap_or_else(|error| panic!("{name}, {len}: {error:?}"));
            assert_eq!(report.transferred.bytes, u64::try_from(len).expect("small"), "{name}");
            assert!(fs::read(&target).expect("the copy") == bytes, "{name}, {len}: other bytes");
            cases += 1;
        }
    }
    // One byte at a time is slow, and everything that can go wrong with it does so in a few thousand.
    fs::write(&source, pattern(5000)).expect("room");
    let one = CopyOptions::new().engine(Engine::ReadWrite).buffer_bytes(NonZero::<usize>::MIN);
    let done = one.copy(&source, &target).expect("a copy");
    assert_eq!(fs::read(&target).expect("the copy"), pattern(5000));
    // A read and a write for each byte.
    assert_eq!(done.calls, 10_000);
    assert_holds(dir.path(), &["source", "target"]);
    report("every_engine_copies_every_length", &format!("{} copies", cases + 1));
}

#[test]
fn verify_passes_for_what_was_copied() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, pattern(3 * MIB)).expect("room");
    for (name, way) in every_way() {
        assert!(way.clone().verify().copy(&source, &target).expect("a copy").verified.is_some(), "{name}");
        assert!(way.copy(&source, &target).expect("a copy").verified.is_none(), "{name}");
    }
}

#[test]
fn a_folder_as_the_destination_gets_a_file_of_the_same_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, folder) = (dir.path().join("source"), dir.path().join("folder"));
    fs::write(&source, "bytes").expect("room");
    fs::create_dir(&folder).expect("room");
    let report = CopyOptions::new().copy(&source, &folder).expect("a copy");
    assert_eq!(report.destination, folder.join("source"));
    assert_eq!(fs::read(folder.join("source")).expect("the copy"), b"bytes");
}
