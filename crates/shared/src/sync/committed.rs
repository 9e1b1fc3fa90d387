//! A value under a lock, which has always the last committed contents, whenever its owner dies.
//!
//! ```text
//! 0   lock        RobustLock
//! 4   state       bit 0: which buffer holds the value; bit 1: an owner has given up, and nobody knows yet
//! 8   buffer 0    the value, padded to a multiple of 8
//!     buffer 1    likewise
//! ```
//! Invariant: the buffer that the state names is never written to. Only the owner writes: the other buffer, and then,
//! by one store, the state.

use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Acquired, Patience, RobustLock};
use crate::memory::{Memory, Ordering};

const LOCK: usize = 0;
const STATE: usize = 4;
const BUFFERS: usize = 8;

const INDEX: u32 = 1;
const GIVEN_UP: u32 = 2;

/// The value at the start of a part of an object's memory, which is as long as [`len`](Self::len) says; zeros are
/// zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed<'a> {
    memory: &'a Memory,
    /// Bytes of the value.
    value_len: usize,
}

impl<'a> Committed<'a> {
    pub(crate) fn new(memory: &'a Memory, value_len: usize) -> Self {
        Self { memory, value_len }
    }

    /// Bytes that are needed for a value.
    pub(crate) const fn len(value_len: usize) -> usize {
        BUFFERS + 2 * value_len.next_multiple_of(8)
    }

    /// Takes the lock, and copies the value out; `None` if patience has come to its end. Answers whether the last owner
    /// died or gave up.
    #[inline(always)]
    pub(crate) fn lock(
        &self,
        life: &impl Liveness,
        patience: Patience,
        value: &mut [u8],
    ) -> Result<Option<bool>, Error> {
        let Some(acquired) = self.word().lock(life, patience)? else { return Ok(None) };
        match self.enter(value) {
            Ok(given_up) => Ok(Some(given_up || acquired == Acquired::OwnerDied)),
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.word().unlock(life);
                Err(error)
            }
        }
    }

    /// Copies the value out; answers whether somebody has given up.
    #[inline(always)]
    fn enter(&self, value: &mut [u8]) -> Result<bool, Error> {
        let state_word = self.memory.u32(STATE)?;
        let state = state_word.load(Ordering::Relaxed)?;
        self.memory.read(self.buffer(state), value)?;
        if state & GIVEN_UP == 0 {
            return Ok(false);
        }
        // Whoever dies from here on is told of as dead.
        state_word.store(state & !GIVEN_UP, Ordering::Relaxed)?;
        Ok(true)
    }

    /// Makes `value` what the next owner finds, also if this one dies. For the owner.
    #[inline(always)]
    pub(crate) fn commit(&self, value: &[u8]) -> Result<(), Error> {
        let state_word = self.memory.u32(STATE)?;
        let other = (state_word.load(Ordering::Relaxed)? ^ INDEX) & INDEX;
        self.memory.write(self.buffer(other), value)?;
        // R3: the buffer is written before the state names it, for the owner who comes after a death between the two.
        // He does not acquire it here: the kernel's answer that the owner is dead came after both.
        state_word.store(other, Ordering::Release)
    }

    /// Gives the lock back; what was not committed is lost. For the owner.
    #[inline]
    pub(crate) fn unlock(&self, life: &impl Liveness) -> Result<(), Error> {
        self.word().unlock(life)
    }

    /// Gives the lock back, and lets the next owner know that something has gone wrong. For the owner.
    pub(crate) fn give_up(&self, life: &impl Liveness) -> Result<(), Error> {
        let state_word = self.memory.u32(STATE)?;
        let marked = state_word.load(Ordering::Relaxed).and_then(|state| {
            // Relaxed: the next owner comes by R1.
            state_word.store(state & INDEX | GIVEN_UP, Ordering::Relaxed)
        });
        marked.and(self.word().unlock(life))
    }

    fn word(&self) -> RobustLock<'a> {
        RobustLock::new(self.memory, LOCK)
    }

    /// Where the buffer is that a state names.
    fn buffer(&self, state: u32) -> usize {
        if state & INDEX == 0 { BUFFERS } else { BUFFERS + self.value_len.next_multiple_of(8) }
    }
}
