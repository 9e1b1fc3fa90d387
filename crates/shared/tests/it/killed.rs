//! A process that is killed at any of its system calls, in the middle of making, opening, removing, closing or cleaning
//! an object: whoever comes after it can make, open and remove the object at once, and cleaning leaves nothing.

use std::time::{Duration, Instant};

use mapio_shared::{Cleaning, Error, Lifetime, ObjectName, SharedObject, SharedOptions, clean};
use mapio_testkit::{Injection, Peer, report, runner, skip};

use crate::support::{TestName, serve};

/// How many kills: the more, the more of the system calls. 0 is all of them.
const KILLS: &str = "MAPIO_KILLS";
const DEFAULT_KILLS: usize = 60;
/// Calls at which nothing of an object changes, and of which there are many.
const IDLE: [&str; 6] = ["futex", "sched_yield", "clock_nanosleep", "mprotect", "madvise", "brk"];

/// What the process does: how the object is prepared, and the request at which it is killed.
const SCENES: [(&str, &[&str], &str); 7] = [
    ("create", &[], "create"),
    ("create-last", &[], "create-last"),
    ("open", &["create", "close"], "open"),
    ("read", &["create", "close"], "read"),
    ("close the last", &["create-last"], "close"),
    ("remove", &["create", "close"], "remove"),
    ("clean", &["abandon"], "clean"),
];

/// Leaves an object whose users have all died.
fn abandon(test: &str, name: &str) {
    let mut peer = Peer::start(test, serve());
    assert_eq!(peer.ask(&format!("create-last {name}")), "done");
    peer.kill();
}

/// Starts the process, and prepares the object.
fn prepare(test: &str, steps: &[&str], name: &str) -> Peer {
    let mut peer = Peer::start(test, serve());
    // What starts a program is not what is tested: it has to run.
    assert_eq!(peer.ask("close"), "done");
    for step in steps {
        match *step {
            "abandon" => abandon(test, name),
            step => assert_eq!(peer.ask(&format!("{step} {name}")), "done"),
        }
    }
    peer
}

/// All that must hold afterwards; how long it took until the name could be used again.
fn check(name: &TestName, case: &str) -> Duration {
    let begin = Instant::now();
    let options = SharedOptions::new().lifetime(Lifetime::LastHandle);
    let object = match SharedOptions::new().open(&**name) {
        Ok(object) => object,
        Err(Error::NotFound { .. }) => {
            options.len(4096).create(&**name).unwrap_or_else(|error| panic!("{case}: {error:?}"))
        }
        Err(error) => panic!("{case}: {error:?}"),
    };
    let took = begin.elapsed();
    assert_eq!((object.len(), object.view().load::<u64>(4088)), (4096, Ok(0)), "{case}");
    assert!(object.users().unwrap().iter().all(|user| !user.alive), "{case}");
    assert!(!object.is_removed().unwrap(), "{case}");
    drop(object);
    match SharedObject::remove(&**name) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => panic!("{case}: {error:?}"),
    }
    let names: [ObjectName; 1] = [name.parse().unwrap()];
    clean(&names, Cleaning::Remove).unwrap();
    assert_eq!(clean(&names, Cleaning::DryRun).unwrap(), [], "{case}");
    if name.starts_with("sysv:") {
        assert_eq!(lock_files_of(name), 0, "{case}");
    }
    if let Some(folder) = name.path().parent().filter(|_| name.starts_with("file:")) {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "{case}");
    }
    took
}

/// Lock files that were made for a key.
fn lock_files_of(name: &TestName) -> usize {
    let entries = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let lock_files = entries.filter(|path| path.to_string_lossy().contains("/.mapio-sysv-"));
    lock_files.filter(|path| std::fs::read(path).is_ok_and(|key| key == name.as_bytes())).count()
}

#[test]
fn a_death_at_any_system_call_is_in_nobodys_way() {
    let test = "killed::a_death_at_any_system_call_is_in_nobodys_way";
    let mut first = Peer::start(test, serve());
    let name = TestName::memory();
    match Injection::attach(first.id(), "all", &[]) {
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
        Ok(tracing) => drop(tracing),
    }
    first.ask(&format!("remove {}", &*name));
    let mut cases = Vec::new();
    for kind in 0..3 {
        for (what, steps, verb) in SCENES {
            let name = TestName::of_each_kind().into_iter().nth(kind).unwrap();
            let mut peer = prepare(test, steps, &name);
            let tracing = Injection::attach(peer.id(), "all", &[]).unwrap();
            peer.ask(&format!("{verb} {}", &*name));
            let counts = tracing.detach().unwrap();
            for (call, count) in counts.into_iter().filter(|(call, _)| !IDLE.contains(&&**call)) {
                cases.extend((1..=count).map(|at| (kind, what, steps, verb, call.clone(), at)));
            }
        }
    }
    let wanted = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(DEFAULT_KILLS);
    let step = if wanted == 0 { 1 } else { cases.len().div_ceil(wanted) };
    let (mut kills, mut longest, all) = (0, Duration::ZERO, cases.len());
    for (kind, what, steps, verb, call, at) in cases.into_iter().step_by(step) {
        let name = TestName::of_each_kind().into_iter().nth(kind).unwrap();
        let mut peer = prepare(test, steps, &name);
        let death = format!("{call}:signal=SIGKILL:when={at}");
        let injection = Injection::attach(peer.id(), "all", &[&death]).unwrap();
        kills += usize::from(peer.try_ask(&format!("{verb} {}", &*name)).is_none());
        drop(injection);
        // Waits until it is gone.
        peer.kill();
        longest = longest.max(check(&name, &format!("{what} of {}: {call} {at}", &*name)));
    }
    report(test, &format!("{kills} kills of {all} possible, the name was usable after {longest:?} at most"));
    assert!(kills > 20, "only {kills}");
    assert!(longest < Duration::from_secs(3), "{longest:?}");
}

