//! Links, owners and full file systems of Linux.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use mapio_copy::{Error, Refusal};
use mapio_testkit::{SmallFs, pattern, skip};

use super::{Change, OLD, assert_named};
use crate::support::{assert_holds, every_way};

/// What can be done to a file while it is mapped.
pub(super) const CHANGES: &[Change] = &[Change::Shrink, Change::Grow, Change::Rewrite];

#[test]
fn a_file_is_not_copied_onto_itself_through_links() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("file"), OLD).expect("room");
    fs::hard_link(path("file"), path("hard")).expect("room");
    symlink("file", path("soft")).expect("room");
    symlink("soft", path("softer")).expect("room");
    fs::create_dir(path("folder")).expect("room");
    let round_about = path("folder").join("../file");
    for (name, way) in every_way() {
        for from in [&path("file"), &path("hard"), &path("soft"), &path("softer"), &round_about] {
            for to in [&path("file"), &path("hard"), &path("soft"), &path("softer"), &round_about, &dir.path().into()] {
                let error = way.copy(from, to).expect_err("the same file");
                assert!(matches!(error, Error::SameFile { .. }), "{name}: {from:?} to {to:?}: {error:?}");
            }
        }
    }
    assert_eq!(fs::read_to_string(path("file")).expect("untouched"), OLD);
    assert_holds(dir.path(), &["file", "folder", "hard", "soft", "softer"]);
}

#[test]
fn a_destination_of_another_kind_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("source"), "new").expect("room");
    symlink("nowhere", path("dangling")).expect("room");
    symlink("loop", path("loop")).expect("room");
    let long = dir.path().join("x".repeat(300));
    let cases: [(&Path, &[ErrorKind]); 5] = [
        (Path::new("/proc/mapio"), &[ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::Unsupported]),
        (&path("missing/target"), &[ErrorKind::NotFound]),
        (&path("source/target"), &[ErrorKind::NotADirectory]),
        (&path("target/"), &[ErrorKind::NotADirectory]),
        (&long, &[ErrorKind::InvalidFilename]),
    ];
    assert_named(&path("source"), &cases);
    for (name, way) in every_way() {
        assert!(way.copy(path("source"), path("loop")).is_err(), "{name}");
        let dangling = way.copy(path("source"), path("dangling"));
        assert!(matches!(dangling, Err(Error::Refused { refusal: Refusal::Dangling, .. })), "{name}: {dangling:?}");
    }
    assert_holds(dir.path(), &["dangling", "loop", "source"]);
}

/// The owner of a file that is replaced keeps it; root only can give a file away.
#[test]
fn a_destination_keeps_its_owner() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "new").expect("room");
    fs::write(&target, OLD).expect("room");
    if let Err(error) = chown(&target, Some(65534), Some(65533)) {
        return skip("a_destination_keeps_its_owner", &format!("giving a file away needs root: {error}"));
    }
    for (name, way) in every_way() {
        way.copy(&source, &target).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let metadata = fs::metadata(&target).expect("the copy");
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533), "{name}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_old_destination_stays() {
    let test = "a_full_disk_is_an_error_and_the_old_destination_stays";
    let fs = match SmallFs::tmpfs(1 << 20) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a tmpfs needs root: {error}")),
    };
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    fs::write(&source, pattern(40 << 20)).expect("room");
    let target = fs.path().join("target");
    fs::write(&target, OLD).expect("room");
    for (name, way) in every_way() {
        for to in [&target, &fs.path().join("new")] {
            match way.copy(&source, to) {
                Err(Error::Os { source, .. }) => assert_eq!(source.kind(), ErrorKind::StorageFull, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(fs::read_to_string(&target).expect("untouched"), OLD, "{name}");
        assert_holds(fs.path(), &["target"]);
    }
}
