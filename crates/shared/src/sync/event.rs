//! Something that has happened, or not yet.

use std::fmt;
use std::time::Duration;

use super::flag::Flag;
use super::place::{Limit, Place};
use crate::error::Error;
use crate::object::SharedObject;

/// A flag that is set, reset, and waited for.
///
/// It stays set for all until somebody resets it; [`take`](Self::take) resets it for the one that it answers, as events
/// do elsewhere that reset themselves. Whoever finds it set sees what was done before it was set last.
///
/// # Crashes
/// One who dies while he sets it has set it or not. If he dies before he has woken those who wait, they see it within
/// 20 ms. One who dies after he has [taken](Self::take) it has taken it: to pass work on that must not be lost, use a
/// [`Semaphore`](super::Semaphore).
///
/// ```
/// # use mapio_shared::{SharedObject, SharedOptions, sync::Event};
/// # let name = &format!("mapio-doc-event-{}", std::process::id());
/// let object = SharedOptions::new().len(4096).create(name)?;
/// let ready = Event::at(&object, 0)?;
/// assert!(ready.try_wait().is_err());
/// ready.set()?; // In another process, usually.
/// ready.wait()?;
/// # SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    place: Place,
}

impl Event {
    /// Bytes that it needs.
    pub const LEN: usize = Flag::LEN;

    /// The event at a byte of the contents, a multiple of 8; zeros there are one that is not set.
    ///
    /// # Errors
    /// As [`Mutex::at`](super::Mutex::at).
    pub fn at(object: &SharedObject, offset: usize) -> Result<Self, Error> {
        Ok(Self { place: Place::of_participant(object, offset, Self::LEN)? })
    }

    /// Sets it, and wakes all who wait. Without anybody who waits there is no system call.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short.
    pub fn set(&self) -> Result<(), Error> {
        self.inner().set()
    }

    /// Resets it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn reset(&self) -> Result<(), Error> {
        self.inner().reset()
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn is_set(&self) -> Result<bool, Error> {
        self.inner().is_set()
    }

    /// Waits until it is set, as long as it takes. If it is set during the call, and reset at once, that is enough.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn wait(&self) -> Result<(), Error> {
        self.place.within(Limit::None, |patience| self.inner().wait(patience))
    }

    /// As [`wait`](Self::wait), without waiting.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if it is not set; [`Error::Fault`].
    pub fn try_wait(&self) -> Result<(), Error> {
        self.place.within(Limit::Try, |patience| self.inner().wait(patience))
    }

    /// As [`wait`](Self::wait), no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Fault`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.place.within(Limit::Within(timeout), |patience| self.inner().wait(patience))
    }

    /// Waits until it is set, as long as it takes, and resets it in the same step: of several who wait, one has it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn take(&self) -> Result<(), Error> {
        self.place.within(Limit::None, |patience| self.inner().take(patience))
    }

    /// As [`take`](Self::take), without waiting.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if it is not set; [`Error::Fault`].
    pub fn try_take(&self) -> Result<(), Error> {
        self.place.within(Limit::Try, |patience| self.inner().take(patience))
    }

    /// As [`take`](Self::take), no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::Fault`].
    pub fn take_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.place.within(Limit::Within(timeout), |patience| self.inner().take(patience))
    }

    fn inner(&self) -> Flag<'_> {
        Flag::new(self.place.memory())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("object", &self.place.object().name()).finish_non_exhaustive()
    }
}
