//! How one waits: by looking again and again, then asleep, never for ever without asking who is alive.

use std::time::Instant;

use super::options::Wait;
use super::ring::Ring;
use crate::error::Error;
use crate::lock::{Patience, RECHECK};
use crate::memory::{Ordering, fence, spin_loop};

/// How often is looked before sleeping: some ten microseconds, which is what falling asleep and waking up costs.
#[cfg(not(loom))]
const SPINS: u32 = 400;
/// In a model, every look is a branch.
#[cfg(loom)]
const SPINS: u32 = 0;
/// How often is looked between two looks at the clock.
const SPINS_UNTIMED: u32 = 1000;

/// What is to be done next by one who waits; in any case he looks again then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Look,
    /// See whether it was closed, or all have left.
    Glance,
    /// The same, and ask who is alive.
    Doubt,
    /// Give up: patience has come to its end.
    Over,
}

/// One wait, from its first look to its last.
///
/// The look that follows a step that has raised the flag comes behind F4, so a wake-up is never lost: see `Ring::wake`.
#[derive(Debug)]
pub(crate) struct Pause {
    event: usize,
    patience: Patience,
    spins: u32,
    /// The event's value, once the flag is up.
    raised: Option<u32>,
    doubted: Option<Instant>,
}

impl Pause {
    /// A wait for what wakes those who sleep on `event`.
    pub(crate) fn new(event: usize, patience: Patience) -> Self {
        Self { event, patience, spins: 0, raised: None, doubted: None }
    }

    /// Waits a little.
    pub(crate) fn step(&mut self, ring: &Ring) -> Result<Step, Error> {
        let spins = match ring.shape.wait {
            Wait::Spin => SPINS_UNTIMED,
            Wait::SpinThenSleep => SPINS,
            Wait::Sleep => 0,
        };
        if self.patience == Patience::None {
            return Ok(Step::Over);
        }
        if self.spins < spins {
            self.spins += 1;
            spin_loop();
            return Ok(Step::Look);
        }
        if ring.shape.sleeps() { self.sleep(ring) } else { Ok(self.look_at_clock()) }
    }

    /// Asks from time to time, without ever sleeping.
    #[cold]
    fn look_at_clock(&mut self) -> Step {
        self.spins = 0;
        if self.patience.left(RECHECK).is_none() {
            return Step::Over;
        }
        match self.doubted {
            Some(last) if !is_long_ago(last) => Step::Glance,
            None => {
                self.doubted = Some(Instant::now());
                Step::Glance
            }
            Some(_) => {
                self.doubted = Some(Instant::now());
                Step::Doubt
            }
        }
    }

    /// Raises the flag; the next time, sleeps.
    #[cold]
    fn sleep(&mut self, ring: &Ring) -> Result<Step, Error> {
        let word = ring.memory.u32(self.event)?;
        let Some(raised) = self.raised.take() else {
            let found = word.load(Ordering::Relaxed)?;
            let raised = found | 1;
            let is_up =
                found == raised || word.compare_exchange(found, raised, Ordering::Relaxed, Ordering::Relaxed)?.is_ok();
            // F4: orders the flag before the next look; pairs with F3 in `Ring::wake`.
            fence(Ordering::SeqCst);
            self.raised = is_up.then_some(raised);
            // Who never gets it up, since others change the word all the time, does not get to the clock below.
            let is_over = !is_up && self.patience.left(RECHECK).is_none();
            return Ok(if is_over { Step::Over } else { Step::Glance });
        };
        let Some(pause) = self.patience.left(RECHECK) else { return Ok(Step::Over) };
        // By the clock, since others may wake this one all the time, and never for what he waits for.
        let last = *self.doubted.get_or_insert_with(Instant::now);
        word.wait(raised, pause)?;
        self.spins = 0;
        if !is_long_ago(last) {
            return Ok(Step::Look);
        }
        self.doubted = Some(Instant::now());
        Ok(Step::Doubt)
    }
}

/// When who is alive was last asked by one who never waits for long.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Option<Instant>);

impl Doubts {
    /// Whether it is time to ask again, which it is from the second time on.
    pub(crate) fn are_due(&mut self) -> bool {
        let due = is_long_ago(*self.0.get_or_insert_with(Instant::now));
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Whether it is time to ask again. In a model, time does not pass.
fn is_long_ago(time: Instant) -> bool {
    !cfg!(loom) && time.elapsed() >= RECHECK
}
