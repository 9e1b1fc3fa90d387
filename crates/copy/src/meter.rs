//! What an engine has done so far, for progress and for the benches; and what it may do: not be stopped, and be slow.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread that has to be slow sleeps before it looks whether it was stopped.
const NAP: Duration = Duration::from_millis(20);
/// Pieces of a limited copy are so small that this many of them fit a second.
const PIECES_PER_SECOND: u64 = 16;
/// Pieces of a limited copy are at least this long, in bytes, and multiples of it.
const PIECE_UNIT: u64 = 4096;

/// Counts what copies do while they run, and reins them. One thread may read and rein while others count.
///
/// Each counter is independent, and nothing else is published by them, so relaxed accesses do.
#[derive(Debug, Default)]
pub struct Meter {
    /// Written by the engine's threads, read by whoever shows progress.
    bytes: AtomicU64,
    /// Written by the engine's threads, read when they are done.
    calls: AtomicU64,
    /// Written by whoever transfers, read by whoever shows progress.
    files: AtomicU64,
    /// Written by whoever wants an end of it, read by the engine's threads at each step.
    stopped: AtomicBool,
    /// Set before the copy starts.
    limit: Option<Limit>,
}

/// A rate, and when the next byte is due by it.
#[derive(Debug)]
struct Limit {
    bytes_per_second: NonZero<u64>,
    /// When the bytes that were asked for so far will have taken their time.
    due: Mutex<Instant>,
}

impl Meter {
    /// Starts at zero, without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets no more bytes than this pass in a second, over all threads and files that the meter counts.
    ///
    /// Shared blocks pass none. A step that has begun is finished.
    #[must_use]
    pub fn limit(self, bytes_per_second: NonZero<u64>) -> Self {
        Self { limit: Some(Limit { bytes_per_second, due: Mutex::new(Instant::now()) }), ..self }
    }

    /// Bytes copied or compared so far, holes included, so that they add up to the lengths of the files.
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

    /// Files whose bytes have all been copied so far.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Ends every copy that the meter counts at its next step, with [`Error::Cancelled`](crate::Error::Cancelled).
    /// There is no way back. A signal handler may call it.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_calls(&self, calls: u64) {
        self.calls.fetch_add(calls, Ordering::Relaxed);
    }

    pub(crate) fn add_files(&self, files: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
    }

    /// The most bytes that a step may take, of which it could take `most`.
    pub(crate) fn step_bytes(&self, most: usize) -> usize {
        let Some(limit) = &self.limit else { return most };
        let piece = limit.bytes_per_second.get() / PIECES_PER_SECOND;
        let piece = (piece - piece % PIECE_UNIT).max(PIECE_UNIT);
        usize::try_from(piece).map_or(most, |piece| piece.min(most))
    }

    /// Waits until this many bytes may pass, or until somebody stops it all, or `is_over`.
    pub(crate) fn pass(&self, bytes: usize, is_over: impl Fn() -> bool) {
        let Some(limit) = &self.limit else { return };
        let turn = limit.reserve(Instant::now(), bytes);
        while !self.is_stopped() && !is_over() {
            let left = turn.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(NAP));
        }
    }
}

impl Limit {
    /// Answers when bytes that are asked for now may pass: when those before them have taken their time.
    fn reserve(&self, now: Instant, bytes: usize) -> Instant {
        // Nothing can panic while it is locked; and it is only a time.
        let mut due = self.due.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Time that was not used is lost, so that no burst follows a pause.
        let turn = now.max(*due);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let takes_ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second.get());
        let takes = Duration::from_nanos(u64::try_from(takes_ns).unwrap_or(u64::MAX));
        *due = turn.checked_add(takes).unwrap_or(turn);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_when_those_before_them_have_taken_their_time() {
        let meter = Meter::new().limit(NonZero::new(1000).unwrap());
        let limit = meter.limit.as_ref().unwrap();
        let now = Instant::now() + Duration::from_secs(1);
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(limit.reserve(now, 2000), now);
        assert_eq!(limit.reserve(now, 1000), after(2));
        assert_eq!(limit.reserve(after(1), 1000), after(3));
        // A pause earns nothing.
        assert_eq!(limit.reserve(after(100), 1000), after(100));
        assert_eq!(limit.reserve(after(100), 1000), after(101));
    }

    #[test]
    fn steps_of_a_limited_copy_are_small_and_of_whole_units() {
        let step = |rate| Meter::new().limit(NonZero::new(rate).unwrap()).step_bytes(1 << 20);
        assert_eq!(Meter::new().step_bytes(1 << 20), 1 << 20);
        assert_eq!(step(1), 4096);
        assert_eq!(step(1_000_000), 61_440);
        assert_eq!(step(u64::MAX), 1 << 20);
    }

    #[test]
    fn nobody_waits_for_what_was_stopped() {
        let meter = Meter::new().limit(NonZero::new(1).unwrap());
        meter.pass(1 << 30, || false);
        // Due in thirty years.
        meter.pass(1, || true);
        meter.stop();
        meter.pass(1, || false);
        assert!(meter.is_stopped());
    }
}
