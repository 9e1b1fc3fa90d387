//! Sleeping until a word changes: what futex(2) does on Linux, among the threads of this process.
//!
//! `WaitOnAddress` would be no more: Windows finds its sleepers by the address in one process. It also reads the word
//! without a guard, and does not say how many it has woken. So there is a list here of who sleeps on which address, in
//! the order in which they came; a thread sleeps by `std::thread::park`, which stands on the same call.
//!
//! Two mappings of one file have a word at two addresses, which agree in their last 16 bits: views begin at multiples
//! of 64 KiB, in the file and in memory. So whoever sleeps at another address with the same last bits is woken as well.
//! If it was another word, he has come back for no reason, as sleepers may.
//!
//! Invariant: a sleeper is in the list until it is woken, or has taken itself out. Whoever changes the list, or
//! compares the word before sleeping, holds the lock, so that no wake between the comparison and the sleep is lost.
#![expect(unsafe_code, reason = "a guarded load of foreign memory")]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::ERROR_NOACCESS;

use super::granularity_bytes;
use crate::arch::atomic::Atomic;

/// A thread that sleeps.
#[derive(Debug)]
struct Sleeper {
    /// Of the word.
    addr: usize,
    thread: Thread,
    /// Set by who wakes it, under the lock, and read by itself. Publishes nothing: whoever is woken loads the word
    /// again.
    woken: AtomicBool,
}

/// Who sleeps, the first to come first.
static SLEEPERS: Mutex<Vec<Arc<Sleeper>>> = Mutex::new(Vec::new());

/// Nothing panics under the lock, and each state of the list is whole.
fn sleepers() -> MutexGuard<'static, Vec<Arc<Sleeper>>> {
    SLEEPERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps while the word is `expected`, until it is woken by this process or the time is over; `false` if the time is
/// over. Answers `ERROR_NOACCESS` when the word is not to be had.
///
/// # Safety
/// `word` is a multiple of 4, in an address range that stays reserved for a mapping of ours, whose faults are caught.
pub(crate) unsafe fn futex_wait(word: *const u32, expected: u32, timeout: Option<Duration>) -> io::Result<bool> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let sleeper = Arc::new(Sleeper { addr: word.addr(), thread: thread::current(), woken: AtomicBool::new(false) });
    {
        let mut sleepers = sleepers();
        // SAFETY: by the duty, `Atomic`'s three.
        let found = unsafe { <u32 as Atomic>::load(word.cast(), Ordering::SeqCst) };
        if found.map_err(|_| no_access())? != expected {
            return Ok(true);
        }
        sleepers.push(Arc::clone(&sleeper));
    }
    while !sleeper.woken.load(Ordering::Relaxed) {
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => {
                let mut sleepers = sleepers();
                sleepers.retain(|other| !Arc::ptr_eq(other, &sleeper));
                // Who was woken at the last moment has been counted, and says so.
                return Ok(sleeper.woken.load(Ordering::Relaxed));
            }
            Some(left) => thread::park_timeout(left),
        }
    }
    Ok(true)
}

/// Wakes up to `count` of the threads of this process that sleep at this address, in the order in which they came, and
/// all that may sleep on the same word of another mapping; answers how many, at most `count`.
///
/// # Safety
/// As [`futex_wait`].
pub(crate) unsafe fn futex_wake(word: *const u32, count: u32) -> io::Result<u32> {
    let (mut here, mut elsewhere) = (0u32, 0u32);
    if count == 0 {
        return Ok(0);
    }
    sleepers().retain(|sleeper| {
        if sleeper.addr == word.addr() && here < count {
            here += 1;
        } else if sleeper.addr != word.addr() && sleeper.addr % granularity_bytes() == word.addr() % granularity_bytes()
        {
            elsewhere = elsewhere.saturating_add(1);
        } else {
            return true;
        }
        sleeper.woken.store(true, Ordering::Relaxed);
        sleeper.thread.unpark();
        false
    });
    Ok(here.saturating_add(elsewhere).min(count))
}

fn no_access() -> io::Error {
    io::Error::from_raw_os_error(ERROR_NOACCESS.cast_signed())
}
