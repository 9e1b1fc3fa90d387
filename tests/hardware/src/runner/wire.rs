//! The other end of a device's wire.
//!
//! A thread takes bytes out as they come: QEMU writes them one by one, of which a socket keeps a few hundred, and the device
//! waits for room.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use mapio_hardware::protocol::{BURST_BYTES, PAUSE};

/// How long bytes may take through a wire.
const PATIENCE: Duration = Duration::from_secs(5);

/// The other end of a wire.
pub(crate) struct Wire {
    stream: UnixStream,
    received: Arc<Received>,
    reader: JoinHandle<()>,
}

/// What has come and was not asked for yet.
#[derive(Default)]
struct Received {
    bytes: Mutex<Vec<u8>>,
    more: Condvar,
}

impl Received {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// Listens to a wire. The thread ends when QEMU does.
    pub(crate) fn new(stream: UnixStream) -> Result<Self> {
        let mut end = stream.try_clone().context("listening to a wire")?;
        let received = Arc::new(Received::default());
        let shared = Arc::clone(&received);
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end, too: QEMU was killed.
            while let Ok(count @ 1..) = end.read(&mut bytes) {
                shared.lock().extend(&bytes[..count]);
                shared.more.notify_all();
            }
        });
        Ok(Self { stream, received, reader })
    }

    /// Sends bytes into it.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("sending into a wire")
    }

    /// Sends them a few at a time, and goes on meanwhile.
    pub(crate) fn trickle(&self, bytes: Vec<u8>) -> Result<()> {
        let mut stream = self.stream.try_clone().context("sending into a wire")?;
        thread::spawn(move || {
            for burst in bytes.chunks(BURST_BYTES) {
                // Whoever misses them says so.
                let _ = stream.write_all(burst);
                thread::sleep(PAUSE);
            }
        });
        Ok(())
    }

    /// Takes so many bytes that have come, or fewer if no more come.
    pub(crate) fn take(&self, wanted: usize) -> Vec<u8> {
        let bytes = self.received.lock();
        let waited = self.received.more.wait_timeout_while(bytes, PATIENCE, |bytes| bytes.len() < wanted);
        let (mut bytes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let count = wanted.min(bytes.len());
        bytes.drain(..count).collect()
    }

    /// Waits until QEMU has ended; answers what has come and was not asked for.
    pub(crate) fn finish(self) -> Vec<u8> {
        // It only ends by a panic if there is no memory left.
        let _ = self.reader.join();
        std::mem::take(&mut self.received.lock())
    }
}
