//! Processors whose instructions nothing here reads.

use super::{Most, Path, Size};

const NONE: Size = Size { instructions: 0, looks: 0 };

/// Nothing is compared with it.
pub(crate) const MOST: Most = Most { read_status: NONE, write_holding: NONE, read_number: NONE, write_number: NONE };

/// Nothing is known.
pub(crate) fn follow(_: &[u8]) -> Option<Path> {
    None
}
