//! What the runner and its guests have in common.
//!
//! The runner (`src/runner/`) starts machines in QEMU, whose first and only program (`src/guest/`) drives their devices
//! by mapio-device. README.md has the whole.

pub mod picture;
pub mod protocol;
