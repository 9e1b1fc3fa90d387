//! Processes that do everything at once, and are killed at any time: `MAPIO_KILLS` says how often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mapio_map::View;
use mapio_shared::sync::{Condvar, Event, Latest, Mutex, MutexGuard, Semaphore};
use mapio_shared::{Error, SharedObject};
use mapio_testkit::{Peer, report};

use super::{object, open};
use crate::support::kills;

/// Processes at a time.
const WORKERS: usize = 3;
/// How long anybody may wait for what the dead have left behind: they are asked for every 20 ms.
const SOON: Duration = Duration::from_secs(10);

const MUTEX: usize = 0;
const SEMAPHORE: usize = 832;
const EVENT: usize = 896;
const CONDVAR: usize = 960;
/// How often each worker knows to have added: outside of all locks.
const CERTAIN: usize = 1024;
const LATEST: usize = 2048;
const PERMITS: u32 = 2;

/// What each worker has added, how many deaths were told of, and, in all other words, the sum: so many that a copy
/// takes time to be killed in.
type Counts = [u64; 48];
const TOLD: usize = WORKERS;
const SUM: usize = WORKERS + 1;
type Value = [u64; 40];
/// How often a worker adds in a row before it does the rest.
const ADDS: u32 = 500;

fn word(view: View<'_>, offset: usize, index: usize) -> mapio_map::AtomicView<'_, u64> {
    view.atomic::<u64>(offset + 8 * index).unwrap()
}

/// The sum, which is the same wherever it stands.
fn check_sum(counts: &Counts) -> u64 {
    assert!(counts[SUM..].iter().all(|word| *word == counts[SUM]), "{counts:?}");
    counts[SUM]
}

/// Counts once more for a worker.
fn add(mut guard: MutexGuard<'_, Counts>, own: usize) -> Result<(), Error> {
    guard[TOLD] += u64::from(guard.recovered());
    guard[own] += 1;
    let sum = check_sum(&guard) + 1;
    guard[SUM..].fill(sum);
    guard.unlock()
}

/// What a worker does until it is killed: every operation, one after the other.
fn work(object: &SharedObject, own: usize) {
    let mutex = Mutex::<Counts>::at(object, MUTEX).unwrap();
    let (semaphore, event) = (Semaphore::at(object, SEMAPHORE, PERMITS).unwrap(), Event::at(object, EVENT).unwrap());
    let (condvar, latest) = (Condvar::at(object, CONDVAR).unwrap(), Latest::<Value>::at(object, LATEST).unwrap());
    let certain = word(object.view(), CERTAIN, own);
    loop {
        for _ in 0..ADDS {
            add(mutex.lock_timeout(SOON).unwrap(), own).unwrap();
            certain.fetch_add(1, Ordering::Relaxed).unwrap();
        }
        condvar.notify_one().unwrap();
        semaphore.acquire_timeout(SOON).unwrap().release().unwrap();
        event.set().unwrap();
        event.reset().unwrap();
        let version = latest.version().unwrap();
        latest.store_timeout(&[version; 40], SOON).unwrap();
        let guard = mutex.lock_timeout(SOON).unwrap();
        let before = guard[own];
        let (guard, _) =
            condvar.wait_timeout_while(guard, Duration::from_micros(50), |counts| counts[own] == before).unwrap();
        assert_eq!(guard[own], before);
        // What was told in the meantime is told on.
        if guard.recovered() {
            add(guard, own).unwrap();
            certain.fetch_add(1, Ordering::Relaxed).unwrap();
        }
    }
}

/// A process that works once it is told where.
fn start(test: &str) -> Peer {
    Peer::start(test, |request| {
        let (name, own) = request.split_once(' ').unwrap();
        let (object, own) = (open(name), own.parse().unwrap());
        thread::spawn(move || work(&object, own));
        "works".to_owned()
    })
}

/// What was counted is what is certain, but for one that each of the killed may have added and not said so.
fn check_counts(object: &SharedObject, mutex: &Mutex<Counts>, killed: usize) {
    let guard = mutex.lock_timeout(SOON).unwrap();
    let certain = word(object.view(), CERTAIN, killed);
    let (counted, said) = (guard[killed], certain.load(Ordering::Relaxed).unwrap());
    assert!(counted == said || counted == said + 1, "worker {killed}: {counted} counted, {said} certain");
    certain.store(counted, Ordering::Relaxed).unwrap();
    assert_eq!(guard[..WORKERS].iter().sum::<u64>(), check_sum(&guard));
    if guard.recovered() {
        let mut guard = guard;
        guard[TOLD] += 1;
        guard.unlock().unwrap();
    }
}

/// Loads for as long as the others work; answers how often.
fn read(latest: &Latest<Value>, over: &AtomicBool) -> u64 {
    let (mut loads, mut before) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        match latest.load_versioned() {
            Ok(None) | Err(Error::Lagged { .. }) => (),
            Ok(Some((version, value))) => {
                assert!(version >= before && value.iter().all(|word| *word == value[0]), "{version}: {value:?}");
                (loads, before) = (loads + 1, version);
            }
            Err(error) => panic!("{error}"),
        }
        thread::sleep(Duration::from_micros(50));
    }
    loads
}

#[test]
fn nothing_is_lost_by_the_dead_but_what_they_had_not_committed() {
    const TEST: &str = "sync::load::nothing_is_lost_by_the_dead_but_what_they_had_not_committed";
    let mut workers: Vec<Option<Peer>> = (0..WORKERS).map(|_| Some(start(TEST))).collect();
    let (name, object) = object();
    let kills = kills(60);
    let (mutex, latest) = (Mutex::<Counts>::at(&object, MUTEX).unwrap(), Latest::at(&object, LATEST).unwrap());
    let over = AtomicBool::new(false);
    let loads = thread::scope(|scope| {
        let reader = scope.spawn(|| read(&latest, &over));
        for (index, worker) in workers.iter_mut().enumerate() {
            worker.as_mut().unwrap().ask(&format!("{} {index}", &*name));
        }
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let mut random = u64::from(seed) | 1;
        for kill in 0..kills {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // When it is killed is what is random here.
            thread::sleep(Duration::from_micros((random >> 33) % 3000));
            let index = kill % WORKERS;
            workers[index].take().unwrap().kill();
            check_counts(&object, &mutex, index);
            let mut next = start(TEST);
            next.ask(&format!("{} {index}", &*name));
            workers[index] = Some(next);
        }
        workers.drain(..).flatten().for_each(Peer::kill);
        over.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    (0..WORKERS).for_each(|index| check_counts(&object, &mutex, index));
    let counts = *mutex.try_lock().unwrap();
    let deaths = u64::try_from(kills + WORKERS).unwrap();
    assert!(counts[TOLD] <= deaths, "{counts:?}");
    let semaphore = Semaphore::at(&object, SEMAPHORE, PERMITS).unwrap();
    let permits: Vec<_> = std::iter::from_fn(|| semaphore.try_acquire().ok()).collect();
    assert_eq!(permits.len(), usize::try_from(PERMITS).unwrap());
    let (sum, told) = (counts[SUM], counts[TOLD]);
    report(TEST, &format!("{deaths} killed, {told} of them with the mutex, {sum} increments, {loads} loads"));
}
