//! What is Windows' own: attributes, streams, names that differ in case, files that others have open, long paths.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::windows::fs::{FileTimesExt, MetadataExt, OpenOptionsExt, symlink_file};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mapio_copy::{
    Attribute, Backup, CopyOptions, Engine, Error, Existing, Facts, Follow, Meter, Method, NamedFile, Placed, Plan,
    Preserve, Reflink, Refusal, Request, Sparse, Target, Workspace, transfer,
};
use mapio_testkit::{is_wine, pattern, report, skip};
use tempfile::TempDir;

use crate::support::{assert_holds, assert_no_temporaries, copy_all, line_of, names_below};

/// Attributes, by their numbers in Microsoft's documentation.
const READONLY: u32 = 1;
const HIDDEN: u32 = 2;

/// Says which modules of these tests are not for Windows.
#[test]
fn what_is_left_out_is_told() {
    for (module, reason) in [
        ("combined::linux", "it is about owners, permission bits, pipes with names, devices and mounts"),
        ("comparing::linux", "it is about /proc, FUSE, and files that are cut while they are mapped"),
        ("contract::linux", "it is about permission bits, /proc, sockets and devices"),
        ("engines", "it makes file systems on loop devices"),
        ("harmed", "it makes file systems that fail"),
        ("injected", "it makes system calls fail by ptrace(2)"),
        ("killed", "it kills processes at system calls by ptrace(2)"),
        ("nothing_lost::linux", "it is about symbolic links, owners and a small tmpfs"),
        ("nothing_lost::Change::Shrink", "Windows cuts no file that is mapped"),
        ("resume::linux", "it is about links, flock(2) and permission bits"),
        ("streams::linux", "it is about /dev/null, blocks on the disk and splice(2)"),
        ("trees", "it is about links, owners, access control lists and limits of descriptors"),
    ] {
        skip(module, reason);
    }
}

fn folder() -> (TempDir, impl Fn(&str) -> PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().to_owned();
    (dir, move |name: &str| root.join(name))
}

fn old_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)
}

#[test]
fn attributes_and_the_time_of_the_last_write_are_copied_without_being_asked_for() {
    let (dir, path) = folder();
    let (source, target) = (path("source"), path("target"));
    let mut file = File::options().write(true).create_new(true).attributes(HIDDEN).open(&source).expect("room");
    file.write_all(b"bytes").expect("room");
    file.set_modified(old_time()).expect("own file");
    drop(file);
    for existing in [false, true] {
        let placed = CopyOptions::new().copy(&source, &target).expect("a copy").placed;
        assert_eq!(placed, if existing { Placed::Replaced } else { Placed::Whole });
        let metadata = target.metadata().expect("the copy");
        assert_eq!(metadata.file_attributes() & HIDDEN, HIDDEN);
        assert_eq!(metadata.modified().expect("it has one"), old_time());
    }
    // Not if the attributes are not to be kept.
    let without = Preserve { mode: mapio_copy::ModeFrom::Umask, ..Preserve::default() };
    CopyOptions::new().preserve(without).copy(&source, path("plain")).expect("a copy");
    assert_eq!(path("plain").metadata().expect("the copy").file_attributes() & HIDDEN, 0);
    assert_holds(dir.path(), &["plain", "source", "target"]);
}

#[test]
fn all_times_are_kept_if_they_are_asked_for() {
    let (_dir, path) = folder();
    let (source, target) = (path("source"), path("target"));
    fs::write(&source, "bytes").expect("room");
    let times = fs::FileTimes::new().set_accessed(old_time()).set_modified(old_time()).set_created(old_time());
    File::options().write(true).open(&source).and_then(|file| file.set_times(times)).expect("own file");
    // What the system keeps of them is what is copied.
    let kept = source.metadata().expect("a file");
    let created = kept.created().expect("it has one");
    let preserve = Preserve { timestamps: Attribute::Require, ..Preserve::default() };
    CopyOptions::new().preserve(preserve).copy(&source, &target).expect("a copy");
    let metadata = target.metadata().expect("the copy");
    assert_eq!(metadata.modified().expect("it has one"), old_time());
    if is_wine() {
        skip(
            "the time of the last access",
            "Wine reads the file's first bytes before it tells the times, which changes it",
        );
    } else {
        assert_eq!(metadata.accessed().expect("it has one"), kept.accessed().expect("it has one"));
    }
    if created == old_time() {
        assert_eq!(metadata.created().expect("it has one"), created);
    } else {
        skip("all_times_are_kept_if_they_are_asked_for", "the time of making can't be set here");
    }
}

