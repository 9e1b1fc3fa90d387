//! A copy that is killed, by SIGKILL, at any system call that changes something: what it leaves is the old destination
//! or the new one, whole; and the same copy, made again, succeeds and leaves nothing else.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use mapio_copy::{Attribute, Backup, CopyOptions, Follow, Method, ModeFrom, Placement, Preserve, Sync, Target};
use mapio_testkit::{Injection, Peer, pattern, report, skip};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{assert_no_temporaries, copy_all, line_of, mark, mark_of, picture_of};

/// The system calls that change something, or that let go of it.
const CALLS: &str = "openat,linkat,?renameat,renameat2,unlinkat,pwrite64,write,ftruncate,fallocate,fchmod,fchown,\
                     fchownat,utimensat,fsetxattr,fremovexattr,symlinkat,mkdirat,mknodat,close,flock,fsync,\
                     copy_file_range,?fchmodat,?access,?faccessat,?faccessat2";

const OLD: &[u8] = b"the old destination";
/// The owner of old destinations, where the tests may give files away.
const OWNER: (u32, u32) = (65534, 65533);

/// A copy that is killed.
struct Scenario {
    name: &'static str,
    /// Makes `from`, and what exists at `to`, in a folder.
    prepare: fn(&Path),
    options: fn() -> CopyOptions,
    /// Checks what a death has left.
    check_left: fn(&Path, &str),
    /// Whether making it once more, after whatever death, gives the same as making it once.
    repeatable: bool,
}

fn new_bytes() -> Vec<u8> {
    // Several steps of the engine below.
    pattern(40_000)
}

fn options() -> CopyOptions {
    CopyOptions::new().buffer_bytes(NonZero::new(16 << 10).expect("not zero"))
}

fn tree_options() -> CopyOptions {
    let preserve = Preserve { links: Attribute::Require, ..Preserve::default() };
    options().recursive().follow(Follow::Never).preserve(preserve)
}

/// Writes an old destination with an identity of its own.
fn make_old(path: &Path) {
    fs::write(path, OLD).expect("room");
    fs::set_permissions(path, Permissions::from_mode(0o604)).expect("own file");
    mark(path, "old");
    // Root only can; the others see that the owner stays the same.
    let _ = chown(path, Some(OWNER.0), Some(OWNER.1));
}

fn make_file(dir: &Path) {
    let from = dir.join("from");
    fs::write(&from, new_bytes()).expect("room");
    fs::set_permissions(&from, Permissions::from_mode(0o644)).expect("own file");
}

fn make_file_over_old(dir: &Path) {
    make_file(dir);
    make_old(&dir.join("to"));
}

fn make_tree(dir: &Path) {
    let from = dir.join("from");
    fs::create_dir_all(from.join("folder")).expect("room");
    fs::write(from.join("file"), new_bytes()).expect("room");
    fs::write(from.join("folder/file"), new_bytes()).expect("room");
    fs::hard_link(from.join("file"), from.join("again")).expect("room");
    symlink("the new end", from.join("link")).expect("room");
    mknodat(CWD, from.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).expect("room");
}

