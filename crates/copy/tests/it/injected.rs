//! Whatever system call fails, and however: one error says so in one line, the destination is the old one or the new
//! one, and no temporary file is left. What is only interrupted is tried again.

use std::fs;
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::thread;

use mapio_copy::{Backup, CopyOptions, Error, Follow, Placement, Sync, Target};
use mapio_testkit::{FaultyFs, Injection, Peer, SmallFs, pattern, report, skip};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{assert_holds, assert_no_temporaries, copy_all, line_of};

/// The system calls that may fail.
const CALLS: &str = "openat,newfstatat,?fstat,linkat,?renameat,renameat2,pwrite64,pread64,ftruncate,fallocate,fchmod,\
                     fchown,fsync,fsetxattr,flistxattr,flock,fadvise64,?fdatasync,?syncfs,?access,?faccessat,?faccessat2";
/// Why any of them may.
const REASONS: [&str; 5] = ["EIO", "ENOMEM", "EACCES", "EROFS", "EINTR"];
/// Why only some of them may.
const SPECIAL_REASONS: [(&str, &[&str]); 6] = [
    ("openat", &["EMFILE", "ETXTBSY", "EOPNOTSUPP", "ENOSPC"]),
    ("linkat", &["EPERM", "ENOSPC"]),
    ("pwrite64", &["ENOSPC", "EDQUOT", "EFBIG"]),
    ("fallocate", &["ENOSPC", "EOPNOTSUPP"]),
    ("fchown", &["EPERM"]),
    ("fsetxattr", &["EPERM", "EOPNOTSUPP", "ENOSPC"]),
];
/// Those that a signal may interrupt, by their man pages.
const INTERRUPTIBLE: [&str; 6] = ["openat", "pwrite64", "pread64", "ftruncate", "fallocate", "fsync"];
const OLD: &[u8] = b"the old destination";

fn new_bytes() -> Vec<u8> {
    pattern(40_000)
}

/// How a file is copied, by the word that the other process is told.
fn options_of(kind: &str) -> CopyOptions {
    let options = CopyOptions::new().buffer_bytes(NonZero::new(16 << 10).expect("not zero"));
    match kind {
        "new" | "replaced" => options,
        "atomic" => options.placement(Placement::Atomic),
        "flushed" => options.sync(Sync::File).verify(),
        "backup" => options.backup(Backup::Simple),
        "evicted" => options.evict(),
        "synced" => options.recursive().sync(Sync::Tree),
        "tree" => options.recursive().follow(Follow::Never).threads(NonZero::<usize>::MIN),
        _ => unreachable!("no such kind"),
    }
}

/// The other process's side: makes a copy in a folder, and answers its complaints.
fn serve(request: &str) -> String {
    let (kind, dir) = request.split_once('|').expect("two words");
    let (from, to) = (Path::new(dir).join("from"), Path::new(dir).join("to"));
    if kind == "stream" {
        return thread::scope(|scope| {
            scope.spawn(|| fs::write(&from, new_bytes()).expect("somebody reads"));
            let (_, errors) = copy_all(&CopyOptions::new(), std::slice::from_ref(&from), Target::Name(&to));
            errors.iter().map(line_of).collect::<Vec<_>>().join("\t")
        });
    }
    let (_, errors) = copy_all(&options_of(kind), &[from], Target::Name(&to));
    errors.iter().map(line_of).collect::<Vec<_>>().join("\t")
}

fn prepare(dir: &Path, kind: &str) {
    fs::write(dir.join("from"), new_bytes()).expect("room");
    if kind != "new" {
        fs::write(dir.join("to"), OLD).expect("room");
    }
}

