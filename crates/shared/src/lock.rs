//! A lock of one word that survives its owner: the base of everything here that changes in more than one step.
//!
//! ```text
//! bits 0 to 29   the owner's number; 0: nobody's
//! bit 31         somebody may be asleep, waiting for it
//! ```
//! Whoever dies while he owns the lock leaves his number in it. The next one who wants it finds that this number is
//! nobody's any more, puts his own in its place by one exchange, and is told, so that he repairs what the lock guards.
//! He may die as well: then his number stands there, and the same happens again.
//!
//! Not fair: who comes while the lock is free gets it, even if others sleep. A spin is bounded; then the kernel is
//! asked whether the owner lives, and the waiter sleeps. It looks again at least every [`RECHECK`], since an owner's
//! death wakes nobody, and neither does one who dies between giving the lock back and waking.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::life::Liveness;
use crate::memory::{Memory, Ordering, Word, spin_loop};

/// The largest owner's number, and the mask for it.
const OWNER: u32 = (1 << 30) - 1;
const WAITERS: u32 = 1 << 31;
/// How often the word is looked at before the owner is asked for: about a microsecond, some times what a lock is held.
#[cfg(not(loom))]
const SPINS: u32 = 100;
/// In a model, every look is a branch.
#[cfg(loom)]
const SPINS: u32 = 0;
/// How often the word may turn out to be another one, in a row, before time is asked for: only others who break the
/// rules change it so often.
const TURNS: u32 = 1000;
/// For how long a waiter trusts an owner to be alive.
pub(crate) const RECHECK: Duration = Duration::from_millis(20);

/// What the last owner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// He gave the lock back, or there was none yet.
    InOrder,
    /// He died with it: what the lock guards may be half changed.
    OwnerDied,
}

/// How long is waited for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// Until then.
    Until(Instant),
    /// As long as it takes.
    Unlimited,
}

impl Patience {
    /// From now on, for so long; a time that no clock reaches is no limit.
    pub(crate) fn lasting(timeout: Duration) -> Self {
        Instant::now().checked_add(timeout).map_or(Self::Unlimited, Self::Until)
    }

    /// What is left, at most `most`; `None` if nothing is.
    pub(crate) fn left(self, most: Duration) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Unlimited => Some(most),
            Self::Until(end) => {
                let left = end.saturating_duration_since(Instant::now());
                (!left.is_zero()).then(|| left.min(most))
            }
        }
    }
}

/// The lock at some place of an object's memory; zeros are one that nobody owns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RobustLock<'a> {
    memory: &'a Memory,
    offset: usize,
}

impl<'a> RobustLock<'a> {
    /// The lock whose word is at `offset`.
    pub(crate) fn new(memory: &'a Memory, offset: usize) -> Self {
        Self { memory, offset }
    }

    /// Waits for the lock and takes it; `None` if patience has come to its end.
    ///
    /// A thread that owns it already waits for itself, and so does every thread that has the same number: the lock
    /// excludes them from each other as well. Without contention there is no system call.
    #[inline]
    pub(crate) fn lock(&self, life: &impl Liveness, patience: Patience) -> Result<Option<Acquired>, Error> {
        let word = self.memory.u32(self.offset)?;
        // A1: pairs with R1 of the owner before.
        match word.compare_exchange(0, life.number(), Ordering::Acquire, Ordering::Relaxed)? {
            Ok(_) => Ok(Some(Acquired::InOrder)),
            Err(_) => self.lock_contended(word, life, patience),
        }
    }

    #[cold]
    fn lock_contended(
        &self,
        word: Word<'_, u32>,
        life: &impl Liveness,
        patience: Patience,
    ) -> Result<Option<Acquired>, Error> {
        // Who has slept takes it with the mark, since he does not know whether others sleep as well.
        let mut mine = life.number();
        let (mut spins, mut turns) = (0, 0);
        loop {
            turns += 1;
            if turns % TURNS == 0 && patience.left(RECHECK).is_none() {
                return Ok(None);
            }
            let found = word.load(Ordering::Relaxed)?;
            let owner = found & OWNER;
            if owner == 0 {
                // A1: as above.
                if word.compare_exchange(found, mine | found & WAITERS, Ordering::Acquire, Ordering::Relaxed)?.is_ok() {
                    return Ok(Some(Acquired::InOrder));
                }
                continue;
            }
            if spins < SPINS && patience != Patience::None {
                spins += 1;
                spin_loop();
                continue;
            }
            if !life.is_alive(owner)? {
                // Relaxed: the answer came after all that the dead one had done, and nobody has had the lock since.
                if word.compare_exchange(found, mine | found & WAITERS, Ordering::Relaxed, Ordering::Relaxed)?.is_ok() {
                    return Ok(Some(Acquired::OwnerDied));
                }
                continue;
            }
            let Some(pause) = patience.left(RECHECK) else { return Ok(None) };
            let marked = found | WAITERS;
            if found == marked || word.compare_exchange(found, marked, Ordering::Relaxed, Ordering::Relaxed)?.is_ok() {
                word.wait(marked, pause)?;
                mine = life.number() | WAITERS;
                (spins, turns) = (0, 0);
            }
        }
    }

