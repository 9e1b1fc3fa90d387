//! A process that is killed after each instruction of each operation, and what it leaves to the others.
//!
//! Each test runs one operation in a process that is single-stepped, and cut off after the n-th instruction;
//! `MAPIO_KILL_POINTS` says for how many of them at most, which are others in each run of the tests. The object is one
//! for all runs of a test, as it would be in a machine where processes die again and again.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mapio_shared::SharedObject;
use mapio_shared::sync::{Condvar, Event, Latest, Mutex, Permit, Semaphore};
use mapio_testkit::{Region, Stepper, kill_points, report};

use super::{dead_number, object, open};

/// Instructions of an operation after which it is cut, unless the environment says otherwise.
const POINTS: usize = 60;
/// How long somebody healthy may need for what the dead one has left behind.
const SOON: Duration = Duration::from_secs(1);
/// Larger than what is copied in one instruction, so that a mixture is possible.
type Value = [u64; 40];

const MUTEX: usize = 0;
const SEMAPHORE: usize = 1024;
const EVENT: usize = 1088;
const CONDVAR: usize = 1152;
const LATEST: usize = 2048;
const PERMITS: u32 = 3;

/// What stands on the object.
struct All {
    mutex: Mutex<Value>,
    semaphore: Semaphore,
    event: Event,
    condvar: Condvar,
    latest: Latest<Value>,
}

impl All {
    fn at(object: &SharedObject) -> Self {
        Self {
            mutex: Mutex::at(object, MUTEX).unwrap(),
            semaphore: Semaphore::at(object, SEMAPHORE, PERMITS).unwrap(),
            event: Event::at(object, EVENT).unwrap(),
            condvar: Condvar::at(object, CONDVAR).unwrap(),
            latest: Latest::at(object, LATEST).unwrap(),
        }
    }
}

/// Starts the process whose children are killed: they open the object of the case's name, and do `work`.
fn stepper(test: &str, mut work: impl FnMut(&All, &Region)) -> Stepper {
    Stepper::start(test, move |name, region| work(&All::at(&open(name)), region))
}

/// The word of the mutex: whoever has it.
fn owner(object: &SharedObject) -> u32 {
    object.view().load::<u32>(MUTEX).unwrap()
}

/// Checks that the value is `old` or `new`, and that an owner's death is told if there was one; answers which it is.
fn check_mutex(object: &SharedObject, mutex: &Mutex<Value>, old: u64, new: u64) -> u64 {
    let died = owner(object) != 0;
    let guard = mutex.lock_timeout(SOON).unwrap();
    assert_eq!(guard.recovered(), died);
    let value = guard[0];
    assert!((value == old || value == new) && guard.iter().all(|word| *word == value), "{:?}", *guard);
    guard.discard().unwrap();
    assert!(!mutex.try_lock().unwrap().recovered());
    value
}

#[test]
fn in_a_lock() {
    const TEST: &str = "sync::killed::in_a_lock";
    let mut stepper = stepper(TEST, |all, region| {
        let mut guard = region.run(|| all.mutex.lock().unwrap());
        *guard = [99; 40];
        std::mem::forget(guard);
    });
    let (name, object) = object();
    let mutex = All::at(&object).mutex;
    *mutex.lock().unwrap() = [7; 40];
    let mut with_the_lock = 0;
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || (),
        |_| {
            with_the_lock += u32::from(owner(&object) != 0);
            check_mutex(&object, &mutex, 7, 7);
        },
    );
    report(TEST, &format!("{with_the_lock} died with the lock"));
}

#[test]
fn in_an_unlock_that_commits() {
    const TEST: &str = "sync::killed::in_an_unlock_that_commits";
    let mut stepper = stepper(TEST, |all, region| {
        let mut guard = all.mutex.lock().unwrap();
        let new = guard[0] + 1;
        *guard = [new; 40];
        region.run(|| drop(guard));
    });
    let (name, object) = object();
    let mutex = All::at(&object).mutex;
    let (mut value, mut olds) = (0, 0);
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || (),
        |over| {
            let free = owner(&object) == 0;
            let found = check_mutex(&object, &mutex, value, value + 1);
            assert!(found > value || !free && !over, "given back without its value");
            olds += u32::from(found == value);
            value = found;
        },
    );
    report(TEST, &format!("{olds} left the old value"));
}