/// Makes a copy whose system calls fail as told; answers what it has complained of.
fn copy_with(peer: &mut Peer, kind: &str, dir: &Path, injection: &str) -> Vec<String> {
    let injection = Injection::attach(peer.id(), CALLS, &[injection]).expect("it could be attached before");
    let answer = peer.ask(&format!("{kind}|{}", dir.display()));
    drop(injection);
    answer.split('\t').filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn any_call_that_fails_is_one_error_and_loses_nothing() {
    let test = "injected::any_call_that_fails_is_one_error_and_loses_nothing";
    let mut peer = Peer::start(test, serve);
    for kind in ["new", "replaced", "atomic", "flushed"] {
        let dir = tempfile::tempdir().expect("a folder");
        prepare(dir.path(), kind);
        let tracing = match Injection::attach(peer.id(), CALLS, &[]) {
            Ok(tracing) => tracing,
            Err(error) => return skip(test, &format!("strace can't be used: {error}")),
        };
        assert_eq!(peer.ask(&format!("{kind}|{}", dir.path().display())), "");
        let counts = tracing.detach().expect("a log");
        let (mut cases, mut failed) = (0, 0);
        for (call, count) in counts {
            for at in 1..=count {
                let special = SPECIAL_REASONS.iter().filter(|(of, _)| *of == call).flat_map(|(_, reasons)| *reasons);
                for reason in REASONS.iter().chain(special) {
                    let errors = fail_once(&mut peer, kind, (&call, at, reason));
                    cases += 1;
                    failed += errors;
                }
            }
        }
        report(test, &format!("{kind}: {cases} failures, {failed} of them errors"));
    }
}

/// Makes one call of a copy fail, and checks all that is promised. Answers the number of errors.
fn fail_once(peer: &mut Peer, kind: &str, (call, at, reason): (&str, usize, &str)) -> usize {
    let case = format!("{kind}, {call} {at}: {reason}");
    let dir = tempfile::tempdir().expect("a folder");
    prepare(dir.path(), kind);
    let errors = copy_with(peer, kind, dir.path(), &format!("{call}:error={reason}:when={at}"));
    assert!(errors.len() <= 1, "{case}: {errors:?}");
    let bytes = fs::read(dir.path().join("to")).ok();
    match errors.first() {
        None => assert!(bytes == Some(new_bytes()), "{case}: no error, but other bytes"),
        Some(line) => {
            let path = dir.path().display().to_string();
            assert!(line.contains(&path) && line.contains(": ") && !line.contains('\n'), "{case}: {line}");
            let old = (kind != "new").then(|| OLD.to_vec());
            // What could not be given its name alone was not given it; a folder that can't be flushed has the new one.
            assert!(
                bytes == old || (line.starts_with("flushing the folder") && bytes == Some(new_bytes())),
                "{case}: {line}: {bytes:?}"
            );
            assert!(reason != "EINTR" || !INTERRUPTIBLE.contains(&call), "{case}: was not tried again: {line}");
        }
    }
    assert_no_temporaries(dir.path(), &case);
    errors.len()
}

#[test]
fn a_mount_point_is_written_in_place_unless_it_must_not() {
    let test = "injected::a_mount_point_is_written_in_place_unless_it_must_not";
    let mut peer = Peer::start(test, serve);
    if let Err(error) = Injection::attach(peer.id(), CALLS, &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    for (kind, reason, is_copied) in
        [("replaced", "EBUSY", true), ("atomic", "EBUSY", false), ("replaced", "EXDEV", false)]
    {
        let dir = tempfile::tempdir().expect("a folder");
        prepare(dir.path(), kind);
        let errors = copy_with(&mut peer, kind, dir.path(), &format!("?renameat,renameat2:error={reason}"));
        let bytes = fs::read(dir.path().join("to")).expect("it is there");
        let expected = if is_copied { new_bytes() } else { OLD.to_vec() };
        assert!(bytes == expected && errors.is_empty() == is_copied, "{kind}, {reason}: {errors:?}");
        assert_no_temporaries(dir.path(), kind);
    }
}

#[test]
fn what_can_be_read_only_once_is_not_written_over_a_mount_point_when_it_is_gone() {
    let test = "injected::what_can_be_read_only_once_is_not_written_over_a_mount_point_when_it_is_gone";
    let mut peer = Peer::start(test, serve);
    if let Err(error) = Injection::attach(peer.id(), CALLS, &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    let dir = tempfile::tempdir().expect("a folder");
    mknodat(CWD, dir.path().join("from"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room");
    fs::write(dir.path().join("to"), OLD).expect("room");
    // A kernel that does not tell of mount points.
    let errors = copy_with(&mut peer, "stream", dir.path(), "?renameat,renameat2:error=EBUSY");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(fs::read(dir.path().join("to")).expect("it is there"), OLD);
}

#[test]
fn an_earlier_backup_gives_way_where_there_are_no_hard_links() {
    let test = "injected::an_earlier_backup_gives_way_where_there_are_no_hard_links";
    let mut peer = Peer::start(test, serve);
    if let Err(error) = Injection::attach(peer.id(), CALLS, &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    let dir = tempfile::tempdir().expect("a folder");
    prepare(dir.path(), "backup");
    fs::write(dir.path().join("to~"), "an earlier one").expect("room");
    // The first finds that the name is taken.
    let errors = copy_with(&mut peer, "backup", dir.path(), "linkat:error=EPERM:when=2");
    assert!(errors.is_empty(), "{errors:?}");
    assert!(fs::read(dir.path().join("to")).expect("the copy") == new_bytes());
    assert_eq!(fs::read(dir.path().join("to~")).expect("the backup"), OLD);
    assert_holds(dir.path(), &["from", "to", "to~"]);
}

#[test]
fn an_error_of_the_disk_is_told_whoever_meets_it() {
    let test = "injected::an_error_of_the_disk_is_told_whoever_meets_it";
    let mut peer = Peer::start(test, serve);
    if let Err(error) = Injection::attach(peer.id(), CALLS, &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    let dir = tempfile::tempdir().expect("a folder");
    prepare(dir.path(), "evicted");
    let errors = copy_with(&mut peer, "evicted", dir.path(), "fdatasync:error=EIO");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(fs::read(dir.path().join("to")).expect("it is there"), OLD);
    // A tree without a file is flushed, too.
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(dir.path().join("from/folder")).expect("room");
    let errors = copy_with(&mut peer, "synced", dir.path(), "syncfs:error=EIO");
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn the_other_files_of_a_tree_are_copied() {
    let test = "injected::the_other_files_of_a_tree_are_copied";
    let mut peer = Peer::start(test, serve);
    if let Err(error) = Injection::attach(peer.id(), CALLS, &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    for injection in ["pwrite64:error=ENOSPC:when=2", "pread64:error=EIO:when=3", "pwrite64:error=EDQUOT:when=5"] {
        let dir = tempfile::tempdir().expect("a folder");
        let from = dir.path().join("from");
        fs::create_dir(&from).expect("room");
        for name in ["a", "b", "c", "d"] {
            fs::write(from.join(name), new_bytes()).expect("room");
        }
        let errors = copy_with(&mut peer, "tree", dir.path(), injection);
        assert_eq!(errors.len(), 1, "{injection}: {errors:?}");
        let copied: Vec<_> = crate::support::names_below(&dir.path().join("to"));
        assert_eq!(copied.len(), 3, "{injection}: {copied:?}");
        assert!(copied.iter().all(|path| fs::read(path).is_ok_and(|bytes| bytes == new_bytes())), "{injection}");
    }
}

#[test]
fn a_source_that_cannot_be_read_at_a_byte_leaves_the_old_destination() {
    let test = "injected::a_source_that_cannot_be_read_at_a_byte_leaves_the_old_destination";
    let mut fs = match FaultyFs::new(test, 1 << 20) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a FUSE file system is not possible: {error}")),
    };
    fs.fail_reads(700_000..700_001, rustix::io::Errno::IO.raw_os_error());
    let dir = tempfile::tempdir().expect("a folder");
    let target = dir.path().join("target");
    fs::write(&target, OLD).expect("room");
    let options = CopyOptions::new().buffer_bytes(NonZero::new(4096).expect("not zero"));
    match options.copy(fs.file(), &target) {
        Err(Error::Os { path, source, .. }) => {
            assert_eq!((path, source.raw_os_error()), (fs.file(), Some(rustix::io::Errno::IO.raw_os_error())));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&target).expect("untouched"), OLD);
    assert_holds(dir.path(), &["target"]);
}

/// Nor can a new file be made there, so the old one is written in place.
#[test]
fn a_destination_that_takes_no_byte_is_an_error() {
    let test = "injected::a_destination_that_takes_no_byte_is_an_error";
    let mut fs = match FaultyFs::new(test, 1 << 16) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a FUSE file system is not possible: {error}")),
    };
    fs.fail_writes(Some(rustix::io::Errno::IO.raw_os_error()));
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    fs::write(&source, new_bytes()).expect("room");
    let error = CopyOptions::new().copy(&source, fs.file()).expect_err("it takes no byte");
    assert!(line_of(&error).contains(&fs.file().display().to_string()), "{}", line_of(&error));
}

#[test]
fn a_file_system_that_is_read_only_or_full_is_an_error() {
    let test = "injected::a_file_system_that_is_read_only_or_full_is_an_error";
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    fs::write(&source, pattern(24 << 20)).expect("room");
    let made: [(&str, std::io::Result<SmallFs>); 2] =
        [("tmpfs", SmallFs::tmpfs(1 << 20)), ("ext4", SmallFs::ext4(16 << 20))];
    for (name, fs) in made {
        let fs = match fs {
            Ok(fs) => fs,
            Err(error) => {
                skip(test, &format!("no {name}: {error}"));
                continue;
            }
        };
        let target = fs.path().join("target");
        fs::write(&target, OLD).expect("room");
        let before: Vec<_> = crate::support::names_below(fs.path());
        let expect = |kind: ErrorKind| {
            for to in [&target, &fs.path().join("new")] {
                match CopyOptions::new().copy(&source, to) {
                    Err(Error::Os { source, .. }) => assert_eq!(source.kind(), kind, "{name}"),
                    other => panic!("{name}: {other:?}"),
                }
            }
            assert_eq!(fs::read(&target).expect("untouched"), OLD, "{name}");
            assert_eq!(crate::support::names_below(fs.path()), before, "{name}");
        };
        expect(ErrorKind::StorageFull);
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(fs.path()).status();
        if remounted.is_ok_and(|status| status.success()) {
            expect(ErrorKind::ReadOnlyFilesystem);
        } else {
            skip(test, &format!("{name} could not be made read-only"));
        }
    }
}
