//! A process that writes random bytes over everything that the others use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mapio_shared::SharedObject;
use mapio_shared::sync::{Condvar, Event, Latest, Mutex, Semaphore};
use mapio_testkit::{Peer, report};

use super::{LEN, object, open};

/// What each wait is asked to take at most.
const SHORT: Duration = Duration::from_millis(3);
/// What no call may take: far more than it is asked to, on a machine that has other things to do.
const GUARD: Duration = Duration::from_secs(20);
/// For how long it goes on.
const LASTING: Duration = Duration::from_millis(1500);

/// Writes over all of the object, in pieces of all sizes, until it is told to stop; then it answers how often.
fn vandal(test: &str) -> Peer {
    let mut work = None;
    Peer::start(test, move |request| {
        let over = Arc::new(AtomicBool::new(false));
        match work.take() {
            None => {
                let (object, ends) = (open(request), over.clone());
                work = Some((over, thread::spawn(move || destroy(&object, &ends))));
                "started".to_owned()
            }
            Some((over, thread)) => {
                AtomicBool::store(&over, true, Ordering::Relaxed);
                let thread: thread::JoinHandle<u64> = thread;
                thread.join().unwrap().to_string()
            }
        }
    })
}

fn destroy(object: &SharedObject, over: &AtomicBool) -> u64 {
    let (mut random, mut times) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    let mut bytes = [0; LEN];
    while !over.load(Ordering::Relaxed) {
        for byte in &mut bytes {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Many zeros and ones, which mean something.
            *byte = if random % 3 == 0 { random.to_le_bytes()[4] } else { u8::from(random % 7 == 0) };
        }
        for piece in [LEN, 512, 64, 8, 4] {
            (0..LEN).step_by(piece).for_each(|at| object.view().write_all_at(at, &bytes[at..at + piece]).unwrap());
        }
        times += 1;
    }
    times
}

/// Does it, and checks that it comes back; whatever it answers will do.
fn bounded<R, E>(calls: &mut (u64, u64), call: impl FnOnce() -> Result<R, E>) -> Option<R> {
    let begin = Instant::now();
    let answer = call();
    assert!(begin.elapsed() < GUARD);
    calls.0 += 1;
    calls.1 += u64::from(answer.is_err());
    answer.ok()
}

#[test]
fn random_bytes_are_errors_or_odd_values_and_no_more() {
    const TEST: &str = "sync::hostile::random_bytes_are_errors_or_odd_values_and_no_more";
    let mut peer = vandal(TEST);
    let (name, object) = object();
    peer.ask(&name);
    let mutex = Mutex::<[u64; 40]>::at(&object, 0).unwrap();
    let condvar = Condvar::at(&object, 704).unwrap();
    let semaphore = Semaphore::at(&object, 1024, 40).unwrap();
    let event = Event::at(&object, 1536).unwrap();
    let latest = Latest::<[u64; 40]>::at(&object, 2048).unwrap();
    // Calls, and errors among them.
    let mut calls = (0, 0);
    let calls = &mut calls;
    let begin = Instant::now();
    while begin.elapsed() < LASTING {
        if let Some(mut guard) = bounded(calls, || mutex.lock_timeout(SHORT)) {
            guard[7] = guard[8].wrapping_add(1);
            bounded(calls, || guard.commit());
            let waited = bounded(calls, || condvar.wait_timeout_while(guard, SHORT, |value| value[3] % 2 == 0));
            if let Some((guard, _)) = waited {
                bounded(calls, || guard.unlock());
            }
        }
        bounded(calls, || mutex.try_lock().and_then(|guard| guard.discard()));
        bounded(calls, || condvar.notify_one());
        bounded(calls, || condvar.notify_all());
        if let Some(permit) = bounded(calls, || semaphore.acquire_timeout(SHORT)) {
            bounded(calls, || permit.release());
        }
        bounded(calls, || semaphore.try_acquire().and_then(|permit| permit.forget()));
        bounded(calls, || semaphore.post());
        assert!(bounded(calls, || semaphore.available()).is_some_and(|free| free <= 40));
        bounded(calls, || event.set());
        bounded(calls, || event.wait_timeout(SHORT));
        bounded(calls, || event.take_timeout(SHORT));
        bounded(calls, || event.reset());
        bounded(calls, || latest.store_timeout(&[1; 40], SHORT));
        bounded(calls, || latest.load_versioned());
        bounded(calls, || latest.wait_for_change_timeout(1, SHORT));
    }
    let times: u64 = peer.ask("stop").parse().unwrap();
    assert!(times > 0);
    report(TEST, &format!("{} calls, {} of them errors; overwritten {times} times", calls.0, calls.1));
    // Whoever puts things in order can go on.
    object.view().fill(.., 0).unwrap();
    *mutex.try_lock().unwrap() = [5; 40];
    assert_eq!(*mutex.try_lock().unwrap(), [5; 40]);
}
