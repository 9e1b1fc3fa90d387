//! Waiting for the signals that ask a program to end: Ctrl-C (SIGINT) and SIGTERM.
//!
//! They are only noted, and the program ends by itself, with its own exit status. The second one ends it at once, as if
//! nobody had caught the first.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Whether the program has been asked to end since this was made.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// Set by the signal handlers, read by everybody; publishes nothing else.
    is_set: Arc<AtomicBool>,
    /// Gets a byte with each signal.
    bell: UnixStream,
}

impl Interrupt {
    /// Catches the signals from now on.
    pub(crate) fn catch() -> io::Result<Self> {
        let (bell, rope) = UnixStream::pair()?;
        let is_set = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first of them acts only on what the second one has set at the signal before.
            flag::register_conditional_default(signal, Arc::clone(&is_set))?;
            flag::register(signal, Arc::clone(&is_set))?;
            low_level::pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Self { is_set, bell })
    }

    /// Whether a signal has come.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// Waits for a signal, for this long at most; `None` is for ever.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> io::Result<()> {
        self.bell.set_read_timeout(at_most)?;
        while !self.is_set() {
            match (&self.bell).read(&mut [0]) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Another signal, such as SIGCONT.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