#[test]
fn in_a_repair() {
    const TEST: &str = "sync::killed::in_a_repair";
    let mut stepper = stepper(TEST, |all, region| {
        region.run(|| {
            let mut guard = all.mutex.lock().unwrap();
            assert!(guard.recovered());
            let new = guard[0] + 1;
            *guard = [new; 40];
            guard.unlock().unwrap();
        });
    });
    let (name, object) = object();
    let mutex = All::at(&object).mutex;
    let (dead, mut value) = (dead_number(&object), 0);
    let prepare = || object.view().store(MUTEX, dead).unwrap();
    stepper.kill_everywhere(TEST, &name, POINTS, prepare, |over| {
        // Either dead one's number: the first one's death is told as long as nobody has outlived the news.
        let free = owner(&object) == 0;
        let found = check_mutex(&object, &mutex, value, value + 1);
        assert!(found > value || !free && !over);
        value = found;
    });
}

#[test]
fn while_giving_up() {
    const TEST: &str = "sync::killed::while_giving_up";
    let mut stepper = stepper(TEST, |all, region| {
        let mut guard = all.mutex.lock().unwrap();
        *guard = [99; 40];
        region.run(|| {
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _guard = guard;
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(unwound.is_err());
        });
    });
    let (name, object) = object();
    let mutex = All::at(&object).mutex;
    // Dead or given up: told in any case, for the lock was taken before the region.
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || (),
        |_| {
            let guard = mutex.lock_timeout(SOON).unwrap();
            assert_eq!((guard.recovered(), *guard), (true, [0; 40]));
            drop(guard);
            assert!(!mutex.try_lock().unwrap().recovered());
        },
    );
}

/// Takes all permits that there are to be had, and gives them back; there are to be as many as `expected` says.
fn check_permits(semaphore: &Semaphore, expected: std::ops::RangeInclusive<usize>) -> usize {
    let first = semaphore.acquire_timeout(SOON).unwrap();
    let mut permits: Vec<Permit<'_>> = std::iter::from_fn(|| semaphore.try_acquire().ok()).collect();
    permits.push(first);
    assert!(expected.contains(&permits.len()), "{} permits, not {expected:?}", permits.len());
    permits.len()
}

#[test]
fn in_acquiring_and_releasing_a_permit() {
    const TEST: &str = "sync::killed::in_acquiring_and_releasing_a_permit";
    let mut stepper = stepper(TEST, |all, region| region.run(|| all.semaphore.acquire().unwrap().release().unwrap()));
    let (name, object) = object();
    let semaphore = All::at(&object).semaphore;
    stepper.kill_everywhere(TEST, &name, POINTS, || (), |_| _ = check_permits(&semaphore, 3..=3));
}

#[test]
fn in_taking_a_permit_from_the_dead() {
    const TEST: &str = "sync::killed::in_taking_a_permit_from_the_dead";
    let mut stepper = stepper(TEST, |all, region| {
        let permit = region.run(|| all.semaphore.try_acquire().unwrap());
        assert!(permit.recovered());
    });
    let (name, object) = object();
    let (semaphore, dead) = (All::at(&object).semaphore, dead_number(&object));
    let prepare = || object.view().store(SEMAPHORE + 8, [dead; 3]).unwrap();
    stepper.kill_everywhere(TEST, &name, POINTS, prepare, |_| _ = check_permits(&semaphore, 3..=3));
}

#[test]
fn in_forgetting_and_posting_a_permit() {
    const TEST: &str = "sync::killed::in_forgetting_and_posting_a_permit";
    let mut stepper = stepper(TEST, |all, region| {
        let permit = all.semaphore.acquire().unwrap();
        region.run(|| {
            permit.forget().unwrap();
            all.semaphore.post().unwrap();
        });
    });
    let (name, object) = object();
    let semaphore = All::at(&object).semaphore;
    let mut missing = 0;
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || (),
        |over| {
            let found = check_permits(&semaphore, if over { 3..=3 } else { 2..=3 });
            // What is missing was forgotten, and nothing else.
            assert_eq!(semaphore.post().is_ok(), found == 2);
            missing += u32::from(found == 2);
            check_permits(&semaphore, 3..=3);
        },
    );
    report(TEST, &format!("{missing} died between the two"));
}

