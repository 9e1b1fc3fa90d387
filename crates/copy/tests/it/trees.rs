//! Trees of any depth, breadth and kind, with few descriptors and little memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, File, FileTimes, Permissions};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::slice::from_ref;
use std::time::{Duration, SystemTime};

use mapio_copy::{Attribute, CopyOptions, Error, Follow, ModeFrom, Preserve, Refusal, Target};
use mapio_testkit::{Peer, report, skip};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, mkdirat, mknodat, openat, unlinkat};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::support::{copy_all, line_of, mark, mark_of, picture_of};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn threads(count: usize) -> NonZero<usize> {
    NonZero::new(count).expect("not zero")
}

/// As `cp -a`.
fn archive() -> CopyOptions {
    let is_root = rustix::process::geteuid().is_root();
    let preserve = Preserve {
        mode: ModeFrom::Source,
        ownership: if is_root { Attribute::Require } else { Attribute::Leave },
        timestamps: Attribute::Require,
        links: Attribute::Require,
        context: Attribute::Leave,
        xattr: Attribute::Require,
    };
    CopyOptions::new().recursive().follow(Follow::Never).preserve(preserve)
}

/// A chain of folders of long names, with a file in each, deeper than any path can tell.
struct Chain {
    levels: usize,
    name: CString,
}

impl Chain {
    fn new(levels: usize) -> Self {
        Self { levels, name: CString::new("d".repeat(200)).expect("no zero") }
    }

    fn make(&self, top: &Path) {
        let mut folder = openat(CWD, top, FOLDER, Mode::empty()).expect("the top");
        for _ in 0..self.levels {
            mkdirat(&folder, &self.name, Mode::RWXU).expect("room");
            self.make_file(&folder);
            folder = openat(&folder, &self.name, FOLDER, Mode::empty()).expect("just made");
        }
    }

    fn make_file(&self, folder: &OwnedFd) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let file = openat(folder, c"file", flags, Mode::RUSR | Mode::WUSR).expect("room");
        rustix::io::write(&file, b"bytes").expect("room");
    }

    /// Removes it from the deepest folder up, and answers how many levels with a file there were.
    fn remove(&self, top: &Path) -> usize {
        let mut folder = openat(CWD, top, FOLDER, Mode::empty()).expect("the top");
        let mut depth = 0;
        while let Ok(below) = openat(&folder, &self.name, FOLDER, Mode::empty()) {
            folder = below;
            depth += 1;
        }
        let mut files = 0;
        for _ in 0..depth {
            folder = openat(&folder, c"..", FOLDER, Mode::empty()).expect("the way that it came");
            files += usize::from(unlinkat(&folder, c"file", AtFlags::empty()).is_ok());
            unlinkat(&folder, &self.name, AtFlags::REMOVEDIR).expect("it is empty");
        }
        files
    }
}

#[test]
fn a_tree_deeper_than_any_path_is_copied_with_few_descriptors() {
    let test = "trees::a_tree_deeper_than_any_path_is_copied_with_few_descriptors";
    let mut peer = Peer::start(test, |request| {
        let (limit, dir) = request.split_once(' ').expect("two words");
        let mut limits = getrlimit(Resource::Nofile);
        limits.current = limit.parse().ok();
        setrlimit(Resource::Nofile, limits).expect("lowering is allowed");
        let dir = Path::new(dir);
        let (_, errors) = copy_all(&archive().threads(threads(8)), &[dir.join("from")], Target::Name(&dir.join("to")));
        errors.first().map(|error| line_of(error)[..200.min(line_of(error).len())].to_owned()).unwrap_or_default()
    });
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    let chain = Chain::new(3000);
    fs::create_dir(dir.path().join("from")).expect("room");
    chain.make(&dir.path().join("from"));
    let mut answers = Vec::new();
    for limit in [256, 40] {
        let answer = peer.ask(&format!("{limit} {}", dir.path().display()));
        answers.push((limit, answer, chain.remove(&dir.path().join("to"))));
        fs::remove_dir(dir.path().join("to")).expect("it is empty");
    }
    chain.remove(&dir.path().join("from"));
    for (limit, answer, files) in answers {
        assert_eq!((answer.as_str(), files), ("", chain.levels), "{limit} descriptors");
    }
}

