//! Permits for what only so many may do at a time, or for what there are so many of.

use std::fmt;
use std::time::Duration;

use super::permits::Permits;
use super::place::{Limit, Place};
use crate::error::Error;
use crate::lock::Acquired;
use crate::object::SharedObject;

/// Most permits that a semaphore can have: each is looked at when none is free.
const MOST: u32 = 1 << 16;

/// So many permits, each of which one at a time has.
///
/// Permits are acquired and released, and at first all are free. To count what is there instead, such as messages,
/// begin by acquiring and [forgetting](Permit::forget) them; then [`post`](Self::post) one for each that comes, and
/// forget what was acquired when it was dealt with: should the process die before, its permit, and so the message, goes
/// to somebody else.
///
/// Acquiring looks at up to all permits, and asks the kernel for each owner if none is free. Threads that share a
/// handle of the object may each have permits. Not fair: see [the module](super).
///
/// # Crashes
/// The permits of the dead are found by those who find no free one, within 20 ms if they sleep. A permit is
/// never lost and never there twice, at whatever instruction anybody dies.
///
/// ```
/// # use mapio_shared::{SharedObject, SharedOptions, sync::Semaphore};
/// # let name = &format!("mapio-doc-semaphore-{}", std::process::id());
/// let object = SharedOptions::new().len(4096).create(name)?;
/// let at_most_two = Semaphore::at(&object, 0, 2)?;
/// let (first, _second) = (at_most_two.acquire()?, at_most_two.acquire()?);
/// assert!(at_most_two.try_acquire().is_err());
/// drop(first);
/// assert_eq!(at_most_two.available()?, 1);
/// # SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[doc(alias = "sem_t")]
#[derive(Clone)]
pub struct Semaphore {
    place: Place,
    permits: usize,
}

/// A permit of a [`Semaphore`], given back when it is dropped.
///
/// No error can be told then, for which there is [`release`](Self::release). A permit that is leaked is given back when
/// the object is closed by all that stands on it.
#[must_use = "it is given back when it is dropped"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    index: usize,
    recovered: bool,
    /// Whether the permit is still this one's.
    held: bool,
}

impl Semaphore {
    /// Bytes that one of so many permits needs: 8, and 4 for each, rounded up to a multiple of 8.
    ///
    /// `usize::MAX` for more than there is address space.
    #[must_use]
    pub fn len_for(permits: u32) -> usize {
        usize::try_from(permits).ok().and_then(Permits::len).unwrap_or(usize::MAX)
    }

    /// The semaphore at a byte of the contents, a multiple of 8; zeros there are one of which all permits are free.
    ///
    /// All processes must agree on the number of permits, 1 to 65536.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of permits, an offset that is not such a multiple, without
    /// [`len_for`](Self::len_for) bytes behind it, or in an object that is open for reading only; [`Error::Foreign`] in
    /// a raw one.
    pub fn at(object: &SharedObject, offset: usize, permits: u32) -> Result<Self, Error> {
        if !(1..=MOST).contains(&permits) {
            return Err(Error::invalid(object.name(), format!("a semaphore has 1 to {MOST} permits, not {permits}")));
        }
        let place = Place::of_participant(object, offset, Self::len_for(permits))?;
        Ok(Self { place, permits: usize::try_from(permits).unwrap_or(usize::MAX) })
    }

    /// Waits for a permit as long as it takes, and takes it.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short; [`Error::Os`] when the kernel does not tell whether an owner
    /// lives.
    pub fn acquire(&self) -> Result<Permit<'_>, Error> {
        self.acquire_within(Limit::None)
    }

    /// Takes a permit that is free, or whose owner is dead.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if there is none; those of [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<Permit<'_>, Error> {
        self.acquire_within(Limit::Try)
    }

    /// Waits for a permit, no longer than `timeout`, and takes it.
    ///
    /// # Errors
    /// [`Error::Timeout`]; those of [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, Error> {
        self.acquire_within(Limit::Within(timeout))
    }

    /// Puts back a permit that was [forgotten](Permit::forget), whoever has forgotten it.
    ///
    /// # Errors
    /// [`Error::Crowded`] if none is missing: there are as many as there can be. [`Error::Fault`].
    #[doc(alias = "sem_post")]
    pub fn post(&self) -> Result<(), Error> {
        if self.inner().post()? {
            return Ok(());
        }
        let places = u64::try_from(self.permits).unwrap_or(u64::MAX);
        Err(Error::Crowded { object: self.place.object().name().to_owned(), places })
    }

    /// How many permits are free, as of some moment during the call; those of the dead are not.
    ///
    /// # Errors
    /// [`Error::Fault`].
    #[doc(alias = "sem_getvalue")]
    pub fn available(&self) -> Result<u32, Error> {
        Ok(u32::try_from(self.inner().free()?).unwrap_or(u32::MAX))
    }

    fn acquire_within(&self, limit: Limit) -> Result<Permit<'_>, Error> {
        let participant = self.place.participant()?;
        let (index, acquired) = self.place.within(limit, |patience| self.inner().acquire(participant, patience))?;
        Ok(Permit { semaphore: self, index, recovered: acquired == Acquired::OwnerDied, held: true })
    }

    fn inner(&self) -> Permits<'_> {
        Permits::new(self.place.memory(), self.permits)
    }
}

impl Permit<'_> {
    /// Whether the last owner has died with this permit.
    #[must_use]
    pub fn recovered(&self) -> bool {
        self.recovered
    }

    /// Gives the permit back.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short; [`Error::Corrupt`] when the permit is not ours any more, because
    /// somebody breaks the rules.
    pub fn release(mut self) -> Result<(), Error> {
        self.finish()
    }

    /// Takes the permit away: there is one less, until somebody [posts](Semaphore::post) it.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn forget(mut self) -> Result<(), Error> {
        self.held = false;
        self.semaphore.inner().forget(self.semaphore.place.participant()?, self.index)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.held = false;
        self.semaphore.inner().release(self.semaphore.place.participant()?, self.index)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("object", &self.place.object().name())
            .field("permits", &self.permits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("index", &self.index).field("recovered", &self.recovered).finish_non_exhaustive()
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.held {
            // Nobody is there to be told: `release` tells.
            let _ = self.finish();
        }
    }
}
