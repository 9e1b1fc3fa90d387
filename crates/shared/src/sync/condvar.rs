//! Waiting until somebody has changed what a mutex guards.

use std::fmt;
use std::time::{Duration, Instant};

use super::bell::{Bell, Wake};
use super::mutex::MutexGuard;
use super::place::{Limit, Place};
use crate::error::Error;
use crate::layout::Layout;
use crate::lock::RECHECK;
use crate::object::SharedObject;

const BELL: usize = 0;
/// How long the mutex is waited for when the time of a wait is over.
const RELOCK: Duration = Duration::from_secs(1);

/// A place to wait in, with a [`Mutex`](super::Mutex) unlocked, until somebody has changed what the mutex guards.
///
/// Whoever changes it notifies, with the mutex or after it was given back. A wait also ends for no reason, at least
/// every 20 ms: so look again, or use [`wait_while`](Self::wait_while). Any mutex will do, also one of another object,
/// but all who wait for the same thing must use the same. Who waits commits what it has changed.
///
/// # Crashes
/// If one dies that was just woken alone, or before it notifies, the others look by themselves within 20 ms.
///
/// ```
/// # use mapio_shared::{SharedObject, SharedOptions, sync::{Condvar, Mutex}};
/// # let name = &format!("mapio-doc-condvar-{}", std::process::id());
/// let object = SharedOptions::new().len(4096).create(name)?;
/// let (stock, changed) = (Mutex::<u32>::at(&object, 0)?, Condvar::at(&object, 64)?);
/// *stock.lock()? += 1; // In another process, usually.
/// changed.notify_one()?;
/// let mut guard = changed.wait_while(stock.lock()?, |stock| *stock == 0)?;
/// *guard -= 1;
/// # drop(guard);
/// # SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[doc(alias = "pthread_cond_t")]
#[derive(Clone)]
pub struct Condvar {
    place: Place,
}

impl Condvar {
    /// Bytes that it needs.
    pub const LEN: usize = 8;

    /// The place at a byte of the contents, a multiple of 8; zeros there are one where nobody waits.
    ///
    /// # Errors
    /// As [`Mutex::at`](super::Mutex::at).
    pub fn at(object: &SharedObject, offset: usize) -> Result<Self, Error> {
        Ok(Self { place: Place::of_participant(object, offset, Self::LEN)? })
    }

    /// Commits, unlocks, waits until somebody notifies, but at most 20 ms, and locks again.
    ///
    /// The guard that is answered has a new copy of the value. It tells of an owner's death that the old one told of.
    ///
    /// # Errors
    /// Those of [`MutexGuard::unlock`] and [`Mutex::lock`](super::Mutex::lock); the mutex is not held then.
    pub fn wait<'a, T: Layout>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Error> {
        self.wait_within(guard, RECHECK, Limit::None)
    }

    /// Waits as long as `condition` holds of the value.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_while<'a, T: Layout>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&T) -> bool,
    ) -> Result<MutexGuard<'a, T>, Error> {
        while condition(&guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait_while`](Self::wait_while), no longer than `timeout`: answers also whether the condition still held
    /// then.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`Error::Timeout`] when the mutex is not to be had for a second after the time is over.
    pub fn wait_timeout_while<'a, T: Layout>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&T) -> bool,
    ) -> Result<(MutexGuard<'a, T>, bool), Error> {
        // A time that no clock reaches is no limit.
        let end = Instant::now().checked_add(timeout);
        loop {
            if !condition(&guard) {
                return Ok((guard, false));
            }
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok((guard, true));
            }
            let relock = Limit::Within(left.saturating_add(RELOCK));
            guard = self.wait_within(guard, left.min(RECHECK), relock)?;
        }
    }

    /// Wakes one who waits, if anybody does.
    ///
    /// Without anybody who waits there is no system call.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short.
    pub fn notify_one(&self) -> Result<(), Error> {
        self.bell().ring(Wake::One)
    }

    /// Wakes all who wait.
    ///
    /// # Errors
    /// As [`notify_one`](Self::notify_one).
    pub fn notify_all(&self) -> Result<(), Error> {
        self.bell().ring(Wake::All)
    }

    fn wait_within<'a, T: Layout>(
        &self,
        guard: MutexGuard<'a, T>,
        pause: Duration,
        relock: Limit,
    ) -> Result<MutexGuard<'a, T>, Error> {
        // Taken under the lock: who changes the value afterwards rings after that.
        let ticket = self.bell().ticket()?;
        let (mutex, recovered) = (guard.mutex(), guard.recovered());
        guard.unlock()?;
        self.bell().sleep(ticket, pause)?;
        let mut guard = mutex.lock_within(relock)?;
        guard.add_recovered(recovered);
        Ok(guard)
    }

    fn bell(&self) -> Bell<'_> {
        Bell::new(self.place.memory(), BELL)
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("object", &self.place.object().name()).finish_non_exhaustive()
    }
}
