//! Names of objects, on Windows.

use super::Name;

/// A name whose object is there until it is removed: a file's, since a section ends with its last user.
pub(super) fn lasting(number: &str) -> Name {
    let path = std::env::temp_dir().join(number);
    Name::of(format!("file:{}", path.display()))
}