#[test]
fn a_broad_tree_with_few_descriptors_and_many_threads_is_copied() {
    let test = "trees::a_broad_tree_with_few_descriptors_and_many_threads_is_copied";
    let mut peer = Peer::start(test, |dir| {
        let mut limits = getrlimit(Resource::Nofile);
        limits.current = Some(40);
        setrlimit(Resource::Nofile, limits).expect("lowering is allowed");
        let dir = Path::new(dir);
        let (_, errors) = copy_all(&archive().threads(threads(16)), &[dir.join("from")], Target::Name(&dir.join("to")));
        errors.iter().map(line_of).collect::<Vec<_>>().join("; ")
    });
    let dir = tempfile::tempdir().expect("a folder");
    for folder in 0..60 {
        let path = dir.path().join(format!("from/{}/{folder}/below", folder % 6));
        fs::create_dir_all(&path).expect("room");
        for file in 0..5 {
            fs::write(path.join(file.to_string()), "bytes").expect("room");
        }
    }
    assert_eq!(peer.ask(&dir.path().display().to_string()), "");
    assert_eq!(picture_of(&dir.path().join("to")), picture_of(&dir.path().join("from")));
}

#[test]
fn a_folder_of_many_files_takes_little_memory() {
    let test = "trees::a_folder_of_many_files_takes_little_memory";
    let mut peer = Peer::start(test, |dir| {
        let dir = Path::new(dir);
        let options = CopyOptions::new().recursive().threads(threads(4));
        let (summary, errors) = copy_all(&options, &[dir.join("from")], Target::Name(&dir.join("to")));
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).and_then(|line| line.split_whitespace().next());
        format!("{} {} {}", summary.files, errors.len(), peak.unwrap_or("0"))
    });
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    fs::create_dir(dir.path().join("from")).expect("room");
    let folder = openat(CWD, dir.path().join("from"), FOLDER, Mode::empty()).expect("just made");
    for number in 0..50_000 {
        let name = CString::new(format!("file-{number}")).expect("no zero");
        mknodat(&folder, &name, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0).expect("room");
    }
    let answer = peer.ask(&dir.path().display().to_string());
    let numbers: Vec<u64> = answer.split(' ').map(|number| number.parse().expect("a number")).collect();
    assert_eq!(numbers[..2], [50_000, 0]);
    // The process is a test executable of some 10 MB, and grows by what the copy takes.
    assert!(numbers[2] < 40_000, "{} kB at most", numbers[2]);
    assert_eq!(fs::read_dir(dir.path().join("to")).expect("the copy").count(), 50_000);
    report(test, &format!("50,000 files in {} kB", numbers[2]));
}

#[test]
fn hard_links_are_kept_by_eight_threads() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |group: usize, name: usize| dir.path().join(format!("from/{}/{group}-{name}", (group * 7 + name) % 13));
    for folder in 0..13 {
        fs::create_dir_all(dir.path().join(format!("from/{folder}"))).expect("room");
    }
    for group in 0..200 {
        fs::write(path(group, 0), format!("group {group}")).expect("room");
        for name in 1..2 + group % 4 {
            fs::hard_link(path(group, 0), path(group, name)).expect("room");
        }
    }
    // Into a new folder, and then over what is there: each name is replaced, and the groups are the same.
    for round in ["new", "again"] {
        let to = dir.path().join("to");
        let (_, errors) = copy_all(&archive().threads(threads(8)), &[dir.path().join("from")], Target::Name(&to));
        assert!(errors.is_empty(), "{round}: {errors:?}");
        assert_eq!(picture_of(&to), picture_of(&dir.path().join("from")), "{round}");
    }
}

#[test]
fn attributes_of_files_and_folders_are_those_of_the_source() {
    let dir = tempfile::tempdir().expect("a folder");
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("closed/inner")).expect("room");
    fs::write(from.join("closed/inner/file"), "bytes").expect("room");
    symlink("nowhere", from.join("closed/link")).expect("room");
    mknodat(CWD, from.join("closed/pipe"), FileType::Fifo, Mode::from_raw_mode(0o620), 0).expect("room");
    let file = from.join("closed/inner/file");
    let has_marks = mark(&file, "kept") && mark(&from.join("closed"), "kept too");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&file, Some(1234), Some(2345)).expect("root may");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o6711)).expect("own file");
    // Nobody, one more reader, and the group's mask: version 2, then entries of tag, permissions and id.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 4, 4321), (4, 1, u32::MAX), (16, 5, u32::MAX), (32, 1, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let access = "system.posix_acl_access";
    let has_list = rustix::fs::setxattr(&file, access, &list, XattrFlags::empty()).is_ok();
    for (name, ns) in [("closed/inner/file", 1), ("closed/inner", 123_456_789), ("closed", 987_654_321), ("", 5)] {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, ns);
        let times = FileTimes::new().set_accessed(time - Duration::new(1, 1)).set_modified(time);
        File::open(from.join(name)).and_then(|file| file.set_times(times)).expect("own file");
    }
    fs::set_permissions(from.join("closed/inner"), Permissions::from_mode(0o555)).expect("own folder");
    fs::set_permissions(from.join("closed"), Permissions::from_mode(0o3555)).expect("own folder");

    let to = dir.path().join("to");
    let (_, errors) = copy_all(&archive().threads(threads(4)), from_ref(&from), Target::Name(&to));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(picture_of(&to), picture_of(&from));
    for name in ["closed/inner/file", "closed/inner", "closed", ""] {
        let of = |top: &Path| {
            let metadata = top.join(name).metadata().expect("it is there");
            (metadata.mtime(), metadata.mtime_nsec())
        };
        assert_eq!(of(&to), of(&from), "{name:?}");
    }
    let copy = to.join("closed/inner/file");
    if has_marks {
        assert_eq!(mark_of(&copy).as_deref(), Some("kept"));
        assert_eq!(mark_of(&to.join("closed")).as_deref(), Some("kept too"));
    } else {
        skip("attributes_of_files_and_folders", "no extended attributes here");
    }
    if has_list {
        let mut buffer = [0; 256];
        let len = rustix::fs::getxattr(&copy, access, &mut buffer[..]).expect("the list");
        assert_eq!(buffer[..len], list);
    } else {
        skip("attributes_of_files_and_folders", "no access control lists here");
    }
    // For whoever removes it, who may not be root.
    for top in [&from, &to] {
        for name in ["closed", "closed/inner"] {
            fs::set_permissions(top.join(name), Permissions::from_mode(0o755)).expect("own folder");
        }
    }
}

