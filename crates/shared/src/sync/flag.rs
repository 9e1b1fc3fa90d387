//! A flag that is waited for.
//!
//! ```text
//! 0   state   1: it is set
//! 4   bell    rung by each who sets it
//! ```

use crate::error::Error;
use crate::lock::{Patience, RECHECK};
use crate::memory::{Memory, Ordering};
use crate::sync::bell::{Bell, Ticket, Wake};

const STATE: usize = 0;
const BELL: usize = 4;
const SET: u32 = 1;

/// The flag at the start of a part of an object's memory; zeros are one that is not set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag<'a> {
    memory: &'a Memory,
}

impl<'a> Flag<'a> {
    /// Bytes that it needs.
    pub(crate) const LEN: usize = 8;

    pub(crate) fn new(memory: &'a Memory) -> Self {
        Self { memory }
    }

    pub(crate) fn set(&self) -> Result<(), Error> {
        // R5: publishes what it is set for, to A5.
        self.memory.u32(STATE)?.store(SET, Ordering::Release)?;
        self.bell().ring(Wake::All)
    }

    pub(crate) fn reset(&self) -> Result<(), Error> {
        self.memory.u32(STATE)?.store(0, Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_set(&self) -> Result<bool, Error> {
        // A5: pairs with R5.
        Ok(self.memory.u32(STATE)?.load(Ordering::Acquire)? == SET)
    }

    /// Waits until it is set, or was since the call; `None` if patience has come to its end.
    pub(crate) fn wait(&self, patience: Patience) -> Result<Option<()>, Error> {
        self.wait_since(self.bell().ticket()?, patience)
    }

    /// Waits until it is set, or was since the ticket; `None` if patience has come to its end.
    pub(crate) fn wait_since(&self, begin: Ticket, patience: Patience) -> Result<Option<()>, Error> {
        loop {
            let ticket = self.bell().ticket()?;
            if self.is_set()? || ticket.is_of_another_ring(begin) {
                return Ok(Some(()));
            }
            let Some(pause) = patience.left(RECHECK) else { return Ok(None) };
            self.bell().sleep(ticket, pause)?;
        }
    }

    /// Waits until it is set, and resets it, in one step; `None` if patience has come to its end.
    pub(crate) fn take(&self, patience: Patience) -> Result<Option<()>, Error> {
        let state = self.memory.u32(STATE)?;
        loop {
            let ticket = self.bell().ticket()?;
            // A5: pairs with R5.
            if state.compare_exchange(SET, 0, Ordering::Acquire, Ordering::Relaxed)?.is_ok() {
                return Ok(Some(()));
            }
            let Some(pause) = patience.left(RECHECK) else { return Ok(None) };
            self.bell().sleep(ticket, pause)?;
        }
    }

    fn bell(&self) -> Bell<'a> {
        Bell::new(self.memory, BELL)
    }
}
