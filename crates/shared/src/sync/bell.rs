//! A word on which processes sleep until something has changed that lies elsewhere.
//!
//! ```text
//! bit 0          somebody may be asleep
//! bits 1 to 31   how often it was rung, modulo 2^31
//! ```
//! Whoever waits takes a ticket, then looks whether what he waits for is there, and sleeps only if the bell was not
//! rung since the ticket. Whoever makes it be there rings afterwards. So a ring is never missed: either it comes before
//! the ticket, and then the look sees what it was rung for, or the word is another one by the time of the sleep.
//!
//! One who dies before he rings wakes nobody: a sleep is short, and the look is repeated after it.

use std::time::Duration;

use crate::error::Error;
use crate::memory::{Memory, Ordering};

const SLEEPERS: u32 = 1;
const RING: u32 = 2;

/// The bell at some place of an object's memory; zeros are one that was not rung yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bell<'a> {
    memory: &'a Memory,
    offset: usize,
}

/// What the bell was when somebody began to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

impl Ticket {
    /// Whether the bell was rung between the two.
    pub(crate) fn is_of_another_ring(self, other: Self) -> bool {
        (self.0 ^ other.0) & !SLEEPERS != 0
    }
}

/// Who is to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// One, if anybody sleeps.
    One,
    /// All.
    All,
}

impl<'a> Bell<'a> {
    /// The bell whose word is at `offset`.
    pub(crate) fn new(memory: &'a Memory, offset: usize) -> Self {
        Self { memory, offset }
    }

    /// Begins to wait: take a ticket before looking at what is waited for.
    #[inline]
    pub(crate) fn ticket(&self) -> Result<Ticket, Error> {
        // A2: pairs with R2 of the ring that the ticket is of.
        Ok(Ticket(self.memory.u32(self.offset)?.load(Ordering::Acquire)?))
    }

    /// Sleeps for as long as `pause`, unless the bell was rung since the ticket; may come back at any time.
    pub(crate) fn sleep(&self, ticket: Ticket, pause: Duration) -> Result<(), Error> {
        let word = self.memory.u32(self.offset)?;
        let marked = ticket.0 | SLEEPERS;
        if ticket.0 == marked || word.compare_exchange(ticket.0, marked, Ordering::Relaxed, Ordering::Relaxed)?.is_ok()
        {
            word.wait(marked, pause)?;
        }
        Ok(())
    }

    /// Tells those who wait that something has changed, which was done before.
    ///
    /// Without sleepers there is no system call.
    #[inline]
    pub(crate) fn ring(&self, wake: Wake) -> Result<(), Error> {
        // R2: publishes what it is rung for, to A2.
        let before = self.memory.u32(self.offset)?.fetch_add(RING, Ordering::Release)?;
        if before & SLEEPERS == 0 { Ok(()) } else { self.wake(wake, before.wrapping_add(RING)) }
    }

    #[cold]
    fn wake(&self, wake: Wake, rung: u32) -> Result<(), Error> {
        let word = self.memory.u32(self.offset)?;
        // Others may go on sleeping, so the mark stays.
        if wake == Wake::One && word.wake_and_count(1)? > 0 {
            return Ok(());
        }
        // If somebody else has rung meanwhile, it is left to him, or to the next one.
        word.compare_exchange(rung, rung & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed)?.ok();
        // Also who fell asleep between the two, by a mark that is gone now.
        word.wake(u32::MAX)
    }
}
