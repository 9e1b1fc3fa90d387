//! The thread that flushes what was appended, some time later.
//!
//! Invariant: as long as it has not failed, a record that was appended before [`Flusher::note`] is on the disk at most
//! one interval and two flushes later. For `is_dirty` is then true, and the thread makes it false only before a flush:
//! the exchange in `note` orders the record's bytes before it, and that in `run` orders the flush behind it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::segment::Segment;
use crate::error::Error;

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Segment,
    /// Where its records end. Written by the writer, read by who flushes: what is before it was stored before.
    pub(super) committed: AtomicUsize,
    /// The mark that it has; `None` after a flush that failed, and while one is going on. Held by who flushes:
    /// fdatasync(2) tells of a failure once, so another one at the same time could take the lost bytes for flushed.
    marked: Mutex<Option<usize>>,
}

impl Active {
    pub(super) fn new(segment: Segment, committed: usize, marked: usize) -> Self {
        Self { segment, committed: AtomicUsize::new(committed), marked: Mutex::new(Some(marked)) }
    }

    /// Brings all records to the disk; notes how far if that is so many bytes further than was noted last.
    pub(super) fn flush(&self, news_bytes: usize) -> Result<(), Error> {
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = marked.take() else {
            let object = self.segment.name().to_owned();
            return Err(Error::Failed { object, reason: "a flush of it has failed".to_owned() });
        };
        // A2: pairs with R2, the store in the writer's `publish`.
        let committed = self.committed.load(Ordering::Acquire);
        self.segment.sync()?;
        let is_news = committed.saturating_sub(before) > news_bytes;
        if is_news {
            self.segment.set_mark(committed).map_err(|fault| self.segment.fault(fault))?;
        }
        *marked = Some(if is_news { committed } else { before });
        Ok(())
    }
}

/// The thread; ended and waited for when dropped.
#[derive(Debug)]
pub(super) struct Flusher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when `is_dirty` becomes true and when `ends` does.
    bell: Condvar,
    /// Whether something was appended since the last flush began. Set by the writer, cleared by the thread.
    is_dirty: AtomicBool,
    /// Whether `failure` was set. Set by the thread, read by the writer.
    has_failed: AtomicBool,
}

#[derive(Debug)]
struct State {
    active: Arc<Active>,
    ends: bool,
    failure: Option<Error>,
}

impl Flusher {
    /// Starts the thread.
    pub(super) fn start(active: Arc<Active>, interval: Duration) -> Result<Self, Error> {
        let name = active.segment.name().to_owned();
        let shared = Arc::new(Shared {
            state: Mutex::new(State { active, ends: false, failure: None }),
            bell: Condvar::new(),
            is_dirty: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("mapio-log".to_owned()).spawn(move || theirs.run(interval));
        let thread = thread.map_err(Error::os("starting the thread that flushes", &name))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes note that something was appended.
    #[inline]
    pub(super) fn note(&self) {
        if !self.shared.is_dirty.swap(true, Ordering::SeqCst) {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        // The thread looks at the flag with the lock held, so it does not miss the bell.
        drop(self.shared.lock());
        self.shared.bell.notify_one();
    }

    /// Has another segment flushed from now on; the caller flushes the one before.
    pub(super) fn switch_to(&self, active: Arc<Active>) {
        self.shared.lock().active = active;
    }

    /// The error that has ended the thread, once.
    #[inline]
    pub(super) fn failure(&self) -> Option<Error> {
        if self.shared.has_failed.load(Ordering::Relaxed) { self.shared.lock().failure.take() } else { None }
    }

    /// Ends the thread, and waits for it.
    pub(super) fn end(&mut self) {
        self.shared.lock().ends = true;
        self.shared.bell.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, the caller's own flush would tell what there is to tell.
            let _ = thread.join();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, interval: Duration) {
        while let Some(active) = self.next_flush(interval) {
            self.is_dirty.swap(false, Ordering::SeqCst);
            if let Err(error) = active.flush(0) {
                self.lock().failure = Some(error);
                self.has_failed.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Waits until a flush is due; `None` if there will be none.
    fn next_flush(&self, interval: Duration) -> Option<Arc<Active>> {
        let idle = |state: &mut State| !state.ends && !self.is_dirty.load(Ordering::SeqCst);
        let state = self.bell.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(state, interval, |state| !state.ends);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // At the end, the writer flushes.
        (!state.ends).then(|| Arc::clone(&state.active))
    }
}
