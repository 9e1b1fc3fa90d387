//! Sleeping until a word of an object changes, whoever changes it.

use std::time::Duration;

use super::SharedObject;
use crate::error::Error;
use crate::memory::Memory;

impl SharedObject {
    /// Sleeps while the word of 4 bytes at `offset`, a multiple of 4, has the value `expected`: until somebody
    /// [wakes](Self::wake) those who sleep on it, in whatever process, or the time is over; then it answers `false`.
    ///
    /// It may come back for no reason: look at the word again. Nobody wakes those who sleep when a process dies, so
    /// wait for a limited time, and look whether it lives. On Windows nobody is woken by a process of another session
    /// or another user: who sleeps looks at the word again every 20 ms.
    ///
    /// # Errors
    /// [`Error::Fault`] when the word is not to be had; [`Error::Corrupt`] for one that lies outside.
    #[doc(alias("futex", "WaitOnAddress"))]
    pub fn wait(&self, offset: usize, expected: u32, timeout: Duration) -> Result<bool, Error> {
        self.words().u32(offset)?.wait(expected, timeout)
    }

    /// Wakes all who sleep on the word of 4 bytes at `offset`. Change the word first, atomically.
    ///
    /// It costs a system call, even where nobody sleeps, and does not block.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    #[doc(alias("futex", "WakeByAddressAll"))]
    pub fn wake(&self, offset: usize) -> Result<(), Error> {
        self.words().u32(offset)?.wake(u32::MAX)
    }

    fn words(&self) -> &Memory {
        &self.inner.contents
    }
}
