//! Options together, on what Linux has: owners, permission bits, pipes, devices, mounts.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use mapio_copy::{Attribute, Backup, CopyOptions, Follow, Sync, Target};
use mapio_testkit::skip;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::preserve;
use crate::support::{copy_all, line_of};

#[test]
fn who_keeps_owners_only_gives_the_modes_that_new_files_get() {
    if !rustix::process::geteuid().is_root() {
        return skip("modes with --preserve=ownership", "only root may give files away");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::create_dir(&source).expect("room");
    fs::create_dir(&target).expect("room");
    fs::write(source.join("file"), "bytes").expect("room");
    fs::write(source.join("over"), "bytes").expect("room");
    mknodat(CWD, source.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room");
    fs::create_dir(source.join("folder")).expect("room");
    // A socket can't be opened, even by root.
    UnixListener::bind(target.join("over")).expect("room");
    for (name, mode) in [("file", 0o755), ("over", 0o755), ("pipe", 0o755), ("folder", 0o1755)] {
        fs::set_permissions(source.join(name), Permissions::from_mode(mode)).expect("own file");
        lchown(source.join(name), Some(7), Some(7)).expect("root may");
    }
    fs::set_permissions(&target, Permissions::from_mode(0o2755)).expect("own folder");
    let options = CopyOptions::new().recursive().follow(Follow::Never).force();
    let options = options.preserve(preserve(|preserve| preserve.ownership = Attribute::Require));
    let sources = ["file", "over", "pipe", "folder"].map(|name| source.join(name));
    let (_, errors) = copy_all(&options, &sources, Target::Folder(&target));
    assert!(errors.is_empty(), "{errors:?}");
    for (name, mode) in [("file", 0o755), ("over", 0o755), ("pipe", 0o755), ("folder", 0o3755)] {
        let found = target.join(name).symlink_metadata().expect("a copy");
        assert_eq!((found.mode() & 0o7777, found.uid()), (mode, 7), "{name}: {:o}", found.mode());
    }
}

#[test]
fn a_program_that_root_replaces_keeps_its_set_id_bits() {
    if !rustix::process::geteuid().is_root() {
        return skip("set-id bits of what is replaced", "a write by anybody but root clears them");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "new").expect("room");
    fs::write(&target, "old").expect("room");
    lchown(&target, Some(7), Some(7)).expect("root may");
    fs::set_permissions(&target, Permissions::from_mode(0o4755)).expect("own file");
    for (ownership, mode) in [(Attribute::Leave, 0o4755), (Attribute::Require, 0o755)] {
        let options = CopyOptions::new().preserve(preserve(|preserve| preserve.ownership = ownership));
        let (_, errors) = copy_all(&options, std::slice::from_ref(&source), Target::Name(&target));
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(fs::read_to_string(&target).expect("a file"), "new");
        assert_eq!(target.metadata().expect("a file").mode() & 0o7777, mode, "{ownership:?}");
    }
}

#[test]
fn a_destination_that_nobody_was_asked_about_is_not_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    mknodat(CWD, &source, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room");
    for options in [CopyOptions::new().ask(), CopyOptions::new().backup(Backup::Simple)] {
        let (_, errors) = thread::scope(|scope| {
            let copying = scope.spawn(|| copy_all(&options, std::slice::from_ref(&source), Target::Name(&target)));
            // It has looked at the destination when it opens the source.
            let mut pipe = File::options().write(true).open(&source).expect("somebody reads");
            fs::write(&target, "somebody's").expect("room");
            // It may have met that file already, and read no more.
            let _ = pipe.write_all(b"new");
            drop(pipe);
            copying.join().expect("no panic")
        });
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(fs::read_to_string(&target).expect("a file"), "somebody's");
        fs::remove_file(&target).expect("own file");
    }
}

#[test]
fn what_can_not_be_read_again_is_not_verified() {
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    fs::write(&source, "bytes").expect("room");
    let null = Path::new("/dev/null");
    let (_, errors) = copy_all(&CopyOptions::new().verify(), std::slice::from_ref(&source), Target::Name(null));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(line_of(&errors[0]).starts_with("cannot verify '/dev/null'"), "{errors:?}");
    let (_, errors) = copy_all(&CopyOptions::new().sync(Sync::File), &[source], Target::Name(null));
    assert!(errors.is_empty(), "{errors:?}");
}

/// A file that is mounted on another one, until this is dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn on(file: &Path, point: &'a Path) -> Option<Self> {
        let mounted = Command::new("mount").arg("--bind").args([file, point]).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(point))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // What stays mounted is found by the removal of its folder.
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_pipe_is_copied_to_a_mount_point() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, inner, point) = (dir.path().join("source"), dir.path().join("inner"), dir.path().join("point"));
    fs::write(&inner, "old").expect("room");
    fs::write(&point, "below").expect("room");
    mknodat(CWD, &source, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room");
    let Some(_mounted) = Mounted::on(&inner, &point) else {
        return skip("a pipe copied to a mount point", "mounting needs root");
    };
    let (_, errors) = thread::scope(|scope| {
        scope.spawn(|| fs::write(&source, "new").expect("somebody reads"));
        copy_all(&CopyOptions::new(), std::slice::from_ref(&source), Target::Name(&point))
    });
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(fs::read_to_string(&inner).expect("a file"), "new");
}