fn make_tree_over_old(dir: &Path) {
    make_tree(dir);
    let to = dir.join("to/from");
    fs::create_dir_all(to.join("folder")).expect("room");
    make_old(&to.join("folder/file"));
    make_old(&to.join("file"));
    make_old(&to.join("again"));
    symlink("the old end", to.join("link")).expect("room");
    mknodat(CWD, to.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("room");
}

/// An old destination that is replaced: it is the one or the other, and it is the same file in all but its bytes.
fn assert_old_or_new(path: &Path, case: &str) {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{case}: {path:?} is gone: {error}"));
    assert!(bytes == OLD || bytes == new_bytes(), "{case}: {path:?} has {} bytes", bytes.len());
    let metadata = fs::metadata(path).expect("it is there");
    assert_eq!(metadata.mode() & 0o7777, 0o604, "{case}");
    if rustix::process::geteuid().is_root() {
        assert_eq!((metadata.uid(), metadata.gid()), OWNER, "{case}");
    }
    assert!(matches!(mark_of(path).as_deref(), None | Some("old")), "{case}");
}

fn assert_absent_or_new(path: &Path, case: &str) {
    if let Ok(bytes) = fs::read(path) {
        assert!(bytes == new_bytes(), "{case}: {path:?} has {} bytes", bytes.len());
    }
}

/// As much of the new bytes as there was time for.
fn assert_begun(path: &Path, case: &str) {
    if let Ok(bytes) = fs::read(path) {
        assert!(new_bytes().starts_with(&bytes), "{case}: {path:?} has other bytes");
    }
}

fn assert_old_or_new_tree(dir: &Path, case: &str) {
    let to = dir.join("to/from");
    assert_old_or_new(&to.join("folder/file"), case);
    // These get a new identity, as they become one file.
    for name in ["file", "again"] {
        let bytes = fs::read(to.join(name)).unwrap_or_else(|error| panic!("{case}: {name} is gone: {error}"));
        assert!(bytes == OLD || bytes == new_bytes(), "{case}: {name} has {} bytes", bytes.len());
    }
    let end = fs::read_link(to.join("link")).unwrap_or_else(|error| panic!("{case}: link is gone: {error}"));
    assert!(["the old end", "the new end"].iter().any(|known| end == Path::new(known)), "{case}: {end:?}");
    let mode = fs::symlink_metadata(to.join("pipe")).expect("the pipe").mode() & 0o777;
    assert!([0o600, 0o640].contains(&mode), "{case}: {mode:o}");
}

fn files() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "new file",
            prepare: make_file,
            options,
            check_left: |dir, case| assert_absent_or_new(&dir.join("to"), case),
            repeatable: true,
        },
        Scenario {
            name: "replaced file",
            prepare: make_file_over_old,
            options,
            check_left: |dir, case| assert_old_or_new(&dir.join("to"), case),
            repeatable: true,
        },
        Scenario {
            name: "replaced behind a link",
            prepare: |dir| {
                make_file(dir);
                fs::create_dir(dir.join("folder")).expect("room");
                make_old(&dir.join("folder/old"));
                symlink("folder/old", dir.join("to")).expect("room");
            },
            options,
            check_left: |dir, case| {
                assert_eq!(fs::read_link(dir.join("to")).expect("a link"), Path::new("folder/old"), "{case}");
                assert_old_or_new(&dir.join("to"), case);
            },
            repeatable: true,
        },
        Scenario {
            name: "replaced, flushed and verified",
            prepare: make_file_over_old,
            options: || options().sync(Sync::File).verify(),
            check_left: |dir, case| assert_old_or_new(&dir.join("to"), case),
            repeatable: true,
        },
        Scenario {
            name: "replaced, to be resumed",
            prepare: make_file_over_old,
            options: || options().resume(),
            check_left: |dir, case| assert_old_or_new(&dir.join("to"), case),
            repeatable: true,
        },
        Scenario {
            name: "replaced by a hard link",
            prepare: make_file_over_old,
            options: || options().method(Method::HardLink).force(),
            check_left: |dir, case| {
                let bytes = fs::read(dir.join("to")).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(bytes == OLD || bytes == new_bytes(), "{case}: to has {} bytes", bytes.len());
            },
            repeatable: true,
        },
        Scenario {
            name: "replaced by a file with the source's attributes",
            prepare: make_file_over_old,
            options: || {
                let preserve = Preserve {
                    mode: ModeFrom::Source,
                    ownership: Attribute::Require,
                    timestamps: Attribute::Require,
                    xattr: Attribute::Require,
                    ..Preserve::default()
                };
                options().preserve(preserve).remove_destination()
            },
            check_left: |dir, case| {
                let to = dir.join("to");
                let bytes = fs::read(&to).unwrap_or_else(|error| panic!("{case}: {error}"));
                let mode = fs::metadata(&to).expect("it is there").mode() & 0o7777;
                assert!([(OLD, 0o604), (&new_bytes(), 0o644)].contains(&(&bytes, mode)), "{case}: {mode:o}");
            },
            repeatable: true,
        },
        Scenario {
            name: "replaced with a backup",
            prepare: make_file_over_old,
            options: || options().backup(Backup::Simple),
            check_left: |dir, case| {
                let kept = fs::read(dir.join("to~")).or_else(|_| fs::read(dir.join("to"))).expect("one of them");
                assert!(kept == OLD, "{case}: the old bytes are nowhere");
                let bytes = fs::read(dir.join("to")).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert!(bytes == OLD || bytes == new_bytes(), "{case}: to has {} bytes", bytes.len());
            },
            // What is backed up the second time may be the new file.
            repeatable: false,
        },
        Scenario {
            name: "replaced with a backup over a backup",
            prepare: |dir| {
                make_file_over_old(dir);
                fs::write(dir.join("to~"), "older").expect("room");
            },
            options: || options().backup(Backup::Simple),
            check_left: |dir, case| {
                let kept = fs::read(dir.join("to~")).expect("the backup is never gone");
                assert!(
                    kept == OLD || fs::read(dir.join("to")).expect("it") == OLD,
                    "{case}: the old bytes are nowhere"
                );
            },
            repeatable: false,
        },
        Scenario {
            name: "in place, because of a hard link",
            prepare: |dir| {
                make_file_over_old(dir);
                fs::hard_link(dir.join("to"), dir.join("other")).expect("room");
            },
            options,
            check_left: |dir, case| {
                let bytes = fs::read(dir.join("to")).expect("it stays");
                assert!(bytes == OLD || new_bytes().starts_with(&bytes), "{case}: other bytes");
                let one = |name| fs::metadata(dir.join(name)).expect("it stays").ino();
                assert_eq!(one("to"), one("other"), "{case}");
            },
            repeatable: true,
        },
    ]
}

