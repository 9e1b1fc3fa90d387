//! Sleeping until a word changes, where the system finds its sleepers by itself: futex(2) does, in all processes. Where
//! nothing can be shared, those of one process are all.

use std::time::Duration;

use mapio_map::{AtomicView, Fault};

use crate::sys::Spot;

/// See `sys`.
#[derive(Debug, Default)]
pub(crate) struct Parking;

impl Parking {
    pub(crate) fn of_section(_: &str) -> Self {
        Self
    }

    pub(crate) fn wait(
        &self,
        word: &AtomicView<'_, u32>,
        _: Spot<'_>,
        expected: u32,
        timeout: Duration,
    ) -> Result<bool, Fault> {
        word.wait(expected, Some(timeout))
    }

    pub(crate) fn wake(&self, word: &AtomicView<'_, u32>, _: Spot<'_>, count: u32) -> Result<u32, Fault> {
        word.wake(count)
    }
}
