//! The last of the values that were stored, for readers who wait for nobody.
//!
//! ```text
//!  0   writer     RobustLock of those who store
//!  4   bell       rung after each store
//!  8   version    u64: how many values were stored; the last one is in buffer `version % 3`
//! 16   buffer 0   the value, padded to a multiple of 8
//!      buffer 1   likewise
//!      buffer 2   likewise
//! ```
//! Invariant: while `version` is `v`, only buffer `(v + 1) % 3` is written to, by the owner of the lock. So the value
//! of version `v` stays whole until version `v + 2` is there, when that of `v + 3` is written over it: a reader who
//! finds `v` or `v + 1` after he has copied it has copied a whole value, however old. One who dies while he writes has
//! harmed a buffer that nobody reads.

use std::time::Duration;

use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Patience, RECHECK, RobustLock};
use crate::memory::{Memory, Ordering, Word, fence, spin_loop};
use crate::sync::bell::{Bell, Ticket, Wake};

const WRITER: usize = 0;
const BELL: usize = 4;
const VERSION: usize = 8;
const BUFFERS: usize = 16;
const COUNT: u64 = 3;
/// How often a value is copied that then turns out to be overwritten.
#[cfg(not(loom))]
const TRIES: u32 = 100;
#[cfg(loom)]
const TRIES: u32 = 2;

/// The value in a part of an object's memory, which is as long as [`len`](Self::len) says; zeros are none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Versions<'a> {
    memory: &'a Memory,
    /// Bytes of the value.
    value_len: usize,
}

/// What a reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// Nobody has stored anything yet.
    Nothing,
    /// The value of this version.
    Version(u64),
    /// All copies were overwritten while they were made; by so many versions, the last one.
    Lapped(u64),
}

impl<'a> Versions<'a> {
    pub(crate) fn new(memory: &'a Memory, value_len: usize) -> Self {
        Self { memory, value_len }
    }

    /// Bytes that are needed for a value.
    pub(crate) const fn len(value_len: usize) -> usize {
        BUFFERS + 3 * value_len.next_multiple_of(8)
    }

    /// Makes `value` the last one; answers its version, or `None` if patience has come to its end before the other
    /// writers have.
    #[inline]
    pub(crate) fn store(&self, life: &impl Liveness, patience: Patience, value: &[u8]) -> Result<Option<u64>, Error> {
        let lock = RobustLock::new(self.memory, WRITER);
        if lock.lock(life, patience)?.is_none() {
            return Ok(None);
        }
        let version = match self.publish(value) {
            Ok(version) => version,
            Err(error) => {
                // Nobody is to wait for us. The first error is the one to tell.
                let _ = lock.unlock(life);
                return Err(error);
            }
        };
        lock.unlock(life)?;
        self.bell().ring(Wake::All)?;
        Ok(Some(version))
    }

    /// For the owner of the lock.
    #[inline(always)]
    fn publish(&self, value: &[u8]) -> Result<u64, Error> {
        let word = self.version_word()?;
        let version = word.load(Ordering::Relaxed)?.wrapping_add(1);
        // F1: before any byte of this version comes the version before it, which was stored by whoever had the lock
        // then. A reader who copies such a byte and then comes by F2 finds that version: without, he could take the
        // bytes of two values for one.
        fence(Ordering::Release);
        self.memory.write(self.buffer(version), value)?;
        // R6: publishes the value, to A6.
        word.store(version, Ordering::Release)?;
        Ok(version)
    }

    /// Copies the last value out; waits for nobody.
    #[inline(always)]
    pub(crate) fn load(&self, value: &mut [u8]) -> Result<Loaded, Error> {
        let word = self.version_word()?;
        let mut missed = 0;
        for _ in 0..TRIES {
            // A6: pairs with R6.
            let version = word.load(Ordering::Acquire)?;
            if version == 0 {
                return Ok(Loaded::Nothing);
            }
            self.memory.read(self.buffer(version), value)?;
            // F2: pairs with F1 of who has stored a byte that was copied: the load below comes after F1.
            fence(Ordering::Acquire);
            missed = word.load(Ordering::Relaxed)?.wrapping_sub(version);
            if missed < COUNT - 1 {
                return Ok(Loaded::Version(version));
            }
            spin_loop();
        }
        Ok(Loaded::Lapped(missed))
    }

    /// The last version; 0 before the first.
    #[inline]
    pub(crate) fn version(&self) -> Result<u64, Error> {
        // A6: pairs with R6.
        self.version_word()?.load(Ordering::Acquire)
    }

    /// Waits until the version is another one than `seen`, and answers it; `None` if patience has come to its end.
    ///
    /// `sleep` is how to sleep for at most so long: on the bell, or otherwise by one who may not write.
    pub(crate) fn wait(
        &self,
        seen: u64,
        patience: Patience,
        sleep: impl Fn(&Bell<'_>, Ticket, Duration) -> Result<(), Error>,
    ) -> Result<Option<u64>, Error> {
        loop {
            let ticket = self.bell().ticket()?;
            let version = self.version()?;
            if version != seen {
                return Ok(Some(version));
            }
            let Some(pause) = patience.left(RECHECK) else { return Ok(None) };
            sleep(&self.bell(), ticket, pause)?;
        }
    }

    fn version_word(&self) -> Result<Word<'a, u64>, Error> {
        self.memory.u64(VERSION)
    }

    fn bell(&self) -> Bell<'a> {
        Bell::new(self.memory, BELL)
    }

    /// Where the value of a version is.
    fn buffer(&self, version: u64) -> usize {
        let index = usize::try_from(version % COUNT).unwrap_or_else(|_| unreachable!("less than 3"));
        BUFFERS + index * self.value_len.next_multiple_of(8)
    }
}
