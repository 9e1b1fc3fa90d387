//! Permits that are counted by their owners' numbers, so that those of the dead are found.
//!
//! ```text
//! 0          bell       rung when a permit becomes free
//! 4          zeros
//! 8 + 4 i    permit i   0: free; the number of its owner; or ABSENT
//! ```
//! A permit changes hands by one exchange of its word, so it is always in exactly one state, whoever dies.

use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Acquired, Patience, RECHECK};
use crate::memory::{Memory, Ordering};
use crate::sync::bell::{Bell, Wake};

const BELL: usize = 0;
const PERMITS: usize = 8;
const FREE: u32 = 0;
/// No participant's number.
const ABSENT: u32 = u32::MAX;

/// The permits in a part of an object's memory, which is as long as [`len`](Self::len) says; zeros are all free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permits<'a> {
    memory: &'a Memory,
    count: usize,
}

impl<'a> Permits<'a> {
    pub(crate) fn new(memory: &'a Memory, count: usize) -> Self {
        Self { memory, count }
    }

    /// Bytes that are needed; `None` for more than there can be.
    pub(crate) const fn len(count: usize) -> Option<usize> {
        match count.checked_mul(4) {
            Some(words) => match words.checked_next_multiple_of(8) {
                Some(words) => words.checked_add(PERMITS),
                None => None,
            },
            None => None,
        }
    }

    /// Waits for a permit and takes it; `None` if patience has come to its end. Answers which, and what became of its
    /// last owner.
    #[inline]
    pub(crate) fn acquire(&self, life: &impl Liveness, patience: Patience) -> Result<Option<(usize, Acquired)>, Error> {
        loop {
            let ticket = self.bell().ticket()?;
            if let Some(index) = self.take_free(life)? {
                return Ok(Some((index, Acquired::InOrder)));
            }
            if let Some(index) = self.take_from_dead(life)? {
                return Ok(Some((index, Acquired::OwnerDied)));
            }
            let Some(pause) = patience.left(RECHECK) else { return Ok(None) };
            self.bell().sleep(ticket, pause)?;
        }
    }

    /// Looks at each permit once, from one's own on.
    #[inline]
    fn take_free(&self, life: &impl Liveness) -> Result<Option<usize>, Error> {
        let own = usize::try_from(life.number()).unwrap_or(0) % self.count.max(1);
        for index in (own..self.count).chain(0..own) {
            let word = self.memory.u32(at(index))?;
            if word.load(Ordering::Relaxed)? != FREE {
                continue;
            }
            // A4: pairs with R4 of the owner before, or of who has posted it.
            if word.compare_exchange(FREE, life.number(), Ordering::Acquire, Ordering::Relaxed)?.is_ok() {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Asks for each owner once.
    #[cold]
    fn take_from_dead(&self, life: &impl Liveness) -> Result<Option<usize>, Error> {
        let mut alive = life.number();
        for index in 0..self.count {
            let word = self.memory.u32(at(index))?;
            let owner = word.load(Ordering::Relaxed)?;
            if owner == FREE || owner == ABSENT || owner == alive {
                continue;
            }
            if life.is_alive(owner)? {
                alive = owner;
                continue;
            }
            // Relaxed: the answer came after all that the dead one had done.
            if word.compare_exchange(owner, life.number(), Ordering::Relaxed, Ordering::Relaxed)?.is_ok() {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Gives a permit back. For its owner.
    #[inline]
    pub(crate) fn release(&self, life: &impl Liveness, index: usize) -> Result<(), Error> {
        // R4: publishes what was done with the permit, to A4.
        self.replace(life, index, FREE, Ordering::Release)?;
        self.bell().ring(Wake::One)
    }

    /// Takes a permit away. For its owner.
    pub(crate) fn forget(&self, life: &impl Liveness, index: usize) -> Result<(), Error> {
        // Relaxed: nobody gets it before it is posted, which publishes.
        self.replace(life, index, ABSENT, Ordering::Relaxed)
    }

    /// Puts a permit back that was taken away; `false` if all are there.
    pub(crate) fn post(&self) -> Result<bool, Error> {
        for index in 0..self.count {
            let word = self.memory.u32(at(index))?;
            if word.load(Ordering::Relaxed)? != ABSENT {
                continue;
            }
            // R4: publishes what it is posted for, to A4.
            if word.compare_exchange(ABSENT, FREE, Ordering::Release, Ordering::Relaxed)?.is_ok() {
                return self.bell().ring(Wake::One).map(|()| true);
            }
        }
        Ok(false)
    }

    /// How many are free: a guess, while others take and release.
    pub(crate) fn free(&self) -> Result<usize, Error> {
        let mut free = 0;
        for index in 0..self.count {
            free += usize::from(self.memory.u32(at(index))?.load(Ordering::Relaxed)? == FREE);
        }
        Ok(free)
    }

    fn replace(&self, life: &impl Liveness, index: usize, new: u32, order: Ordering) -> Result<(), Error> {
        let word = self.memory.u32(at(index))?;
        match word.compare_exchange(life.number(), new, order, Ordering::Relaxed)? {
            Ok(_) => Ok(()),
            Err(_) => Err(self.memory.corrupt(at(index), "the permit is not its owner's any more")),
        }
    }

    fn bell(&self) -> Bell<'a> {
        Bell::new(self.memory, BELL)
    }
}

fn at(index: usize) -> usize {
    PERMITS + 4 * index
}
