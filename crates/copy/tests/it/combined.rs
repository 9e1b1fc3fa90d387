//! Options together: what one of them promises, no other takes away.

// Owners, permission bits, sockets, devices, pipes with names, mounts.
#[cfg(target_os = "linux")]
mod linux;

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use mapio_copy::{Attribute, CopyOptions, Error, Existing, Meter, Method, Preserve, Target};

use crate::support::copy_all;

/// What is to be kept, beginning with nothing.
fn preserve(change: impl FnOnce(&mut Preserve)) -> Preserve {
    let mut preserve = Preserve::default();
    change(&mut preserve);
    preserve
}

#[test]
fn names_of_a_file_are_not_linked_to_a_destination_that_was_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::create_dir(&source).expect("room");
    fs::create_dir(&target).expect("room");
    fs::write(source.join("a"), "new").expect("room");
    fs::hard_link(source.join("a"), source.join("b")).expect("room");
    fs::write(target.join("a"), "kept").expect("room");
    let links = preserve(|preserve| preserve.links = Attribute::Require);
    let options = CopyOptions::new().preserve(links).existing(Existing::Keep);
    let (summary, errors) = copy_all(&options, &[source.join("a"), source.join("b")], Target::Folder(&target));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.skipped, summary.links), (1, 1, 0));
    assert_eq!(fs::read_to_string(target.join("a")).expect("a file"), "kept");
    assert_eq!(fs::read_to_string(target.join("b")).expect("a file"), "new");
}

#[test]
fn a_destination_that_was_kept_may_be_replaced_by_a_later_operand() {
    let dir = tempfile::tempdir().expect("a folder");
    let (older, newer, target) = (dir.path().join("a"), dir.path().join("folder/a"), dir.path().join("target"));
    fs::create_dir(dir.path().join("folder")).expect("room");
    fs::create_dir(&target).expect("room");
    for (path, seconds) in [(&older, 1_000), (&target.join("a"), 2_000), (&newer, 3_000)] {
        fs::write(path, seconds.to_string()).expect("room");
        set_modified(path, seconds);
    }
    let options = CopyOptions::new().existing(Existing::ReplaceOlder);
    let (summary, errors) = copy_all(&options, &[older, newer], Target::Folder(&target));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.skipped), (1, 1));
    assert_eq!(fs::read_to_string(target.join("a")).expect("a file"), "3000");
}

#[test]
fn attributes_alone_are_not_verified_by_bytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "bytes").expect("room");
    let options = CopyOptions::new().method(Method::AttributesOnly).verify();
    let (_, errors) = copy_all(&options, &[source], Target::Name(&target));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(target.metadata().expect("a file").len(), 0);
}

#[test]
fn a_copy_that_was_stopped_before_it_began_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "bytes").expect("room");
    let meter = Meter::new();
    meter.stop();
    let copied = CopyOptions::new().copy_metered(&source, &target, &meter);
    assert!(matches!(copied, Err(Error::Cancelled { .. })), "{copied:?}");
    assert!(!target.exists());
}

fn set_modified(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let file = File::options().write(true).open(path).expect("own file");
    file.set_times(FileTimes::new().set_modified(time)).expect("own file");
}
