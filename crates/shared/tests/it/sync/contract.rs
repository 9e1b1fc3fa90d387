//! What each of them does when nobody dies in the middle of it, and nobody breaks the rules.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mapio_map::MapMode;
use mapio_shared::sync::{Condvar, Event, Latest, Mutex, Semaphore};
use mapio_shared::{Error, SharedObject, SharedOptions};
use mapio_testkit::Peer;

use super::{LEN, dead_number, object, open};

pub(super) const SHORT: Duration = Duration::from_millis(30);
/// Longer than anything here takes.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// Runs it in a thread, and answers whether it sleeps for a short while; then `end` makes it go on, and its answer is
/// waited for.
fn is_asleep<R: Send>(waits: impl FnOnce() -> R + Send, end: impl FnOnce()) -> (bool, R) {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let thread = scope.spawn(move || {
            let answer = waits();
            sender.send(()).unwrap();
            answer
        });
        let asleep = receiver.recv_timeout(SHORT).is_err();
        end();
        (asleep, thread.join().unwrap())
    })
}

#[test]
fn a_mutex_keeps_its_value_for_all_handles() {
    let (name, object) = object();
    let (mine, yours) = (Mutex::<[u64; 5]>::at(&object, 8).unwrap(), Mutex::<[u64; 5]>::at(&open(&name), 8).unwrap());
    assert_eq!(Mutex::<[u64; 5]>::LEN, 88);
    assert_eq!(*mine.lock().unwrap(), [0; 5]);
    mine.lock().unwrap()[3] = 7;
    let mut guard = yours.lock_timeout(LONG).unwrap();
    assert_eq!((*guard, guard.recovered()), ([0, 0, 0, 7, 0], false));
    guard[0] = 1;
    guard.unlock().unwrap();
    assert_eq!(*mine.try_lock().unwrap(), [1, 0, 0, 7, 0]);
}

#[test]
fn a_mutex_that_is_held_is_not_to_be_had() {
    let (name, object) = object();
    let mutex = Mutex::<u32>::at(&object, 0).unwrap();
    // Through the same handle and through another one.
    for other in [mutex.clone(), Mutex::at(&open(&name), 0).unwrap()] {
        let guard = mutex.lock().unwrap();
        assert!(matches!(other.try_lock(), Err(Error::WouldBlock { .. })));
        assert!(matches!(other.lock_timeout(SHORT), Err(Error::Timeout { waited, .. }) if waited == SHORT));
        assert!(matches!(other.lock_timeout(Duration::ZERO), Err(Error::Timeout { .. })));
        let (asleep, value) = is_asleep(
            || *other.lock().unwrap(),
            move || {
                let mut guard = guard;
                *guard += 1;
            },
        );
        assert!(asleep && value > 0);
    }
}

#[test]
fn what_is_committed_stays_and_what_is_discarded_does_not() {
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    let mut guard = mutex.lock().unwrap();
    *guard = 1;
    guard.commit().unwrap();
    *guard = 2;
    guard.discard().unwrap();
    let mut guard = mutex.try_lock().unwrap();
    assert_eq!((*guard, guard.recovered()), (1, false));
    *guard = 3;
    guard.commit().unwrap();
    *guard = 4;
    drop(guard);
    assert_eq!(*mutex.lock().unwrap(), 4);
}

#[test]
fn a_panic_discards_and_the_next_owner_is_told() {
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    *mutex.lock().unwrap() = 5;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.lock().unwrap();
        *guard = 6;
        guard.commit().unwrap();
        *guard = 7;
        std::panic::resume_unwind(Box::new("as it is to"));
    }));
    assert!(panic.is_err());
    let guard = mutex.try_lock().unwrap();
    assert_eq!((*guard, guard.recovered()), (6, true));
    drop(guard);
    assert!(!mutex.try_lock().unwrap().recovered());
}

/// Changes the value when it is dropped, as a destructor may that runs because of a panic.
struct AddsWhenDropped<'a>(&'a Mutex<u64>);

impl Drop for AddsWhenDropped<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

#[test]
fn a_lock_that_is_taken_during_a_panic_is_not_given_up_by_it() {
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _adds = AddsWhenDropped(&mutex);
        std::panic::resume_unwind(Box::new("as it is to"));
    }));
    assert!(panic.is_err());
    let guard = mutex.try_lock().unwrap();
    assert_eq!((*guard, guard.recovered()), (1, false));
}

