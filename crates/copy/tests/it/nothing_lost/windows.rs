//! What Windows lets be done to a file that is mapped.

use super::Change;

/// It cuts none.
pub(super) const CHANGES: &[Change] = &[Change::Grow, Change::Rewrite];
