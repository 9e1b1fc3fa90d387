//! Copies that are interrupted and go on.

use std::fs::{self, File, Permissions};
use std::num::NonZero;
use std::os::unix::fs::{FileExt, PermissionsExt};
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
    File::options().write(true).open(&left).and_then(|file| file.write_all_at(b"?", 70_000)).expect("own file");
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
fn a_left_file_that_is_not_ours_alone_is_refused() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    let left = partial(dir.path());
    fs::hard_link(&left, dir.path().join("other name")).expect("room");
    assert!(matches!(options.copy(&source, &target), Err(Error::Os { .. })));
    fs::remove_file(&left).expect("own file");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &left).expect("room");
    assert!(matches!(options.copy(&source, &target), Err(Error::Os { .. })));
    assert!(!target.exists() && !dir.path().join("elsewhere").exists());
}

#[test]
fn a_left_file_that_another_copy_is_writing_is_refused() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    let file = File::open(partial(dir.path())).expect("own file");
    file.lock().expect("nobody else has it");
    assert!(matches!(options.copy(&source, &target), Err(Error::Os { .. })));
    file.unlock().expect("own lock");
    assert!(options.copy(&source, &target).expect("a copy").resumed_bytes > 0);
    assert_whole(dir.path(), &source, &target);
}

#[test]
fn a_left_file_gets_the_mode_that_this_copy_gives() {
    let (dir, source, target, options) = folder();
    interrupt(&options, &source, &target);
    let left = partial(dir.path());
    fs::set_permissions(&left, Permissions::from_mode(0o644)).expect("own file");
    fs::set_permissions(&source, Permissions::from_mode(0o600)).expect("own file");
    options.copy(&source, &target).expect("a copy");
    assert_whole(dir.path(), &source, &target);
    assert_eq!(target.metadata().expect("a file").permissions().mode() & 0o7777, 0o600);
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
