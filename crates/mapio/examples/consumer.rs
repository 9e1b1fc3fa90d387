//! Takes a message that `producer` leaves in shared memory, and prints it. Either may be started first.
//!
//!     consumer
//!
//! The object is called `SharedObject`. Its first 4 bytes tell how long the message is, 0 if there is none; it comes
//! behind.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mapio::shared::{Lifetime, SharedOptions};

fn consume() -> Result<(), Box<dyn std::error::Error>> {
    // OpenFileMapping and MapViewOfFile in one; whoever comes first makes the object (CreateFileMapping).
    let options = SharedOptions::new().len(4096).contents("one message").lifetime(Lifetime::LastHandle);
    let object = options.open_or_create("SharedObject")?;
    let view = object.view();

    // Asleep until there is a message: the producer wakes us. Acquire: who sees the length sees the message.
    let length = view.atomic::<u32>(0)?;
    let len = loop {
        match length.load(Ordering::Acquire)? {
            0 => object.wait(0, 0, Duration::from_secs(1))?,
            len => break usize::try_from(len)?,
        };
    };

    // The other process has written the length: one that does not fit is an error here, and no access outside.
    let mut message = vec![0; len.min(object.len())];
    view.read_exact_at(4, &mut message)?;
    println!("{}", String::from_utf8_lossy(&message));

    // Taken: the producer may go.
    length.store(0, Ordering::Release)?;
    object.wake(0)?;
    Ok(()) // UnmapViewOfFile and CloseHandle: `object` ends here, and with its last handle, what it was.
}

fn main() -> ExitCode {
    match consume() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer: {error}");
            ExitCode::from(2)
        }
    }
}
