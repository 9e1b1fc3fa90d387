//! Names of objects, on Linux.

use super::Name;

/// A name whose object is there until it is removed.
pub(super) fn lasting(number: &str) -> Name {
    Name::of(number.to_owned())
}
