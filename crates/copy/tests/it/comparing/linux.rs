//! Files of /proc, files that can't be mapped, and files that are cut under their mapping.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use mapio_copy::{Comparison, CopyOptions, Error, Meter, compare};
use mapio_testkit::{FaultyFs, pattern, report, skip};

use super::compared;

#[test]
fn a_file_that_does_not_know_its_length_is_compared_by_its_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let copy = dir.path().join("copy");
    let bytes = fs::read("/proc/version").expect("on Linux");
    fs::write(&copy, &bytes).expect("room");
    let same = Comparison::Same { bytes: u64::try_from(bytes.len()).expect("small") };
    assert_eq!(compared(Path::new("/proc/version"), &copy), same);
    fs::write(&copy, &bytes[..5]).expect("room");
    let differ = Comparison::Differ { offset: 5, left: Some(bytes[5]), right: None };
    assert_eq!(compared(Path::new("/proc/version"), &copy), differ);
}

#[test]
fn a_file_that_can_not_be_mapped_is_read() {
    let test = "comparing::linux::a_file_that_can_not_be_mapped_is_read";
    let mut fs = match FaultyFs::new(test, 100_000) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a FUSE file system: {error}")),
    };
    fs.forbid_mapping();
    let mapped = mapio_map::MapOptions::read_only().open(fs.file());
    assert!(mapped.is_err(), "the test is about a file that can't be mapped");
    let dir = tempfile::tempdir().expect("a folder");
    let copy = dir.path().join("copy");
    let copied = CopyOptions::new().verify().copy(fs.file(), &copy).expect("a copy that can be verified");
    assert_eq!(copied.transferred.bytes, 100_000);
    assert_eq!(compared(&fs.file(), &copy), Comparison::Same { bytes: 100_000 });
    fs::File::options().append(true).open(&copy).and_then(|file| file.set_len(99_999)).expect("own file");
    let differ = Comparison::Differ { offset: 99_999, left: Some(pattern(100_000)[99_999]), right: None };
    assert_eq!(compared(&fs.file(), &copy), differ);
}

/// A file that is cut inside its last page reads as zeros there, and must not be said to hold them.
#[test]
fn a_file_that_is_cut_during_a_comparison_is_an_error_or_was_compared_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let (left, right) = (dir.path().join("left"), dir.path().join("right"));
    let (len, short) = (40_000_000u64, 39_999_000);
    let whole = vec![7; usize::try_from(len).expect("small")];
    fs::write(&left, &whole).expect("room");
    fs::write(&right, &whole).expect("room");
    let file = fs::File::options().write(true).open(&right).expect("own file");
    let (mut same, mut errors) = (0, 0);
    for _ in 0..20 {
        let meter = Meter::new();
        file.write_all_at(&whole, 0).expect("room");
        let compared = thread::scope(|scope| {
            let comparing = scope.spawn(|| compare(&left, &right, &meter));
            while meter.bytes() == 0 && !comparing.is_finished() {
                std::hint::spin_loop();
            }
            file.set_len(short).expect("own file");
            comparing.join().expect("no panic")
        });
        match compared {
            Ok(Comparison::Same { .. }) => same += 1,
            // It was short from the beginning.
            Ok(Comparison::Differ { offset, left: Some(7), right: None }) => assert_eq!(offset, short),
            Err(Error::SourceChanged { .. }) => errors += 1,
            other => panic!("{other:?}"),
        }
    }
    report("comparing while a file is cut", &format!("{same} same, {errors} errors, of 20"));
}
