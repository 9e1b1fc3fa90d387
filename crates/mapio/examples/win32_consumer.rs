//! Prints the message that `win32_producer` has left in shared memory, by the calls of Windows themselves.
//!
//!     win32_consumer
//!
//! The producer must be running: the memory lives as long as one of its handles. For comparison: `consumer` may be
//! started first, and checks what it finds.

use std::process::ExitCode;

#[cfg(windows)]
#[path = "win32/calls.rs"]
mod calls;
#[cfg(windows)]
#[path = "win32/consumer.rs"]
mod system;
#[cfg(not(windows))]
#[path = "win32/elsewhere.rs"]
mod system;

fn main() -> ExitCode {
    match system::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("win32_consumer: {error}");
            ExitCode::from(2)
        }
    }
}