#[test]
fn the_lock_of_the_dead_is_taken_at_once() {
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    *mutex.lock().unwrap() = 5;
    object.view().store(0, dead_number(&object)).unwrap();
    let guard = mutex.try_lock().unwrap();
    assert_eq!((*guard, guard.recovered()), (5, true));
    drop(guard);
    assert!(!mutex.try_lock().unwrap().recovered());
    // One who was never alive.
    object.view().store(0, (1_u32 << 30) - 1).unwrap();
    assert!(mutex.try_lock().unwrap().recovered());
}

#[test]
fn a_lock_that_somebody_else_has_overwritten_is_not_given_back() {
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    let guard = mutex.lock().unwrap();
    object.view().store(0, 99_u32).unwrap();
    assert!(matches!(guard.unlock(), Err(Error::Corrupt { offset: 4096, .. })));
    let semaphore = Semaphore::at(&object, 128, 1).unwrap();
    let permit = semaphore.acquire().unwrap();
    object.view().store(136, 99_u32).unwrap();
    assert!(matches!(permit.release(), Err(Error::Corrupt { offset: 4232, .. })));
}

#[test]
fn offsets_and_objects_that_will_not_do_are_refused() {
    let (name, object) = object();
    let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
    let private = SharedOptions::new().map_mode(MapMode::CopyOnWrite).open(&*name).unwrap();
    let raw = SharedOptions::new().raw().open(&*name).unwrap();
    type At = fn(&SharedObject, usize) -> Result<(), Error>;
    let all: [(usize, At); 5] = [
        (Mutex::<u64>::LEN, |object, offset| Mutex::<u64>::at(object, offset).map(drop)),
        (Condvar::LEN, |object, offset| Condvar::at(object, offset).map(drop)),
        (Event::LEN, |object, offset| Event::at(object, offset).map(drop)),
        (Semaphore::len_for(3), |object, offset| Semaphore::at(object, offset, 3).map(drop)),
        (Latest::<u64>::LEN, |object, offset| Latest::<u64>::at(object, offset).map(drop)),
    ];
    for (index, (len, at)) in all.into_iter().enumerate() {
        at(&object, LEN - len).unwrap();
        for offset in [LEN - len + 8, 4, 1, LEN, usize::MAX - 7, usize::MAX] {
            assert!(matches!(at(&object, offset), Err(Error::Invalid { .. })), "{index}: {offset}");
        }
        // What is only read needs no part in the object.
        let reads = index == 4;
        assert_eq!(at(&reader, 0).is_ok() && at(&private, 0).is_ok() && at(&raw, 0).is_ok(), reads, "{index}");
        assert!(reads || matches!(at(&raw, 0), Err(Error::Foreign { .. })));
    }
    for permits in [0, 65_537, u32::MAX] {
        assert!(matches!(Semaphore::at(&object, 0, permits), Err(Error::Invalid { .. })));
    }
    assert!(matches!(Latest::<u64>::at(&reader, 0).unwrap().store(&1), Err(Error::Invalid { .. })));
    assert!(matches!(Latest::<u64>::at(&raw, 0).unwrap().try_store(&1), Err(Error::Foreign { .. })));
}

#[test]
fn a_condition_is_waited_for_with_the_mutex_free() {
    let (name, object) = object();
    let (mutex, condvar) = (Mutex::<u32>::at(&object, 0).unwrap(), Condvar::at(&object, 64).unwrap());
    let other = open(&name);
    let (their_mutex, their_condvar) = (Mutex::<u32>::at(&other, 0).unwrap(), Condvar::at(&other, 64).unwrap());
    for all in [false, true] {
        *mutex.lock().unwrap() = 0;
        let (asleep, value) = is_asleep(
            || *their_condvar.wait_while(their_mutex.lock().unwrap(), |value| *value == 0).unwrap(),
            || {
                *mutex.lock().unwrap() = 5;
                if all { condvar.notify_all().unwrap() } else { condvar.notify_one().unwrap() }
            },
        );
        assert!(asleep && value == 5);
    }
    // What was changed before the wait is committed by it, and nobody comes.
    let mut guard = mutex.lock().unwrap();
    *guard = 6;
    let (guard, still) = condvar.wait_timeout_while(guard, SHORT, |value| *value == 6).unwrap();
    assert!(still && *guard == 6);
    let (guard, still) = condvar.wait_timeout_while(guard, LONG, |value| *value == 7).unwrap();
    assert!(!still && *guard == 6);
    drop(condvar.wait(guard).unwrap());
}