fn trees() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "new tree",
            prepare: |dir| {
                make_tree(dir);
                fs::create_dir(dir.join("to")).expect("room");
            },
            options: tree_options,
            check_left: |dir, case| {
                assert_begun(&dir.join("to/from/file"), case);
                assert_begun(&dir.join("to/from/folder/file"), case);
            },
            repeatable: true,
        },
        Scenario {
            name: "tree over an old one",
            prepare: make_tree_over_old,
            options: tree_options,
            check_left: assert_old_or_new_tree,
            // The two names of one file keep the identity of the first, unless they are one file already.
            repeatable: false,
        },
        Scenario {
            name: "new tree, each file whole",
            prepare: |dir| {
                make_tree(dir);
                fs::create_dir(dir.join("to")).expect("room");
            },
            options: || tree_options().placement(Placement::Atomic).threads(NonZero::<usize>::MIN),
            check_left: |dir, case| {
                assert_absent_or_new(&dir.join("to/from/file"), case);
                assert_absent_or_new(&dir.join("to/from/again"), case);
                assert_absent_or_new(&dir.join("to/from/folder/file"), case);
            },
            repeatable: true,
        },
        Scenario {
            name: "tree over an old one, with backups",
            prepare: make_tree_over_old,
            options: || tree_options().backup(Backup::Numbered).threads(NonZero::<usize>::MIN),
            check_left: |dir, case| {
                let to = dir.join("to/from");
                let kept = fs::read(to.join("folder/file.~1~")).or_else(|_| fs::read(to.join("folder/file")));
                assert!(kept.is_ok_and(|kept| kept == OLD), "{case}: the old bytes are nowhere");
                assert!(to.join("folder/file").exists() && to.join("again").exists(), "{case}");
            },
            repeatable: false,
        },
    ]
}

#[test]
fn a_file_that_a_killed_copy_leaves_is_old_or_new() {
    kill_at_every_call("killed::a_file_that_a_killed_copy_leaves_is_old_or_new", &files(), &[]);
}

#[test]
fn a_tree_that_a_killed_copy_leaves_has_old_and_new_files() {
    kill_at_every_call("killed::a_tree_that_a_killed_copy_leaves_has_old_and_new_files", &trees(), &[]);
}

