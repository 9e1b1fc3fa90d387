//! Leaves a message in shared memory, and waits until `consumer` has taken it. Either may be started first.
//!
//!     producer
//!
//! The object is called `SharedObject`. Its first 4 bytes tell how long the message is, 0 if there is none; it comes
//! behind.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mapio::shared::{Lifetime, SharedOptions};

const MESSAGE: &str = "Shared memory message";

fn produce() -> Result<(), Box<dyn std::error::Error>> {
    // CreateFileMapping and MapViewOfFile in one; whoever comes second opens what the first has made (OpenFileMapping).
    // It lives until the last handle is closed, as on Windows: who was killed has closed his.
    let options = SharedOptions::new().len(4096).contents("one message").lifetime(Lifetime::LastHandle);
    let object = options.open_or_create("SharedObject")?;
    let view = object.view();

    let length = view.atomic::<u32>(0)?;
    length.store(0, Ordering::Release)?; // What another producer was writing when he was killed is no message.
    view.write_all_at(4, MESSAGE.as_bytes())?;
    // Release: who sees the length sees the message.
    length.store(MESSAGE.len().try_into()?, Ordering::Release)?;
    object.wake(0)?;
    println!("written: {MESSAGE}");

    // Asleep until it is taken: the consumer sets the length to 0.
    loop {
        match length.load(Ordering::Acquire)? {
            0 => return Ok(()), // UnmapViewOfFile and CloseHandle: `object` ends here.
            full => object.wait(0, full, Duration::from_secs(1))?,
        };
    }
}

fn main() -> ExitCode {
    match produce() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("producer: {error}");
            ExitCode::from(2)
        }
    }
}