/// Has somebody who sleeps while the other process is killed.
fn with_sleeper<R: Send>(sleep: impl FnOnce() -> R + Send, then: impl FnOnce(&mpsc::Receiver<()>)) -> R {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let thread = scope.spawn(move || {
            let slept = sleep();
            // Nobody listens any more if he was not asked for.
            let _ = sender.send(());
            slept
        });
        then(&receiver);
        thread.join().unwrap()
    })
}

#[test]
fn in_setting_an_event_that_is_waited_for() {
    const TEST: &str = "sync::killed::in_setting_an_event_that_is_waited_for";
    let mut stepper = stepper(TEST, |all, region| region.run(|| all.event.set().unwrap()));
    let (name, object) = object();
    let event = All::at(&object).event;
    let mut kills = Vec::new();
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || event.reset().unwrap(),
        |over| {
            let set = event.is_set().unwrap();
            assert!(set || !over);
            kills.push(set);
            if !set {
                event.set().unwrap();
            }
            event.wait_timeout(SOON).unwrap();
            event.try_take().unwrap();
        },
    );
    // As it is for one who sleeps meanwhile: he is woken, or wakes up, if it was set.
    let Some(count) = stepper.count_or_skip(TEST, &name) else { return };
    for point in kill_points(TEST, count, POINTS) {
        event.reset().unwrap();
        with_sleeper(
            || event.wait_timeout(30 * SOON).unwrap(),
            |woken| {
                stepper.kill_at(&name, point).unwrap();
                if event.is_set().unwrap() {
                    woken.recv_timeout(SOON).unwrap();
                } else {
                    event.set().unwrap();
                }
            },
        );
    }
    report(TEST, &format!("{} had set it", kills.iter().filter(|set| **set).count()));
}

#[test]
fn in_notifying_one_who_waits() {
    const TEST: &str = "sync::killed::in_notifying_one_who_waits";
    let mut stepper = stepper(TEST, |all, region| {
        let mut guard = all.mutex.lock().unwrap();
        guard[0] += 1;
        region.run(|| {
            guard.unlock().unwrap();
            all.condvar.notify_one().unwrap();
        });
    });
    let (name, object) = object();
    let All { mutex, condvar, .. } = All::at(&object);
    let Some(count) = stepper.count_or_skip(TEST, &name) else { return };
    let points = kill_points(TEST, count, POINTS);
    let mut olds = 0;
    for point in &points {
        let before = mutex.lock_timeout(SOON).unwrap()[0];
        with_sleeper(
            || drop(condvar.wait_while(mutex.lock().unwrap(), |value| value[0] == before).unwrap()),
            |woken| {
                stepper.kill_at(&name, *point).unwrap();
                let mut guard = mutex.lock_timeout(SOON).unwrap();
                if guard[0] == before {
                    olds += 1;
                    guard[0] += 1;
                    guard.unlock().unwrap();
                    condvar.notify_one().unwrap();
                } else {
                    drop(guard);
                }
                woken.recv_timeout(SOON).unwrap();
            },
        );
    }
    report(TEST, &format!("killed {} times within {count} instructions, {olds} before the change", points.len()));
}

#[test]
fn in_storing_a_value_that_others_load() {
    const TEST: &str = "sync::killed::in_storing_a_value_that_others_load";
    let mut stepper = stepper(TEST, |all, region| {
        let new = all.latest.version().unwrap() + 1;
        region.run(|| all.latest.store(&[new; 40]).unwrap());
    });
    let (name, object) = object();
    let latest = All::at(&object).latest;
    let (mut version, mut olds) = (0, 0);
    stepper.kill_everywhere(
        TEST,
        &name,
        POINTS,
        || (),
        |over| {
            let found = latest.load_versioned().unwrap();
            let (now, value) = found.unwrap_or((0, [0; 40]));
            assert!(now == version + 1 || now == version && !over, "version {now} after {version}");
            assert_eq!(value, [now; 40]);
            olds += u32::from(now == version);
            // The next writer is not held up, and readers still have the last value while it writes.
            version = latest.store_timeout(&[now + 1; 40], SOON).unwrap();
            assert_eq!((version, latest.load().unwrap()), (now + 1, Some([now + 1; 40])));
        },
    );
    report(TEST, &format!("{olds} left the old value"));
}
