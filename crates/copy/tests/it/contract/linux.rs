//! The parts of the contract that are about what Linux has: permission bits, links, /proc, sockets and devices.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use mapio_copy::{CopyOptions, Error};
use mapio_testkit::skip;

use crate::support::{assert_holds, every_way};

#[test]
fn a_destination_keeps_its_mode_and_a_new_one_gets_the_sources() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "bytes").expect("room");
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o7777;
    // Modes that no umask takes anything from, but one that keeps files from their own owner.
    for source_mode in [0o600, 0o400, 0o700, 0o4700] {
        fs::set_permissions(&source, Permissions::from_mode(source_mode)).expect("own file");
        CopyOptions::new().copy(&source, &target).expect("a copy");
        assert_eq!(mode(&target), source_mode & 0o777);
        fs::set_permissions(&target, Permissions::from_mode(0o666)).expect("own file");
        CopyOptions::new().copy(&source, &target).expect("a copy");
        assert_eq!(mode(&target), 0o666);
        fs::remove_file(&target).expect("own file");
    }
}

#[test]
fn a_link_as_the_destination_is_followed_and_stays_a_link() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("source"), "new").expect("room");
    fs::write(path("target"), "old").expect("room");
    symlink("target", path("link")).expect("room");
    for (name, way) in every_way() {
        way.copy(path("source"), path("link")).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(path("link").is_symlink());
        assert_eq!(fs::read(path("target")).expect("the copy"), b"new");
    }
    assert_holds(dir.path(), &["link", "source", "target"]);
}

#[test]
fn what_is_no_regular_file_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("source"), "bytes").expect("room");
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).expect("a socket");
    let kind = |from: &Path, to: &Path| match CopyOptions::new().copy(from, to) {
        Err(Error::NotRegular { kind, .. }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(dir.path(), &path("new")), "a directory");
    assert_eq!(kind(Path::new("/dev/null"), &path("new")), "a character device");
    assert_eq!(kind(&path("source"), Path::new("/dev/null")), "a character device");
    assert_eq!(kind(&path("socket"), &path("new")), "a socket");
    assert_eq!(kind(&path("source"), &path("socket")), "a socket");
    assert_holds(dir.path(), &["socket", "source"]);
}

#[test]
fn a_file_that_does_not_know_its_length_is_copied_to_its_end_by_every_engine() {
    let dir = tempfile::tempdir().expect("a folder");
    let target = dir.path().join("target");
    // The one claims to have no bytes, the other to have a page of them.
    for source in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(expected) = fs::read(source) else {
            skip("a_file_that_does_not_know_its_length...", &format!("{source} is not there"));
            continue;
        };
        for (name, way) in every_way() {
            let report =
                way.verify().copy(source, &target).unwrap_or_else(|error| panic!("{name}, {source}: {error:?}"));
            assert_eq!(fs::read(&target).expect("the copy"), expected, "{name}, {source}");
            assert_eq!(report.transferred.bytes, u64::try_from(expected.len()).expect("small"));
            // It has the source's mode, which does not let its owner write to it.
            fs::remove_file(&target).expect("own file");
        }
    }
}