#[test]
fn a_read_only_file_is_copied_and_gives_way_only_to_force() {
    let (dir, path) = folder();
    let (source, target) = (path("source"), path("target"));
    fs::write(&source, "bytes").expect("room");
    let read_only = |path: &Path, is_set| {
        let mut permissions = path.metadata().expect("a file").permissions();
        permissions.set_readonly(is_set);
        fs::set_permissions(path, permissions).expect("own file");
    };
    read_only(&source, true);
    CopyOptions::new().copy(&source, &target).expect("a copy");
    assert_eq!(target.metadata().expect("the copy").file_attributes() & READONLY, READONLY);
    if File::options().write(true).open(&target).is_ok() {
        skip("a_read_only_file_is_copied_and_gives_way_only_to_force", "this user may write to read-only files");
    } else {
        let refused = CopyOptions::new().copy(&source, &target).expect_err("it is read-only");
        let is_denied = matches!(&refused, Error::Os { source, .. } if source.kind() == ErrorKind::PermissionDenied);
        assert!(is_denied, "{refused:?}");
    }
    CopyOptions::new().force().copy(&source, &target).expect("a copy");
    assert_eq!(fs::read(&target).expect("the copy"), b"bytes");
    assert_holds(dir.path(), &["source", "target"]);
    for path in [&source, &target] {
        read_only(path, false);
    }
}

#[test]
fn streams_beside_the_contents_are_copied() {
    let (dir, path) = folder();
    let (source, target) = (path("source"), path("target"));
    fs::write(&source, "bytes").expect("room");
    // Where there are no streams, that is the name of a file, or none at all.
    if fs::write(path("source:tag"), "a stream").is_err() || names_below(dir.path()).len() > 1 {
        return skip("streams_beside_the_contents_are_copied", "this file system has no streams");
    }
    CopyOptions::new().copy(&source, &target).expect("a copy");
    assert_eq!(fs::read(path("target:tag")).expect("the stream"), b"a stream");
    assert_eq!(fs::read(&target).expect("the copy"), b"bytes");
}

