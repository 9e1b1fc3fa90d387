//! A process that is killed at any of its system calls, in the middle of making, opening, removing, closing or cleaning an
//! object: whoever comes after it can make, open and remove the object at once, and cleaning leaves nothing.

use std::time::{Duration, Instant};

use mapio_shared::{Cleaning, Error, Lifetime, ObjectName, SharedObject, SharedOptions, clean};
use mapio_testkit::{Injection, Peer, report, skip};

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
    if let Some(folder) = name.path().parent().filter(|_| name.starts_with("file:")) {
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "{case}");
    }
    took
}

#[test]
fn a_death_at_any_system_call_is_in_nobodys_way() {
    let test = "killed::a_death_at_any_system_call_is_in_nobodys_way";
    let mut first = Peer::start(test, serve());
    let name = TestName::posix();
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