#[test]
fn news_of_a_death_is_kept_through_a_wait() {
    let (_name, object) = object();
    let (mutex, condvar) = (Mutex::<u32>::at(&object, 0).unwrap(), Condvar::at(&object, 64).unwrap());
    object.view().store(0, dead_number(&object)).unwrap();
    let guard = condvar.wait(mutex.lock().unwrap()).unwrap();
    assert!(guard.recovered());
}

#[test]
fn a_semaphore_has_as_many_permits_as_it_was_given() {
    let (name, object) = object();
    let (mine, yours) = (Semaphore::at(&object, 0, 3).unwrap(), Semaphore::at(&open(&name), 0, 3).unwrap());
    let first = mine.acquire().unwrap();
    let second = yours.acquire_timeout(LONG).unwrap();
    let third = mine.try_acquire().unwrap();
    assert!(!first.recovered() && !second.recovered());
    assert_eq!(yours.available().unwrap(), 0);
    assert!(matches!(yours.try_acquire(), Err(Error::WouldBlock { .. })));
    assert!(matches!(mine.acquire_timeout(SHORT), Err(Error::Timeout { .. })));
    let (asleep, permit) = is_asleep(|| yours.acquire().unwrap(), || first.release().unwrap());
    assert!(asleep);
    drop((second, third, permit));
    assert_eq!(mine.available().unwrap(), 3);
}

#[test]
fn permits_are_posted_only_after_they_were_forgotten() {
    let (name, object) = object();
    let (mine, yours) = (Semaphore::at(&object, 0, 2).unwrap(), Semaphore::at(&open(&name), 0, 2).unwrap());
    assert!(matches!(mine.post(), Err(Error::Crowded { places: 2, .. })));
    (0..2).for_each(|_| mine.try_acquire().unwrap().forget().unwrap());
    assert!(matches!(yours.try_acquire(), Err(Error::WouldBlock { .. })));
    let (asleep, permit) = is_asleep(|| yours.acquire().unwrap(), || mine.post().unwrap());
    assert!(asleep);
    permit.forget().unwrap();
    (0..2).for_each(|_| yours.post().unwrap());
    assert!(matches!(yours.post(), Err(Error::Crowded { .. })));
    assert_eq!(mine.available().unwrap(), 2);
}

#[test]
fn permits_of_the_dead_are_taken() {
    let (_name, object) = object();
    let semaphore = Semaphore::at(&object, 0, 3).unwrap();
    let dead = dead_number(&object);
    object.view().store(8, [dead, dead, dead]).unwrap();
    assert_eq!(semaphore.available().unwrap(), 0);
    let permits: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    assert!(permits.iter().all(|permit| permit.recovered()));
    assert!(semaphore.try_acquire().is_err());
}

#[test]
fn an_event_stays_set_until_it_is_reset() {
    let (name, object) = object();
    let (mine, yours) = (Event::at(&object, 0).unwrap(), Event::at(&open(&name), 0).unwrap());
    assert!(!yours.is_set().unwrap());
    assert!(matches!(yours.try_wait(), Err(Error::WouldBlock { .. })));
    assert!(matches!(yours.wait_timeout(SHORT), Err(Error::Timeout { .. })));
    let (asleep, ()) = is_asleep(|| yours.wait().unwrap(), || mine.set().unwrap());
    assert!(asleep && yours.is_set().unwrap());
    yours.wait().unwrap();
    yours.reset().unwrap();
    assert!(matches!(mine.try_wait(), Err(Error::WouldBlock { .. })));
    // Set and reset while somebody waits; again, for as long as he has not begun to.
    let woken = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            yours.wait().unwrap();
            woken.store(true, Ordering::Relaxed);
        });
        while !woken.load(Ordering::Relaxed) {
            mine.set().unwrap();
            mine.reset().unwrap();
            thread::yield_now();
        }
    });
    assert!(!mine.is_set().unwrap());
}

#[test]
fn an_event_is_taken_by_one() {
    let (name, object) = object();
    let (mine, yours) = (Event::at(&object, 0).unwrap(), Event::at(&open(&name), 0).unwrap());
    mine.set().unwrap();
    yours.take().unwrap();
    assert!(matches!(mine.try_take(), Err(Error::WouldBlock { .. })));
    assert!(matches!(mine.take_timeout(SHORT), Err(Error::Timeout { .. })));
    let (asleep, ()) = is_asleep(|| yours.take().unwrap(), || mine.set().unwrap());
    assert!(asleep && !mine.is_set().unwrap());
}

