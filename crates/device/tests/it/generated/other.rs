//! Processors whose instructions nothing here reads.

use super::Step;

/// Nothing is known.
pub(crate) fn follow(_: &[u8]) -> Option<Vec<Step>> {
    None
}