#[test]
fn names_that_differ_in_case_are_one_file() {
    let (dir, path) = folder();
    fs::write(path("Name"), "bytes").expect("room");
    if !path("nAME").exists() {
        return skip("names_that_differ_in_case_are_one_file", "this folder tells them apart");
    }
    let refused = CopyOptions::new().copy(path("Name"), path("nAME"));
    assert!(matches!(refused, Err(Error::SameFile { .. })), "{refused:?}");
    // Twice the same operand is told of once, and copied once.
    fs::create_dir(path("folder")).expect("room");
    let (summary, errors) =
        copy_all(&CopyOptions::new(), &[path("Name"), path("nAME")], Target::Folder(&path("folder")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(summary.files, 1);
    assert_holds(&path("folder"), &["Name"]);
    assert_holds(dir.path(), &["Name", "folder"]);
}

#[test]
fn a_file_that_somebody_shares_with_nobody_is_one_clear_line() {
    let (dir, path) = folder();
    let (source, target) = (path("source"), path("target"));
    fs::write(&source, "bytes").expect("room");
    fs::write(&target, "old").expect("room");
    // ERROR_SHARING_VIOLATION.
    let is_sharing = |error: &Error| {
        std::error::Error::source(error)
            .and_then(|reason| reason.downcast_ref::<std::io::Error>())
            .is_some_and(|reason| reason.raw_os_error() == Some(32))
    };
    for (held, operation) in [(&source, "source"), (&target, "target")] {
        let holder = File::options().read(true).share_mode(0).open(held).expect("nobody else has it");
        let refused = CopyOptions::new().copy(&source, &target).expect_err("somebody has it");
        assert!(is_sharing(&refused), "{operation}: {refused:?}");
        let line = line_of(&refused);
        assert!(line.contains(operation) && line.lines().count() == 1, "{line}");
        drop(holder);
        assert_eq!(fs::read(&target).expect("the old one"), b"old");
    }
    assert_holds(dir.path(), &["source", "target"]);
    CopyOptions::new().copy(&source, &target).expect("nobody has it now");
}

#[test]
fn paths_may_be_longer_than_260_characters() {
    let (dir, path) = folder();
    let name = "n".repeat(100);
    let mut deep = path("top");
    // Made name by name from below, as the long path is what is tested.
    let verbatim = PathBuf::from(format!(r"\\?\{}", dir.path().display()));
    let mut made = verbatim.join("top");
    for _ in 0..4 {
        deep.push(&name);
        made.push(&name);
    }
    fs::create_dir_all(&made).expect("room");
    fs::write(made.join("file"), "bytes").expect("room");
    let (summary, errors) =
        copy_all(&CopyOptions::new().recursive().follow(Follow::Never), &[path("top")], Target::Name(&path("copy")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.folders), (1, 5));
    // Both ways of saying it.
    CopyOptions::new().copy(deep.join("file"), deep.join("other")).expect("a copy");
    CopyOptions::new().copy(made.join("other"), made.join("third")).expect("a copy");
    assert_eq!(fs::read(made.join("third")).expect("the copy"), b"bytes");
}

#[test]
fn a_tree_is_copied_with_all_that_is_in_it() {
    let (dir, path) = folder();
    let mut files = 0;
    for folder in 0..7 {
        let folder = path("tree").join(format!("folder {folder}")).join("inner");
        fs::create_dir_all(&folder).expect("room");
        for file in 0..30 {
            fs::write(folder.join(format!("file-\u{20ac}-{file}")), pattern(file * 1000)).expect("room");
            files += 1;
        }
    }
    let (summary, errors) =
        copy_all(&CopyOptions::new().recursive().follow(Follow::Never), &[path("tree")], Target::Any(&path("copy")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.folders, summary.failed), (files, 15, 0));
    let below = |top: PathBuf| -> Vec<(PathBuf, Vec<u8>)> {
        let names = names_below(&top).into_iter();
        let contents = |path: &PathBuf| fs::read(path).unwrap_or_default();
        names.map(|path| (path.strip_prefix(&top).expect("below it").to_owned(), contents(&path))).collect()
    };
    assert!(below(path("tree")) == below(path("copy")), "other names, or other bytes");
    assert_no_temporaries(dir.path(), "a tree");
    // Into itself it is not copied, by whatever case it is named.
    let (_, errors) =
        copy_all(&CopyOptions::new().recursive().follow(Follow::Never), &[path("tree")], Target::Any(&path("TREE")));
    assert!(matches!(errors[..], [Error::Refused { refusal: Refusal::IntoItself, .. }]), "{errors:?}");
}

#[test]
fn a_destination_keeps_its_owner_and_its_access_control_list() {
    let (dir, path) = folder();
    fs::write(path("source"), "new").expect("room");
    fs::write(path("target"), "old").expect("room");
    for sources in [Preserve::default(), Preserve { mode: mapio_copy::ModeFrom::Source, ..Preserve::default() }] {
        let done = CopyOptions::new().preserve(sources).copy(path("source"), path("target")).expect("a copy");
        assert_eq!(done.placed, Placed::Replaced);
        assert_eq!(fs::read(path("target")).expect("the copy"), b"new");
    }
    assert_holds(dir.path(), &["source", "target"]);
}

#[test]
fn backups_hard_links_and_what_exists_are_what_they_are_elsewhere() {
    let (dir, path) = folder();
    fs::write(path("a"), "new").expect("room");
    fs::write(path("b"), "old").expect("room");
    CopyOptions::new().backup(Backup::Numbered).copy(path("a"), path("b")).expect("a copy");
    CopyOptions::new().backup(Backup::Numbered).copy(path("a"), path("b")).expect("a copy");
    assert_eq!(fs::read(path("b.~1~")).expect("the backup"), b"old");
    assert_eq!(fs::read(path("b.~2~")).expect("the backup"), b"new");
    CopyOptions::new().existing(Existing::Fail).copy(path("a"), path("b")).expect_err("it exists");
    let (summary, errors) =
        copy_all(&CopyOptions::new().method(Method::HardLink), &[path("a")], Target::Name(&path("c")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(summary.links, 1);
    // A file with two names stays the same.
    fs::write(path("d"), "other").expect("room");
    assert_eq!(CopyOptions::new().copy(path("d"), path("c")).expect("a copy").placed, Placed::InPlace);
    assert_eq!(fs::read(path("a")).expect("the other name"), b"other");
    assert_holds(dir.path(), &["a", "b", "b.~1~", "b.~2~", "c", "d"]);
}

#[test]
fn symbolic_links_are_copied_as_links_where_they_can_be_made() {
    let (_dir, path) = folder();
    fs::write(path("file"), "bytes").expect("room");
    let made = symlink_file("file", path("link"));
    if made.is_err() || !path("link").is_symlink() {
        let why = "no symbolic link can be made: that takes a right, or developer mode";
        return skip("symbolic_links_are_copied_as_links_where_they_can_be_made", why);
    }
    let (_, errors) = copy_all(&CopyOptions::new().follow(Follow::Never), &[path("link")], Target::Name(&path("copy")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(fs::read_link(path("copy")).expect("a link"), Path::new("file"));
}

#[test]
fn reserved_names_are_devices() {
    let (dir, path) = folder();
    fs::write(path("source"), pattern(10_000)).expect("room");
    let (summary, errors) = copy_all(&CopyOptions::new(), &[path("source")], Target::Name(Path::new("NUL")));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.bytes), (1, 10_000));
    assert_holds(dir.path(), &["source"]);
}

#[test]
fn what_is_linuxs_is_refused_by_name_and_done_otherwise() {
    let (_dir, path) = folder();
    fs::write(path("source"), pattern(100_000)).expect("room");
    for (engine, part) in [
        (Engine::Uring, "io_uring is Linux's"),
        (Engine::Splice, "splice is Linux's"),
        (Engine::CopyFileRange, "CopyFileEx copies by paths"),
        (Engine::Reflink, "ReFS"),
    ] {
        let done = CopyOptions::new().engine(engine).copy(path("source"), path("target")).expect("a copy").transferred;
        match done.fallback {
            Some(fallback) => assert!(fallback.reason.contains(part), "{engine}: {}", fallback.reason),
            // On ReFS.
            None => assert_eq!(engine, Engine::Reflink),
        }
    }
    match CopyOptions::new().reflink(Reflink::Always).copy(path("source"), path("target")) {
        Ok(done) => assert_eq!(done.transferred.engine, Engine::Reflink),
        Err(error) => assert!(line_of(&error).starts_with("failed to clone"), "{error:?}"),
    }
    for engine in [Engine::Direct, Engine::Mapped] {
        let done = CopyOptions::new().engine(engine).copy(path("source"), path("target")).expect("a copy").transferred;
        let reason = done.fallback.map_or_else(|| "it did it itself".to_owned(), |fallback| fallback.reason);
        report("what_is_linuxs_is_refused_by_name_and_done_otherwise", &format!("{engine}: {reason}"));
    }
}

#[test]
fn handles_whose_calls_do_not_wait_are_read_and_written() {
    // FILE_FLAG_OVERLAPPED.
    const OVERLAPPED: u32 = 0x4000_0000;
    let (_dir, path) = folder();
    let bytes = pattern(300_000);
    fs::write(path("source"), &bytes).expect("room");
    let source = File::options().read(true).custom_flags(OVERLAPPED).open(path("source")).expect("a file");
    for sparse in [Sparse::Auto, Sparse::Always, Sparse::Never] {
        let mut made = File::options();
        made.read(true).write(true).create(true).truncate(true).custom_flags(OVERLAPPED);
        let destination = made.open(path("target")).expect("room");
        // As if it had holes.
        let facts = Facts { allocated: 0, ..Facts::new(300_000) };
        let plan = Plan::new(Request { sparse, ..Request::default() }, facts);
        let (from, to) = (path("source"), path("target"));
        let (from, to) = (NamedFile::new(&source, &from), NamedFile::new(&destination, &to));
        transfer(from, to, 300_000, &plan, &Meter::new(), &mut Workspace::new()).expect("a copy");
        drop(destination);
        assert!(fs::read(path("target")).expect("the copy") == bytes, "{sparse:?}");
    }
}

#[test]
fn what_is_being_copied_may_be_read_meanwhile_and_may_be_open_afterwards() {
    let (dir, path) = folder();
    fs::write(path("source"), "new").expect("room");
    fs::write(path("target"), "old").expect("room");
    let mut reader = File::open(path("target")).expect("a file");
    CopyOptions::new().copy(path("source"), path("target")).expect("a copy");
    let mut seen = String::new();
    reader.read_to_string(&mut seen).expect("a file");
    // Who has the old file open keeps it, unless it could only be written in place.
    assert!(["old", "new"].contains(&&*seen), "{seen}");
    assert_eq!(fs::read(path("target")).expect("the copy"), b"new");
    drop(reader);
    assert_holds(dir.path(), &["source", "target"]);
}
