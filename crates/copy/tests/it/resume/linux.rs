//! Symbolic links, locks by flock(2) and permission bits of what was left.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;

use mapio_copy::Error;

use super::{assert_whole, folder, interrupt, partial};

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
