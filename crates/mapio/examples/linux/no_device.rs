//! Stands in for a program that drives a device.

use std::process::ExitCode;

/// Says why there is none here.
pub(crate) fn main() -> ExitCode {
    eprintln!("{}: not on this system: it lets no program reach the registers of devices", env!("CARGO_BIN_NAME"));
    ExitCode::from(2)
}
