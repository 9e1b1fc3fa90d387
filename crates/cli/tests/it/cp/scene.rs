//! The folder that each command finds: one of everything.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, utimensat};
use tempfile::TempDir;

use super::cases::{Case, User};

/// The latest time that anything in the scene was modified, in seconds since 1970.
pub(super) const NEWEST: i64 = 1_200_000_000;
/// When most of it was.
const USUAL: i64 = 1_000_000_000;
/// When what is older was.
const OLDER: i64 = 900_000_000;

/// The access control list of user 1000, who may read: version 2, then entries of tag, permissions and id.
const ACL: &[u8] = b"\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x02\0\x04\0\xe8\x03\0\0\x04\0\x04\0\xff\xff\xff\xff\
    \x10\0\x04\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff";

/// The folders of the scene.
pub(super) const FOLDERS: [&str; 12] = [
    "dir",
    "dir/sub",
    "dir/empty",
    "into",
    "into/sub",
    "full",
    "full/dir",
    "protected",
    "clash",
    "clash/a",
    "linked",
    "odd",
];

/// Makes the scene in a new folder.
///
/// It is in memory, where there is memory for that. Large files and odd names are there only if the command has them.
pub(super) fn make(case: &Case) -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let (root, user) = (folder.path(), case.user);
    let is_root = rustix::process::geteuid().is_root();
    let is_about = |words: &[&str]| words.iter().any(|word| case.command.contains(word));
    files(root);
    if is_about(&["zeros", "large", "sparse"]) {
        large_files(root);
    }
    if is_about(&["odd"]) {
        odd_names(root);
    }
    folders(root);
    links(root);
    special(root, is_root);
    if user == User::Nobody {
        give_away(root);
        fs::write(root.join("secret"), "root's own\n").expect("room");
        set_mode(root, "secret", 0o600);
        fs::write(root.join("public"), "root's, for all\n").expect("room");
    } else if is_root {
        for name in ["owned", "into/b", "dir/sub/g", "dir/sub", "suid"] {
            chown(root.join(name), Some(1000), Some(1001)).expect("root may");
        }
        // A change of the owner takes these bits away.
        set_mode(root, "suid", 0o6755);
    }
    set_times(root);
    super::allow_everybody(root);
    folder
}

fn write(root: &Path, name: impl AsRef<OsStr>, bytes: impl AsRef<[u8]>) {
    fs::write(root.join(name.as_ref()), bytes).expect("room");
}

fn set_mode(root: &Path, name: &str, mode: u32) {
    fs::set_permissions(root.join(name), Permissions::from_mode(mode)).expect("our own file");
}

fn files(root: &Path) {
    for name in ["a", "b", "c", "owned", "newer", "older", "exe", "suid", "ro", "none", "attributes", "acl"] {
        write(root, name, format!("contents of {name}\n"));
    }
    write(root, "empty", "");
    for (name, mode) in [("b", 0o640), ("exe", 0o755), ("suid", 0o6755), ("ro", 0o444), ("none", 0)] {
        set_mode(root, name, mode);
    }
    let set = |name: &str, key, value| rustix::fs::setxattr(root.join(name), key, value, XattrFlags::empty());
    // Where the file system has none of these, neither cp has anything to keep.
    let _ = set("attributes", "user.color", b"green");
    let _ = set("acl", "system.posix_acl_access", ACL);
    for name in ["kept", "kept~", "counted", "counted.~1~", "counted.~9~"] {
        write(root, name, format!("contents of {name}\n"));
    }
}

fn large_files(root: &Path) {
    write(root, "zeros", vec![0; 256 << 10]);
    write(root, "large", vec![b'x'; 200_000]);
    let sparse = fs::File::create(root.join("sparse")).expect("room");
    sparse.write_all_at(b"start", 0).expect("room");
    sparse.write_all_at(&[b'm'; 8192], 512 << 10).expect("room");
    sparse.set_len(1 << 20).expect("room");
}

fn odd_names(root: &Path) {
    fs::create_dir(root.join("odd")).expect("room");
    let names: [&[u8]; 9] =
        [b"two words", b"it's", b"new\nline", b"\xff\xfe", b"-dash", b"dq\"x", b"$HOME", "ä".as_bytes(), b"tab\t'"];
    for name in names {
        write(&root.join("odd"), OsStr::from_bytes(name), "odd\n");
    }
}

fn folders(root: &Path) {
    for name in FOLDERS.iter().filter(|name| **name != "odd") {
        fs::create_dir(root.join(name)).expect("room");
    }
    for name in ["dir/f", "dir/sub/g", "dir/h1", "into/a", "into/b", "full/dir/f", "full/dir/old", "protected/f"] {
        write(root, name, format!("contents of {name}\n"));
    }
    // A file where a folder would be copied to, beside a folder where a file would be.
    write(root, "clash/dir", "a file\n");
    fs::hard_link(root.join("dir/h1"), root.join("dir/h2")).expect("room");
    for (name, mode) in [("dir/sub", 0o750), ("dir/empty", 0o700), ("protected", 0o555), ("full/dir", 0o711)] {
        set_mode(root, name, mode);
    }
}

fn links(root: &Path) {
    for (name, target) in [
        ("link", "a"),
        ("link2", "link"),
        ("dirlink", "dir"),
        ("dangling", "nowhere"),
        ("loop", "pool"),
        ("pool", "loop"),
        ("dir/up", "../a"),
        ("dir/lost", "nowhere"),
        ("dir/around", "."),
        ("into/link", "../c"),
        ("into/dangling", "nowhere"),
    ] {
        symlink(target, root.join(name)).expect("room");
    }
    symlink("../into", root.join("linked/dir")).expect("room");
    for name in ["hard1", "hard2"] {
        if name == "hard1" {
            write(root, name, "hard\n");
        } else {
            fs::hard_link(root.join("hard1"), root.join(name)).expect("room");
        }
    }
}

fn special(root: &Path, is_root: bool) {
    let make = |name: &str, kind, mode, device| {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(mode), device).expect("room");
    };
    make("pipe", FileType::Fifo, 0o644, 0);
    make("dir/pipe", FileType::Fifo, 0o600, 0);
    drop(UnixListener::bind(root.join("socket")).expect("room"));
    if is_root {
        make("null", FileType::CharacterDevice, 0o666, rustix::fs::makedev(1, 3));
    }
}

/// Gives all of it to user 65534.
fn give_away(root: &Path) {
    for path in walk(root) {
        let mode = path.symlink_metadata().expect("it is there").permissions();
        lchown(&path, Some(65534), Some(65534)).expect("root may");
        if !path.is_symlink() {
            // A change of the owner takes set-id bits away.
            fs::set_permissions(&path, mode).expect("root may");
        }
    }
}

/// The folder and all that is in it, from the leaves to the root.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found.push(folder.to_owned());
    found
}

fn set_times(root: &Path) {
    for path in walk(root) {
        let name = path.file_name().unwrap_or_default();
        let seconds = match name.to_str() {
            Some("newer") => NEWEST,
            Some("older") => OLDER,
            _ if path.ends_with("into/a") => OLDER,
            _ if path.ends_with("into/b") => NEWEST,
            _ => USUAL,
        };
        let time = |tv_sec| Timespec { tv_sec, tv_nsec: 123_456_789 };
        let times = Timestamps { last_access: time(seconds - 1000), last_modification: time(seconds) };
        utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("our own file");
    }
}
