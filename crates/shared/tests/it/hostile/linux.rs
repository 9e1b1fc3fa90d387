//! What Linux has otherwise or alone: pipes and links, permissions and owners, files of which most was never written.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use mapio_shared::{Error, SharedObject, SharedOptions, inspect};
use mapio_testkit::{in_child, skip};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{assert_refused, sound};
use crate::support::{TestName, lacks_segment_permissions};

#[test]
fn what_is_no_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    fs::write(path("file"), sound()).unwrap();
    symlink(path("file"), path("link")).unwrap();
    symlink(path("nowhere"), path("dangling")).unwrap();
    for name in ["pipe", "link", "dangling"] {
        assert_refused(&path(name));
    }
    assert!(path("link").symlink_metadata().is_ok() && path("pipe").exists());
}

#[test]
fn permissions_are_as_asked_whatever_the_umask() {
    if lacks_segment_permissions("hostile::linux::permissions_are_as_asked_whatever_the_umask") {
        return;
    }
    // In a process of its own, since all threads have one umask.
    let output = in_child("hostile::linux::permissions_are_as_asked_whatever_the_umask", || {
        rustix::process::umask(Mode::from_raw_mode(0o077));
        for name in [TestName::memory(), TestName::file()] {
            for mode in [0o600, 0o644, 0o666, 0o777, 0o400, 0o000] {
                let object = SharedOptions::new().len(1).permissions(mode).create(&*name).unwrap();
                assert_eq!(fs::metadata(name.path()).unwrap().mode() & 0o7777, mode);
                drop(object);
                SharedObject::remove(&*name).unwrap();
            }
        }
        let sysv = TestName::sysv();
        for (mode, kept) in [(0o644, 0o644), (0o666, 0o666), (0o777, 0o666)] {
            let _object = SharedOptions::new().len(1).permissions(mode).create(&*sysv).unwrap();
            assert_eq!(inspect(&*sysv).unwrap().permissions, kept);
            SharedObject::remove(&*sysv).unwrap();
        }
    });
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_owner_is_as_asked() {
    if !rustix::process::geteuid().is_root() {
        return skip("the_owner_is_as_asked", "only root gives files away");
    }
    for name in TestName::of_each_kind() {
        let _object = SharedOptions::new().len(1).owner(Some(65534), Some(65533)).create(&*name).unwrap();
        let info = inspect(&*name).unwrap();
        assert_eq!((info.user, info.group), (65534, 65533));
    }
}

#[test]
fn an_object_of_more_than_4_gib_is_read_to_its_end_or_refused() {
    const LEN: u64 = (4 << 30) + 12_345;
    let name = TestName::file();
    let file = fs::File::create_new(name.path()).unwrap();
    file.set_len(LEN).unwrap();
    file.write_all_at(b"far", LEN - 3).unwrap();
    match (SharedOptions::new().raw().open(&*name), usize::try_from(LEN)) {
        (Ok(object), Ok(len)) => {
            assert_eq!(object.len(), len);
            assert_eq!(object.view().load::<[u8; 3]>(len - 3), Ok(*b"far"));
        }
        // Not its first bytes: so many addresses a process does not have.
        (Err(Error::Map { .. }), Err(_)) => {}
        (opened, _) => panic!("{opened:?}"),
    }
}
