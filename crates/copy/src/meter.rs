//! What an engine has done so far, for progress and for the benches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts bytes and system calls while a copy runs. One thread may read it while others count.
///
/// Each counter is independent, and nothing else is published by them, so relaxed accesses do.
#[derive(Debug, Default)]
pub struct Meter {
    /// Written by the engine's threads, read by whoever shows progress.
    bytes: AtomicU64,
    /// Written by the engine's threads, read when they are done.
    calls: AtomicU64,
}

impl Meter {
    /// Starts at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes copied or compared so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// System calls that the engine has made so far to move bytes and to make room for them: read, write, mmap, munmap,
    /// fallocate and the like. Opening, naming and closing the files is not counted.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_calls(&self, calls: u64) {
        self.calls.fetch_add(calls, Ordering::Relaxed);
    }
}
