//! What the tests of mapio share: other processes, file systems that fail, and skips that say why.
//!
//! Everything made here is removed when the value that stands for it is dropped.

mod checked_fs;
mod child;
mod faulty_fs;
mod image;
mod injection;
mod peer;
mod small_fs;
mod stepper;

pub use checked_fs::CheckedFs;
pub use child::{in_child, in_children, runner};
pub use faulty_fs::FaultyFs;
pub use injection::Injection;
pub use peer::Peer;
pub use small_fs::SmallFs;
pub use stepper::{Cut, Region, Stepper, kill_points};

use std::io::Write;

/// Says that a test, or a part of it, could not run here, and why: one line on standard error, which the test
/// harness does not capture. The CI script counts these lines.
pub fn skip(test: &str, reason: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// Reports a figure that a test is about, such as the number of faults survived, past the test harness's capture.
pub fn report(test: &str, figures: &str) {
    // As in `skip`.
    let _ = writeln!(std::io::stderr(), "figures: {test}: {figures}");
}

/// Bytes in which every position can be told from its neighbours, and none of which is zero.
///
/// Byte `i` is `1 + i % 251`: 251 is prime, so no power-of-two shift goes unnoticed.
#[must_use]
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(pattern_at).collect()
}

/// Byte `i` of [`pattern`].
#[must_use]
pub fn pattern_at(i: usize) -> u8 {
    u8::try_from(1 + i % 251).unwrap_or_else(|_| unreachable!("at most 251"))
}
