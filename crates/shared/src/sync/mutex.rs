//! A value that one process, or thread, changes at a time.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Duration;

use super::committed::Committed;
use super::place::{Limit, Place};
use crate::error::Error;
use crate::layout::Layout;
use crate::object::SharedObject;
use crate::participant::Participant;

/// A value in shared memory that one owner changes at a time, and which is never found half changed.
///
/// The guard holds a copy of the value, made when the lock was taken. What is changed is a copy's matter until it is
/// committed, in one step: by [`MutexGuard::commit`], or when the lock is given back. So values of some kilobytes at
/// most are meant; others stay outside, guarded by a `Mutex<[u8; 0]>`.
///
/// The lock excludes all threads of all processes, also those that share a handle of the object. A thread that locks
/// what it has locked waits for itself. Not fair: see [the module](super).
///
/// # Crashes
/// An owner that dies, at any instruction, leaves the last value that was committed. The next owner gets the lock at
/// once if it comes then, within 20 ms if it sleeps, and is told by [`MutexGuard::recovered`].
///
/// ```
/// use mapio_shared::{SharedObject, SharedOptions, sync::Mutex};
/// # let name = &format!("mapio-doc-mutex-{}", std::process::id());
/// let object = SharedOptions::new().len(4096).create(name)?;
/// let visits = Mutex::<u64>::at(&object, 0)?;
/// *visits.lock()? += 1;
/// assert_eq!(*visits.lock()?, 1);
/// # SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[doc(alias = "pthread_mutex_t")]
#[derive(Clone)]
pub struct Mutex<T> {
    place: Place,
    value: PhantomData<fn() -> T>,
}

/// The right to change a [`Mutex`]'s value, and the value: given back when it is dropped.
///
/// If the value was changed, dropping commits it first; no error can be told then, for which there is
/// [`unlock`](Self::unlock). A guard that is dropped by a panic discards what was not committed, and the next owner is
/// told. A guard that is forgotten keeps the lock until the object is closed by all that stands on it.
#[must_use = "it is given back when it is dropped"]
pub struct MutexGuard<'a, T: Layout> {
    mutex: &'a Mutex<T>,
    /// Whose number stands in the lock.
    participant: &'a Participant,
    value: T,
    /// Whether `value` may differ from what is committed.
    changed: bool,
    recovered: bool,
    /// Whether the lock is still this guard's.
    held: bool,
    /// Whether a panic was under way already when the lock was taken: then it is none of the guard's.
    panicking: bool,
}

impl<T: Layout> Mutex<T> {
    /// Bytes that it needs: 8, and twice the value's, rounded up to a multiple of 8.
    pub const LEN: usize = Committed::len(size_of::<T>());

    /// The mutex at a byte of the contents, a multiple of 8; zeros there are the value of zeros, free.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an offset that is not such a multiple, without [`LEN`](Self::LEN) bytes behind it, or in
    /// an object that is open for reading only; [`Error::Foreign`] in a raw one.
    pub fn at(object: &SharedObject, offset: usize) -> Result<Self, Error> {
        Ok(Self { place: Place::of_participant(object, offset, Self::LEN)?, value: PhantomData })
    }

    /// Waits for the lock as long as it takes, and takes it.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short; [`Error::Os`] when the kernel does not tell whether the owner
    /// lives.
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        self.lock_within(Limit::None)
    }

    /// Takes the lock if it is free, or its owner dead.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]; those of [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        self.lock_within(Limit::Try)
    }

    /// Waits for the lock, no longer than `timeout`, and takes it.
    ///
    /// # Errors
    /// [`Error::Timeout`]; those of [`lock`](Self::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, Error> {
        self.lock_within(Limit::Within(timeout))
    }

    #[inline]
    pub(super) fn lock_within(&self, limit: Limit) -> Result<MutexGuard<'_, T>, Error> {
        let participant = self.place.participant()?;
        let mut value = T::new_zeroed();
        let recovered =
            self.place.within(limit, |patience| self.inner().lock(participant, patience, value.as_mut_bytes()))?;
        let panicking = thread::panicking();
        Ok(MutexGuard { mutex: self, participant, value, changed: false, recovered, held: true, panicking })
    }

    fn inner(&self) -> Committed<'_> {
        Committed::new(self.place.memory(), size_of::<T>())
    }
}

impl<'a, T: Layout> MutexGuard<'a, T> {
    /// Whether the last owner has died with the lock, or dropped it by a panic: what it had not committed is lost.
    ///
    /// The value is one that somebody has committed; whether it goes together with what else the last owner was doing
    /// is for the caller to find out. It is told once, to the owner that comes next.
    #[doc(alias = "EOWNERDEAD")]
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered
    }

    /// Makes the value what the next owner finds, in one step, and keeps the lock.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short.
    pub fn commit(&mut self) -> Result<(), Error> {
        self.mutex.inner().commit(self.value.as_bytes())?;
        self.changed = false;
        Ok(())
    }

    /// Commits the value if it was changed, and gives the lock back.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short; [`Error::Corrupt`] when the lock is not ours any more, because
    /// somebody breaks the rules.
    pub fn unlock(mut self) -> Result<(), Error> {
        self.finish()
    }

    /// Gives the lock back without committing: the value is what it was at the last commit.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub fn discard(mut self) -> Result<(), Error> {
        self.changed = false;
        self.finish()
    }

    /// What it is the guard of.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }

    /// Passes the news of an owner's death on to this guard.
    pub(super) fn add_recovered(&mut self, recovered: bool) {
        self.recovered |= recovered;
    }

    #[inline]
    fn finish(&mut self) -> Result<(), Error> {
        self.held = false;
        let inner = self.mutex.inner();
        if self.changed
            && let Err(error) = inner.commit(self.value.as_bytes())
        {
            // Nobody is to wait for us. The first error is the one to tell.
            let _ = inner.unlock(self.participant);
            return Err(error);
        }
        inner.unlock(self.participant)
    }

    fn give_up(&self) -> Result<(), Error> {
        self.mutex.inner().give_up(self.participant)
    }
}

impl<T: Layout> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Layout> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("object", &self.place.object().name()).finish_non_exhaustive()
    }
}

impl<T: Layout + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard")
            .field("value", &self.value)
            .field("changed", &self.changed)
            .field("recovered", &self.recovered)
            .finish_non_exhaustive()
    }
}

impl<T: Layout> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        // Nobody is there to be told: `unlock` tells.
        let _ = if thread::panicking() && !self.panicking { self.give_up() } else { self.finish() };
    }
}