#[test]
fn the_latest_value_is_the_last_that_was_stored() {
    let (name, object) = object();
    let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
    let (mine, yours) = (Latest::<[u16; 5]>::at(&object, 8).unwrap(), Latest::<[u16; 5]>::at(&reader, 8).unwrap());
    assert_eq!(Latest::<[u16; 5]>::LEN, 64);
    assert_eq!((yours.load().unwrap(), yours.version().unwrap()), (None, 0));
    for version in 1..=7_u16 {
        assert_eq!(mine.store(&[version; 5]).unwrap(), version.into());
        assert_eq!(yours.load_versioned().unwrap(), Some((version.into(), [version; 5])));
    }
    assert!(matches!(yours.wait_for_change_timeout(7, SHORT), Err(Error::Timeout { .. })));
    assert_eq!(yours.wait_for_change(6).unwrap(), 7);
    // One who has it copy-on-write sees what others store as well, also after he has slept.
    let own = SharedOptions::new().map_mode(MapMode::CopyOnWrite).open(&*name).unwrap();
    let own = Latest::<[u16; 5]>::at(&own, 8).unwrap();
    for waits in [&mine, &yours, &own, &own] {
        let seen = mine.version().unwrap();
        let (asleep, version) =
            is_asleep(|| waits.wait_for_change_timeout(seen, LONG).unwrap(), || _ = mine.store(&[9; 5]).unwrap());
        assert!(asleep && version == seen + 1);
    }
    assert_eq!(mine.try_store(&[1; 5]).unwrap(), 12);
    assert_eq!(mine.store_timeout(&[1; 5], LONG).unwrap(), 13);
}

#[test]
fn loads_are_whole_while_others_store() {
    let (name, object) = object();
    let (latest, turns) = (Latest::<[u64; 40]>::at(&object, 0).unwrap(), 20_000);
    let others = [open(&name), open(&name)];
    thread::scope(|scope| {
        let writers: Vec<_> = others
            .iter()
            .zip(1..)
            .map(|(other, own)| {
                let latest = Latest::<[u64; 40]>::at(other, 0).unwrap();
                scope.spawn(move || (0..turns).for_each(|turn| _ = latest.store(&[2 * turn + own; 40]).unwrap()))
            })
            .collect();
        let mut before = 0;
        while before < 2 * turns {
            let loaded = match latest.load_versioned() {
                Ok(loaded) => loaded,
                Err(Error::Lagged { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            let Some((version, value)) = loaded else { continue };
            assert!(version >= before && value.iter().all(|word| *word == value[0]), "{value:?}");
            before = version;
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}

#[test]
fn a_value_of_no_bytes_is_a_plain_lock() {
    let (_name, object) = object();
    let mutex = Mutex::<[u8; 0]>::at(&object, LEN - 8).unwrap();
    let guard = mutex.lock().unwrap();
    assert!(mutex.try_lock().is_err());
    drop(guard);
    let latest = Latest::<[u8; 0]>::at(&object, 0).unwrap();
    assert_eq!((latest.store(&[]).unwrap(), latest.load().unwrap()), (1, Some([])));
}

/// A process that locks, and keeps what it has locked until it is told or dies.
pub(super) fn locker(test: &str) -> Peer {
    let mut held = None;
    Peer::start(test, move |request| {
        match request.split_once(' ') {
            Some(("lock", name)) => {
                let mutex: &'static Mutex<u64> = Box::leak(Box::new(Mutex::at(&open(name), 0).unwrap()));
                let mut guard = mutex.lock().unwrap();
                *guard += 1;
                guard.commit().unwrap();
                *guard += 100;
                held = Some(guard);
            }
            _ => drop(held.take()),
        }
        "done".to_owned()
    })
}

#[test]
fn one_who_sleeps_learns_of_the_owners_death() {
    let mut peer = locker("sync::contract::one_who_sleeps_learns_of_the_owners_death");
    let (name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    peer.ask(&format!("lock {}", &*name));
    let (asleep, found) = is_asleep(
        || {
            let guard = mutex.lock_timeout(LONG).unwrap();
            (*guard, guard.recovered())
        },
        || peer.kill(),
    );
    assert!(asleep && found == (1, true));
}
