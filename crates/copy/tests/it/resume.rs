//! Copies that are interrupted and go on.

// Symbolic links, locks by flock(2), permission bits.
#[cfg(target_os = "linux")]
mod linux;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use mapio_copy::{CopyOptions, Error, Meter, Method, Target};
use mapio_testkit::pattern;

use crate::support::copy_all;

const LEN: usize = 32 << 20;

/// A folder with a source, and the options to copy it by small steps.
fn folder() -> (tempfile::TempDir, PathBuf, PathBuf, CopyOptions) {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, pattern(LEN)).expect("room");
    let buffer = NonZero::new(4096).expect("not zero");
    (dir, source, target, CopyOptions::new().resume().buffer_bytes(buffer).threads(NonZero::<usize>::MIN))
}

/// Stops a copy in the middle; answers how many bytes it had copied.
fn interrupt(options: &CopyOptions, source: &Path, target: &Path) -> u64 {
    // So slow that it can be stopped.
    let meter = Meter::new().limit(NonZero::new(64 << 20).expect("not zero"));
    thread::scope(|scope| {
        let copying = scope.spawn(|| options.copy_metered(source, target, &meter));
        while meter.bytes() < 1 << 20 && !copying.is_finished() {
            std::hint::spin_loop();
        }
        meter.stop();
        match copying.join().expect("no panic") {
            Err(Error::Cancelled { .. }) => {}
            other => panic!("32 MiB in steps of 4 KiB take longer: {other:?}"),
        }
    });
    meter.bytes()
}

/// The file that an interrupted copy has left.
fn partial(folder: &Path) -> PathBuf {
    let mut names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    names.find(|path| path.to_string_lossy().ends_with("-partial")).expect("it was left")
}

fn assert_whole(folder: &Path, source: &Path, target: &Path) {
    assert!(fs::read(source).expect("a file") == fs::read(target).expect("a file"));
    assert_eq!(fs::read_dir(folder).expect("a folder").count(), 2, "nothing else is left");
}

#[test]
fn an_interrupted_copy_goes_on_where_it_was() {
    for existing in [false, true] {
        let (dir, source, target, options) = folder();
        if existing {
            fs::write(&target, "old").expect("room");
        }
        let copied = interrupt(&options, &source, &target);
        assert_eq!(fs::read(&target).ok(), existing.then(|| b"old".to_vec()));
        let report = options.copy(&source, &target).expect("a copy");
        assert_eq!(report.resumed_bytes, copied - copied % 4096);
        assert_eq!(report.transferred.bytes, u64::try_from(LEN).expect("small"));
        assert_whole(dir.path(), &source, &target);
    }
}

#[test]
fn bytes_that_are_not_the_sources_are_not_trusted() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    let left = partial(dir.path());
    File::options()
        .write(true)
        .open(&left)
        .and_then(|mut file| file.seek(SeekFrom::Start(70_000)).and_then(|_| file.write_all(b"?")))
        .expect("own file");
    assert_eq!(options.copy(&source, &target).expect("a copy").resumed_bytes, 70_000 - 70_000 % 4096);
    assert_whole(dir.path(), &source, &target);
}

#[test]
fn a_left_file_that_is_longer_than_the_source_is_cut() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    fs::write(&source, &pattern(LEN)[..10_000]).expect("room");
    assert_eq!(options.copy(&source, &target).expect("a copy").resumed_bytes, 10_000);
    assert_whole(dir.path(), &source, &target);
}

#[test]
fn a_copy_that_is_not_to_go_on_removes_what_was_left() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    assert_eq!(CopyOptions::new().copy(&source, &target).expect("a copy").resumed_bytes, 0);
    assert_whole(dir.path(), &source, &target);
}

#[test]
fn a_copy_of_attributes_takes_no_bytes_from_a_left_file() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    let (_, errors) = copy_all(&options.method(Method::AttributesOnly), &[source], Target::Name(&target));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(target.metadata().expect("a file").len(), 0);
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2, "nothing else is left");
}