    /// Gives the lock back, and wakes one who waits.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not the caller's: somebody breaks the rules.
    #[inline]
    pub(crate) fn unlock(&self, life: &impl Liveness) -> Result<(), Error> {
        let word = self.memory.u32(self.offset)?;
        // R1: publishes what the lock guards, to A1.
        match word.compare_exchange(life.number(), 0, Ordering::Release, Ordering::Relaxed)? {
            Ok(_) => Ok(()),
            Err(found) => self.unlock_marked(found, life),
        }
    }

    #[cold]
    fn unlock_marked(&self, found: u32, life: &impl Liveness) -> Result<(), Error> {
        let word = self.memory.u32(self.offset)?;
        // Only the mark changes while one owns it, and nobody takes it away.
        if found == life.number() | WAITERS {
            // R1: as above.
            if word.compare_exchange(found, 0, Ordering::Release, Ordering::Relaxed)?.is_ok() {
                return word.wake(1);
            }
        }
        Err(self.memory.corrupt(self.offset, "the lock is not its owner's any more"))
    }
}

/// Every interleaving, and every value that the memory model allows in them:
/// `RUSTFLAGS="--cfg loom" cargo test --release -p mapio-shared --lib`.
#[cfg(all(test, loom))]
mod models {
    use loom::thread;

    use super::*;
    use crate::life::model::Mortal;

    const LOCK: usize = 0;
    const DATA: usize = 8;

    /// Adds 1 in two steps, which only an owner may.
    fn add(memory: &Memory, life: &Mortal) {
        let lock = RobustLock::new(memory, LOCK);
        lock.lock(life, Patience::Unlimited).unwrap().unwrap();
        increase(memory);
        lock.unlock(life).unwrap();
    }

    fn increase(memory: &Memory) {
        let data = memory.u64(DATA).unwrap();
        let value = data.load(Ordering::Relaxed).unwrap();
        data.store(value + 1, Ordering::Relaxed).unwrap();
    }

    fn value(memory: &Memory) -> u64 {
        memory.u64(DATA).unwrap().load(Ordering::Relaxed).unwrap()
    }

    #[test]
    fn owners_exclude_each_other_and_nobody_sleeps_for_ever() {
        loom::model(|| {
            let memory = Memory::zeros(16, &[LOCK]);
            let mut mortals = Mortal::several(2);
            // Both are new threads: of the loads of the main one, loom delays not every one.
            let threads = [mortals.pop().unwrap(), mortals.pop().unwrap()].map(|life| {
                let memory = memory.clone();
                thread::spawn(move || add(&memory, &life))
            });
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(value(&memory), 2);
        });
    }

    #[test]
    fn the_lock_of_one_who_died_goes_to_one_who_learns_of_it() {
        loom::model(|| {
            let memory = Memory::zeros(16, &[LOCK]);
            let mut mortals = Mortal::several(2);
            let (other, theirs) = (mortals.pop().unwrap(), memory.clone());
            let thread = thread::spawn(move || {
                let lock = RobustLock::new(&theirs, LOCK);
                let acquired = lock.lock(&other, Patience::None).unwrap();
                if acquired.is_some() {
                    increase(&theirs);
                }
                other.die();
                acquired.is_some()
            });
            let lock = RobustLock::new(&memory, LOCK);
            let mine = lock.lock(&mortals[0], Patience::None).unwrap();
            if mine.is_some() {
                increase(&memory);
                lock.unlock(&mortals[0]).unwrap();
            }
            let had = thread.join().unwrap();
            let last = lock.lock(&mortals[0], Patience::None).unwrap().unwrap();
            // Whoever had it after the other's death was told.
            let told = last == Acquired::OwnerDied || mine == Some(Acquired::OwnerDied);
            assert_eq!(told, had);
            assert_eq!(value(&memory), u64::from(had) + u64::from(mine.is_some()));
        });
    }
}
