//! How somebody waits who may not write to what he waits for.
//!
//! A reader's mapping is read-only, so it can't tell the writer that it waits. It looks again and again, and pauses in
//! between: shortly at first, since a record often follows the last one, then up to [`LONGEST`].

use std::thread;
use std::time::{Duration, Instant};

/// The first pause.
const SHORTEST: Duration = Duration::from_micros(50);
/// The longest pause: how late a record may be noticed after a long time without any.
const LONGEST: Duration = Duration::from_millis(1);

/// The pauses of one wait.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    /// When the wait is over; `None` is never.
    deadline: Option<Instant>,
    count: u32,
}

impl Pauses {
    /// Waits for so long in all; for ever if that is `None` or no clock goes so far.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { next: SHORTEST, deadline, count: 0 }
    }

    /// Pauses once; answers how many pauses there were, or `None` instead of a pause when the time is over.
    pub(super) fn pause(&mut self) -> Option<u32> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return None;
        }
        thread::sleep(left.map_or(self.next, |left| left.min(self.next)));
        self.next = (self.next * 2).min(LONGEST);
        self.count = self.count.wrapping_add(1);
        Some(self.count)
    }
}