#[test]
fn a_death_where_all_files_have_names_leaves_what_cleaning_takes() {
    let test = "killed::a_death_where_all_files_have_names_leaves_what_cleaning_takes";
    let create = |injections: &[&str]| {
        let (mut peer, name) = (Peer::start(test, serve()), TestName::file());
        let tracing = Injection::attach(peer.id(), "all", injections)?;
        assert_eq!(peer.ask(&format!("create {}", &*name)), "done");
        let counts = tracing.detach();
        peer.kill();
        check(&name, "nobody was killed");
        counts
    };
    let counts = match create(&[]) {
        Err(error) => return skip(test, &format!("strace can't be used: {error}")),
        Ok(counts) => counts,
    };
    // Makes the first file one that can't be without a name, by the call of this processor.
    let opening = if counts.contains_key("open") { "open" } else { "openat" };
    let no_unnamed = &*format!("{opening}:error=EOPNOTSUPP:when=1");
    let counts = create(&[no_unnamed]).unwrap();
    assert!(counts.keys().any(|call| call.starts_with("unlink")), "{counts:?}");
    let mut kills = 0;
    // Only one thing can be done to the calls of a name.
    let calls = counts.iter().filter(|(call, _)| !IDLE.contains(&&***call) && *call != opening);
    for (call, at) in calls.flat_map(|(call, count)| (1..=*count).map(move |at| (call, at))) {
        let name = TestName::file();
        let mut peer = Peer::start(test, serve());
        let death = format!("{call}:signal=SIGKILL:when={at}");
        let injection = Injection::attach(peer.id(), "all", &[no_unnamed, &death]).unwrap();
        kills += usize::from(peer.try_ask(&format!("create {}", &*name)).is_none());
        drop(injection);
        peer.kill();
        check(&name, &format!("{call} {at}"));
    }
    report(test, &format!("{kills} kills"));
    assert!(kills > 10, "only {kills}");
}

/// The calls that may fail, and why.
const MAY_FAIL: [&str; 17] = [
    "open",
    "openat",
    "fallocate",
    "fcntl",
    "linkat",
    "fchmod",
    "fchown",
    "unlink",
    "newfstatat",
    "fstat",
    "lstat",
    "mmap",
    "shmget",
    "shmat",
    "shmctl",
    "madvise",
    "memfd_create",
];
const REASONS: [&str; 2] = ["EACCES", "ENOMEM"];

#[test]
fn any_call_that_fails_is_one_error_and_leaves_nothing_half_made() {
    let test = "killed::any_call_that_fails_is_one_error_and_leaves_nothing_half_made";
    let peer = Peer::start(test, serve());
    if runner().is_some() {
        return skip(test, "calls that the emulator makes for itself would fail as well");
    }
    if let Err(error) = Injection::attach(peer.id(), "all", &[]) {
        return skip(test, &format!("strace can't be used: {error}"));
    }
    drop(peer);
    let (mut failures, mut errors) = (0, 0);
    for kind in 0..3 {
        for (steps, verb) in [(&[][..], "create"), (&["create", "close"], "open"), (&["create", "close"], "remove")] {
            let name_of_kind = || TestName::of_each_kind().into_iter().nth(kind).unwrap();
            let name = name_of_kind();
            let mut peer = prepare(test, steps, &name);
            let tracing = Injection::attach(peer.id(), "all", &[]).unwrap();
            assert_eq!(peer.ask(&format!("{verb} {}", &*name)), "done");
            let counts = tracing.detach().unwrap();
            let may_fail = counts.iter().filter(|(call, _)| MAY_FAIL.contains(&&***call));
            for (call, at) in may_fail.flat_map(|(call, count)| (1..=*count).map(move |at| (call, at))) {
                let name = name_of_kind();
                let mut peer = prepare(test, steps, &name);
                let reason = REASONS[at % REASONS.len()];
                let failure = format!("{call}:error={reason}:when={at}");
                let case = format!("{verb} {}: {failure}", &*name);
                let injection = Injection::attach(peer.id(), "all", &[&failure]).unwrap();
                let answer = peer.try_ask(&format!("{verb} {}", &*name)).unwrap_or_else(|| panic!("{case}: it died"));
                drop(injection);
                failures += 1;
                errors += usize::from(answer != "done");
                assert!(answer == "done" || answer.contains(&*name) || answer.contains("object"), "{case}: {answer}");
                peer.kill();
                check(&name, &case);
            }
        }
    }
    report(test, &format!("{failures} failures, {errors} of them errors"));
    assert!(errors > 30, "only {errors}");
}