/// Without /proc, a file without a name could never get one; so it has a temporary name from the beginning.
#[test]
fn a_file_with_a_temporary_name_that_a_killed_copy_leaves_is_old_or_new() {
    let test = "killed::a_file_with_a_temporary_name_that_a_killed_copy_leaves_is_old_or_new";
    let mut scenarios = files();
    scenarios.retain(|scenario| ["new file", "replaced file", "replaced behind a link"].contains(&scenario.name));
    kill_at_every_call(test, &scenarios, &["?access,?faccessat,?faccessat2:error=ENOENT"]);
}

/// What an undisturbed copy does.
struct Reference {
    /// The calls, and how often each is made by one thread.
    counts: BTreeMap<String, usize>,
    picture: BTreeMap<PathBuf, (String, String)>,
}

fn untraceable(peer: &mut Peer) -> Option<String> {
    Injection::attach(peer.id(), CALLS, &[]).err().map(|error| format!("strace can't be used: {error}"))
}

fn kill_at_every_call(test: &str, scenarios: &[Scenario], always: &[&str]) {
    let serve = serve(scenarios);
    let start = || Peer::start(test, &serve);
    if let Some(reason) = untraceable(&mut start()) {
        return skip(test, &reason);
    }
    for scenario in scenarios {
        let reference = reference_of(scenario, &mut start(), always);
        let mut kills = 0;
        for (call, count) in &reference.counts {
            for at in 1..=*count {
                let dir = tempfile::tempdir().expect("a folder");
                let death = format!("{call}:signal=SIGKILL:when={at}");
                let injections: Vec<_> = always.iter().copied().chain([death.as_str()]).collect();
                kills += usize::from(kill(scenario, &mut start(), dir.path(), &injections, &reference));
            }
        }
        assert!(kills > 2, "{}: the copy was killed {kills} times only", scenario.name);
        report(test, &format!("{}: {kills} kills", scenario.name));
    }
}

/// The child's side: makes the copy of a scenario in a folder.
fn serve(scenarios: &[Scenario]) -> impl Fn(&str) -> String {
    |request| {
        let (name, dir) = request.split_once('|').expect("two words");
        let scenario = scenarios.iter().find(|scenario| scenario.name == name).expect("one of them");
        copy(scenario, Path::new(dir))
    }
}

fn copy(scenario: &Scenario, dir: &Path) -> String {
    let to = dir.join("to");
    let (_, errors) = copy_all(&(scenario.options)(), &[dir.join("from")], Target::Any(&to));
    errors.iter().map(line_of).collect::<Vec<_>>().join("; ")
}

fn reference_of(scenario: &Scenario, peer: &mut Peer, always: &[&str]) -> Reference {
    let dir = tempfile::tempdir().expect("a folder");
    (scenario.prepare)(dir.path());
    let tracing = Injection::attach(peer.id(), CALLS, always).expect("it could be attached before");
    assert_eq!(peer.ask(&format!("{}|{}", scenario.name, dir.path().display())), "", "{}", scenario.name);
    let counts = tracing.detach().expect("a log");
    assert_no_temporaries(dir.path(), scenario.name);
    let picture = picture_of(dir.path());
    Reference { counts, picture }
}

/// Kills a copy, looks at what it has left, and makes it again. `false`: it was over before.
fn kill(scenario: &Scenario, peer: &mut Peer, dir: &Path, injections: &[&str], reference: &Reference) -> bool {
    let case = format!("{}, {}", scenario.name, injections.join(" and "));
    (scenario.prepare)(dir);
    let injection = Injection::attach(peer.id(), CALLS, injections).expect("it could be attached before");
    let answer = peer.try_ask(&format!("{}|{}", scenario.name, dir.display()));
    drop(injection);
    (scenario.check_left)(dir, &case);
    assert_eq!(copy(scenario, dir), "", "{case}: made again");
    assert_no_temporaries(dir, &case);
    let picture = picture_of(dir);
    if scenario.repeatable {
        assert_eq!(picture, reference.picture, "{case}: made again");
    }
    for (path, (contents, _)) in &reference.picture {
        if !path.to_string_lossy().ends_with('~') {
            assert_eq!(picture.get(path).map(|(contents, _)| contents), Some(contents), "{case}: {path:?}, made again");
        }
    }
    answer.is_none()
}
