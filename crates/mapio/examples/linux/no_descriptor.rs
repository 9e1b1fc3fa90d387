//! Stands in for a program whose runtime waits for a descriptor.

use std::process::ExitCode;

/// Says why there is none here.
pub(crate) fn main() -> ExitCode {
    let name = env!("CARGO_BIN_NAME");
    eprintln!("{name}: not on this system: tokio waits for no event object (a thread can, by `Receiver::receive`)");
    ExitCode::from(2)
}
