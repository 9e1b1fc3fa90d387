//! Leaves a message in shared memory by the calls of Windows themselves, as textbooks have it, and waits for a line.
//!
//!     win32_producer
//!
//! `win32_consumer` takes it meanwhile. For comparison: `producer` does the same, sleeps until the message is taken,
//! and takes no harm from what another process does to the memory.

use std::process::ExitCode;

#[cfg(windows)]
#[path = "win32/calls.rs"]
mod calls;
#[cfg(windows)]
#[path = "win32/producer.rs"]
mod system;
#[cfg(not(windows))]
#[path = "win32/elsewhere.rs"]
mod system;

fn main() -> ExitCode {
    match system::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("win32_producer: {error}");
            ExitCode::from(2)
        }
    }
}
