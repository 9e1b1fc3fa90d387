//! All that is in a folder, as text: a line for each name.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::scene::{self, NEWEST};

/// Files of at least this length have their holes looked at, in bytes.
const HOLES_FROM: u64 = 64 << 10;

/// How long a path is followed, in bytes.
const LONGEST_PATH: usize = 3000;

/// Which folders' times are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderTimes {
    Shown,
    /// Only of folders that were not there before: a file that is replaced instead of written in place changes its
    /// folder's time.
    OfNewOnes,
}

/// Describes what is below a folder.
pub(super) fn of(folder: &Path, times: FolderTimes) -> String {
    let mut names = Vec::new();
    collect(folder, folder, &mut names);
    names.sort();
    let mut files = HashMap::new();
    let mut text = String::new();
    for name in names {
        let path = folder.join(std::ffi::OsStr::from_bytes(&name));
        let metadata = path.symlink_metadata().expect("it was just there");
        let shown = name.escape_ascii().to_string();
        let first = files.entry((metadata.dev(), metadata.ino())).or_insert_with(|| shown.clone());
        let links =
            if metadata.nlink() > 1 && !metadata.is_dir() { format!(" linked to {first}") } else { String::new() };
        let _ = writeln!(text, "{shown}: {}{links}", describe(&path, &metadata, times));
    }
    text
}

fn collect(root: &Path, folder: &Path, names: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        names.push(path.strip_prefix(root).expect("below it").as_os_str().as_bytes().to_vec());
        // What was copied into itself may go deeper than a path can say.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && path.as_os_str().len() < LONGEST_PATH {
            collect(root, &path, names);
        }
    }
}

fn describe(path: &Path, metadata: &Metadata, times: FolderTimes) -> String {
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        "folder".to_owned()
    } else if kind.is_symlink() {
        format!("link to {}", fs::read_link(path).expect("a link").as_os_str().as_bytes().escape_ascii())
    } else if kind.is_file() {
        contents(path, metadata.len())
    } else if kind.is_fifo() {
        "pipe".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else {
        format!("device {:x}", metadata.rdev())
    };
    // What is older than the test was kept; what is younger was made, and both may have been made at another time.
    let is_scenes = scene::FOLDERS.iter().any(|folder| path.ends_with(folder));
    let modified = match metadata.mtime() {
        _ if times == FolderTimes::OfNewOnes && kind.is_dir() && is_scenes => String::new(),
        seconds if seconds > NEWEST => "now".to_owned(),
        seconds => format!("{seconds}.{:09}", metadata.mtime_nsec()),
    };
    let (mode, user, group) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    format!("{what}, {mode:04o} {user}:{group} {modified}{}", attributes(path))
}

fn contents(path: &Path, len: u64) -> String {
    let bytes = fs::read(path).expect("root, or the owner, may read it");
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let start = &bytes[..bytes.len().min(40)];
    let mut text = format!("{len} bytes '{}' {:x}", start.escape_ascii(), hasher.finish());
    if len >= HOLES_FROM {
        let file = File::open(path).expect("it was just read");
        let mut at = 0;
        while let Ok(start) = rustix::fs::seek(&file, SeekFrom::Data(at)) {
            at = rustix::fs::seek(&file, SeekFrom::Hole(start)).expect("an end of the data");
            let _ = write!(text, " {start}..{at}");
        }
    }
    text
}

fn attributes(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let len = match rustix::fs::llistxattr(path, &mut names) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let mut all: Vec<_> = names[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty()).collect();
    all.sort();
    let mut text = String::new();
    for name in all {
        let mut value = vec![0; 4096];
        let len = rustix::fs::lgetxattr(path, std::ffi::OsStr::from_bytes(name), &mut value).expect("it is listed");
        let _ = write!(text, " {}={}", name.escape_ascii(), value[..len].escape_ascii());
    }
    text
}
