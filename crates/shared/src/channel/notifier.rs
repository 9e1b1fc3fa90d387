//! `Notifier`: a descriptor that can be polled, for those who wait for several things at once.
//!
//! What receivers sleep on is a word of memory, which poll(2) and WaitForMultipleObjects do not know. A thread sleeps
//! on it in their stead, and makes an eventfd(2) readable, or sets an event of Windows, when there is something to look
//! at. It says so once, and again only after it was [rearmed](Notifier::rearm): nobody is woken twice for one message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use mapio_map::lend_descriptor;

use super::places;
use super::ring::{Found, MOST, Ring};
use super::shape::{DATA, POSITION};
use crate::error::Error;
use crate::lock::RECHECK;
use crate::memory::fence;
use crate::sys::Signal;

/// What the thread is to do.
const WATCH: u32 = 0;
const REST: u32 = 1;
const END: u32 = 2;

/// A descriptor that becomes readable when there is something to receive, or to learn; made by
/// [`Receiver::notifier`](super::Receiver::notifier).
///
/// Wait until it is readable, by poll(2) or whatever stands on it. Then [`rearm`](Self::rearm) it, and receive without
/// waiting until there is nothing more. It may be readable although there is nothing: that a sender has left, or may
/// have died, is also told that way.
///
/// It has a thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    ring: Ring,
    place: usize,
    signal: Signal,
    /// Written by both sides; what it publishes is the receiver's position, which the owner has moved.
    task: AtomicU32,
}

impl Notifier {
    pub(super) fn new(ring: Ring, place: usize) -> Result<Self, Error> {
        let object = ring.memory.object().to_owned();
        if !ring.shape.sleeps() {
            return Err(Error::invalid(object, "nobody wakes those who wait in a channel of `Wait::Spin`"));
        }
        let os = |operation| Error::os(operation, &object);
        let signal = Signal::new().map_err(os("making an event for"))?;
        let shared = Arc::new(Shared { ring, place, signal, task: AtomicU32::new(WATCH) });
        let theirs = shared.clone();
        let named = thread::Builder::new().name("mapio-notify".into());
        let thread = named.spawn(move || theirs.watch()).map_err(os("starting a thread for"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Makes it unreadable, until there is something to receive.
    ///
    /// Receive what there is after this, not before: it becomes readable at once if there is something.
    ///
    /// # Errors
    /// [`Error::Os`] with what read(2) says of an eventfd, or ResetEvent.
    pub fn rearm(&self) -> Result<(), Error> {
        self.shared.signal.clear().map_err(Error::os("resetting the event of", self.shared.ring.memory.object()))?;
        self.tell(WATCH);
        Ok(())
    }

    fn tell(&self, task: u32) {
        self.shared.task.store(task, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

lend_descriptor!(
    /// The eventfd(2), or the event of Windows. Do not read or reset it; [`Notifier::rearm`] does.
    Notifier,
    |notifier| notifier.shared.signal.descriptor()
);

impl Drop for Notifier {
    fn drop(&mut self) {
        self.tell(END);
        // In an object that was cut short, it sees its end within a moment.
        let _ = self.shared.ring.wake(DATA);
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The thread.
    fn watch(&self) {
        loop {
            match self.task.load(Ordering::Acquire) {
                WATCH => {
                    // A damaged object is something to learn.
                    self.wait_for_something().unwrap_or(());
                    // Unless it was told something else meanwhile.
                    if self.task.compare_exchange(WATCH, REST, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        // Its counter does not run over, so it does not fail.
                        let _ = self.signal.set();
                    }
                }
                REST => thread::park(),
                _ => return,
            }
        }
    }

    /// Sleeps until there is something, or a sender may have died.
    fn wait_for_something(&self) -> Result<(), Error> {
        let word = self.ring.memory.u32(DATA)?;
        while self.task.load(Ordering::Acquire) == WATCH {
            let found = word.load(Ordering::Relaxed)?;
            let raised = found | 1;
            let order = Ordering::Relaxed;
            if found != raised && word.compare_exchange(found, raised, order, order)?.is_err() {
                continue;
            }
            // F4, as in `Pause`: the flag before the look.
            fence(Ordering::SeqCst);
            if self.is_something()? || self.task.load(Ordering::Acquire) != WATCH || !word.wait(raised, RECHECK * 5)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_something(&self) -> Result<bool, Error> {
        let position = self.ring.memory.u64(self.place + POSITION)?.load(Ordering::Acquire)?;
        if position >= MOST || self.ring.is_closed()? || places::senders_have_left(&self.ring)? {
            return Ok(true);
        }
        Ok(!matches!(self.ring.find(position)?, Found::Nothing | Found::Claimed))
    }
}