#[test]
fn folders_that_nobody_may_write_to_are_filled_by_who_is_not_root() {
    let test = "trees::folders_that_nobody_may_write_to_are_filled_by_who_is_not_root";
    let mut peer = Peer::start(test, |dir| {
        let dir = Path::new(dir);
        let nobody = rustix::process::Uid::from_raw(65534);
        if rustix::process::geteuid().is_root() && rustix::thread::set_thread_uid(nobody).is_err() {
            return "cannot become nobody".to_owned();
        }
        let mut options = archive();
        // The umask alone, and the source's mode.
        for name in ["plain", "archive"] {
            let (_, errors) =
                copy_all(&options.threads(threads(1)), &[dir.join("from")], Target::Name(&dir.join(name)));
            if let Some(error) = errors.first() {
                return line_of(error);
            }
            options = CopyOptions::new().recursive().follow(Follow::Never);
        }
        String::new()
    });
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("own folder");
    fs::create_dir_all(dir.path().join("from/closed")).expect("room");
    fs::write(dir.path().join("from/closed/file"), "bytes").expect("room");
    fs::set_permissions(dir.path().join("from/closed"), Permissions::from_mode(0o555)).expect("own folder");
    let answer = peer.ask(&dir.path().display().to_string());
    if answer.contains("nobody") {
        return skip(test, &answer);
    }
    assert_eq!(answer, "");
    for name in ["plain", "archive"] {
        let closed = dir.path().join(name).join("closed");
        assert_eq!(closed.metadata().expect("the copy").mode() & 0o777, 0o555, "{name}");
        assert_eq!(fs::read(closed.join("file")).expect("the copy"), b"bytes");
    }
    for name in ["from", "plain", "archive"] {
        // By its owner, or by root.
        let _ = fs::set_permissions(dir.path().join(name).join("closed"), Permissions::from_mode(0o755));
    }
}

#[test]
fn a_tree_that_contains_itself_or_its_copy_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("below")).expect("room");
    fs::write(from.join("below/file"), "bytes").expect("room");
    symlink("../..", from.join("below/up")).expect("room");
    let options = CopyOptions::new().recursive().follow(Follow::Always);
    for count in [1, 4] {
        let to = tempfile::tempdir().expect("a folder");
        let (_, errors) = copy_all(&options.clone().threads(threads(count)), from_ref(&from), Target::Any(to.path()));
        let cycles = errors.iter().filter(|error| matches!(error, Error::Refused { refusal: Refusal::Cycle, .. }));
        assert!(cycles.count() == 1 && errors.len() == 1, "{errors:?}");
        assert_eq!(fs::read(to.path().join("from/below/file")).expect("the copy"), b"bytes");
    }
    fs::remove_file(from.join("below/up")).expect("own link");
    let inside = from.join("below/copy");
    let (_, errors) = copy_all(&options.follow(Follow::Never), from_ref(&from), Target::Name(&inside));
    assert!(matches!(errors[..], [Error::Refused { refusal: Refusal::IntoItself, .. }]), "{errors:?}");
    let mut copies = BTreeSet::new();
    let mut depths = BTreeMap::new();
    for path in crate::support::names_below(&from) {
        *depths.entry(path.components().filter(|part| part.as_os_str() == "copy").count()).or_insert(0) += 1;
        copies.insert(path);
    }
    assert!(depths.keys().all(|&depth| depth <= 1), "{copies:?}");
}
