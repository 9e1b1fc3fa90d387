//! The slots: how a message is published, and how it is found.
//!
//! A slot's `seq` says which message it holds, by its position (how many messages came before it), and how far it is:
//! ```text
//! seq = (position + 1) << 2 | state
//!
//!   old --> claimed --> committed --> old     position + slots, and so on
//!              \-----> padded ------/         a message that will never be: receivers skip it
//! ```
//! In an SPSC channel nobody claims. Zeros are a slot that never held one. "Old" is what a message becomes that gives
//! way to newer ones although somebody may not have received it. `what` is the sender's number and the length, `start`
//! where in the buffer the message is, if it is too long for the slot: counted in bytes since the beginning.
//!
//! docs/design/channel.md has the argument why this is enough.

use super::shape::{CLOSED, DATA, SEQ, SPACE, START, Shape, WHAT, index};
use crate::error::Error;
use crate::memory::{Memory, Ordering, Window, fence};

pub(crate) const OLD: u64 = 0;
pub(crate) const CLAIMED: u64 = 1;
pub(crate) const COMMITTED: u64 = 2;
pub(crate) const PADDED: u64 = 3;
const STATE: u64 = 3;
/// More messages, or bytes, than any channel sees in a thousand years.
pub(crate) const MOST: u64 = 1 << 60;

/// A channel's memory, and a private copy of what it looks like.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub(crate) memory: Memory,
    pub(crate) shape: Shape,
}

/// Where a message's bytes are, checked to lie inside the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// From the start of the channel's memory.
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// What `seq` of a slot says about the message that is expected there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The message, whole.
    Message,
    /// None, and there will never be one.
    Padding,
    /// Somebody is writing it.
    Claimed,
    /// Nothing yet.
    Nothing,
    /// It has given way to a newer one.
    Gone,
}

/// `seq` of a message in a state.
#[inline(always)]
pub(crate) fn seq(position: u64, state: u64) -> u64 {
    (position + 1) << 2 | state
}

/// The slot of a message, looked up once.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    window: Window<'a>,
    shape: &'a Shape,
    position: u64,
}

impl Slot<'_> {
    /// Loads `seq`. What it publishes: A1, pairs with R1 in `publish` and R2 in `retire`.
    #[inline(always)]
    pub(crate) fn seq(&self) -> Result<u64, Error> {
        self.window.u64(SEQ)?.load(Ordering::Acquire)
    }

    /// Whether the message is there, whole.
    #[inline(always)]
    pub(crate) fn is_committed(&self) -> Result<bool, Error> {
        Ok(self.seq()? == seq(self.position, COMMITTED))
    }

    /// The length of the message.
    #[inline(always)]
    pub(crate) fn len(&self) -> Result<usize, Error> {
        let what = self.window.u64(WHAT)?.load(Ordering::Relaxed)?;
        Ok(index(what & u64::from(u32::MAX)))
    }

    /// Copies a message out that lies in the slot.
    #[inline(always)]
    pub(crate) fn read(&self, buf: &mut [u8]) -> Result<(), Error> {
        self.window.read(self.shape.payload, buf)
    }

    /// Copies a message in that lies in the slot.
    #[inline(always)]
    pub(crate) fn write(&self, message: &[u8]) -> Result<(), Error> {
        self.window.write(self.shape.payload, message)
    }

    /// Says whose the message is, how long, and where.
    #[inline(always)]
    pub(crate) fn describe(&self, number: u32, len: usize, start: u64) -> Result<(), Error> {
        // A length was checked against the channel's, which is 32 bits.
        let len = u64::try_from(len).unwrap_or(u64::MAX) & u64::from(u32::MAX);
        self.window.u64(WHAT)?.store(u64::from(number) << 32 | len, Ordering::Relaxed)?;
        if self.shape.buffer_bytes != 0 {
            self.window.u64(START)?.store(start, Ordering::Relaxed)?;
        }
        Ok(())
    }

    /// Says that the message is whole, or that it will never be.
    #[inline(always)]
    pub(crate) fn publish(&self, state: u64) -> Result<(), Error> {
        // R1: publishes the message, and what `describe` said of it, to A1.
        self.window.u64(SEQ)?.store(seq(self.position, state), Ordering::Release)
    }
}

impl Ring {
    /// The slot of a message.
    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> Result<Slot<'_>, Error> {
        let window = self.memory.window(self.shape.slot(position), self.shape.slot_len)?;
        Ok(Slot { window, shape: &self.shape, position })
    }

    /// `seq` of a message's slot.
    #[inline(always)]
    pub(crate) fn seq(&self, position: u64) -> Result<u64, Error> {
        self.slot(position)?.seq()
    }

    /// What a slot says about a message.
    #[inline(always)]
    pub(crate) fn find(&self, position: u64) -> Result<Found, Error> {
        let found = self.seq(position)?;
        if found == seq(position, COMMITTED) { Ok(Found::Message) } else { self.find_other(position, found) }
    }

    #[cold]
    #[inline(never)]
    fn find_other(&self, position: u64, found: u64) -> Result<Found, Error> {
        let (there, wanted, state) = (found >> 2, position + 1, found & STATE);
        let (gone, slots) = (self.shape.is_lossy(), self.shape.slots);
        if there == wanted {
            match state {
                CLAIMED => return Ok(Found::Claimed),
                PADDED => return Ok(Found::Padding),
                COMMITTED => return Ok(Found::Message),
                _ if gone => return Ok(Found::Gone),
                _ => {}
            }
        } else if there > wanted && gone && there & (slots - 1) == wanted & (slots - 1) {
            return Ok(Found::Gone);
        } else if there + slots == wanted || (found == 0 && wanted <= slots) {
            return Ok(Found::Nothing);
        }
        Err(self.memory.corrupt(self.shape.slot(position), "a slot holds a message that can't be there"))
    }

    /// The length of a slot's message.
    #[inline(always)]
    pub(crate) fn len(&self, position: u64) -> Result<usize, Error> {
        self.slot(position)?.len()
    }

    /// The number of who claims a slot, or has sent its message.
    pub(crate) fn claimant(&self, position: u64) -> Result<u32, Error> {
        let what = self.memory.u64(self.shape.slot(position) + WHAT)?.load(Ordering::Relaxed)?;
        Ok(u32::try_from(what >> 32).unwrap_or(u32::MAX))
    }

    /// Loads where in the buffer a message starts.
    #[inline(always)]
    pub(crate) fn start(&self, position: u64) -> Result<u64, Error> {
        self.memory.u64(self.shape.slot(position) + START)?.load(Ordering::Relaxed)
    }

    /// Where a message is, as its slot says; an error if that can't be.
    #[inline(always)]
    pub(crate) fn extent(&self, position: u64) -> Result<Extent, Error> {
        let len = self.len(position)?;
        if len > self.shape.message_len || (self.shape.fixed && len != self.shape.message_len) {
            return Err(self.wrong_len(position));
        }
        if len <= self.shape.inline_len {
            return Ok(Extent { at: self.shape.inlined(position), len });
        }
        match self.buffer_extent(self.start(position)?, len) {
            Some(extent) => Ok(extent),
            None => Err(self.wrong_start(position)),
        }
    }

    #[cold]
    fn wrong_len(&self, position: u64) -> Error {
        self.memory.corrupt(self.shape.slot(position) + WHAT, "a message has a length that none has")
    }

    #[cold]
    fn wrong_start(&self, position: u64) -> Error {
        self.memory.corrupt(self.shape.slot(position) + START, "a message lies where none can")
    }

    /// Where a message in the buffer is, if it can be there.
    #[inline(always)]
    pub(crate) fn buffer_extent(&self, start: u64, len: usize) -> Option<Extent> {
        let within = start & self.shape.buffer_bytes.wrapping_sub(1);
        let end = within.checked_add(self.shape.buffered(len))?;
        let fits = start < MOST && start.is_multiple_of(8) && end <= self.shape.buffer_bytes;
        fits.then(|| Extent { at: self.shape.buffer(start), len })
    }

    /// Says that a message gives way; its bytes may be written from then on.
    pub(crate) fn retire(&self, position: u64) -> Result<(), Error> {
        // R2: publishes the head, which was moved before, to A1.
        self.memory.u64(self.shape.slot(position) + SEQ)?.store(seq(position, OLD), Ordering::Release)?;
        // F1: orders the store above before those to the message's bytes. Whoever has read one of those, and then,
        // behind F2, `seq`, finds that the message was gone. Without it he would take a mixture for a message.
        fence(Ordering::Release);
        Ok(())
    }

    /// Whether a message that was just read had not given way meanwhile.
    pub(crate) fn is_still(&self, position: u64) -> Result<bool, Error> {
        // F2: pairs with F1.
        fence(Ordering::Acquire);
        let found = self.memory.u64(self.shape.slot(position) + SEQ)?.load(Ordering::Relaxed)?;
        Ok(found == seq(position, COMMITTED))
    }

    /// Wakes who sleeps until there is a message; the caller has published one.
    #[inline(always)]
    pub(crate) fn wake_receivers(&self) -> Result<(), Error> {
        if self.shape.sleeps() { self.wake(DATA) } else { Ok(()) }
    }

    /// Wakes who sleeps until there is room; the caller has made some.
    #[inline(always)]
    pub(crate) fn wake_senders(&self) -> Result<(), Error> {
        if self.shape.sleeps() { self.wake(SPACE) } else { Ok(()) }
    }

    /// Wakes all who sleep.
    pub(crate) fn wake_everybody(&self) -> Result<(), Error> {
        if !self.shape.sleeps() {
            return Ok(());
        }
        // F3, as below, for both.
        fence(Ordering::SeqCst);
        self.wake_behind_fence(DATA)?;
        self.wake_behind_fence(SPACE)
    }

    #[inline(always)]
    pub(super) fn wake(&self, event: usize) -> Result<(), Error> {
        // F3: orders the caller's store, of what others wait for, before the load of the event. Pairs with F4 in
        // `Pause`: either this load sees that somebody has lain down, or he sees what was stored when he looks once
        // more.
        fence(Ordering::SeqCst);
        self.wake_behind_fence(event)
    }

    #[inline(always)]
    fn wake_behind_fence(&self, event: usize) -> Result<(), Error> {
        let found = self.memory.u32(event)?.load(Ordering::Relaxed)?;
        if found & 1 == 0 { Ok(()) } else { self.wake_sleepers(event, found) }
    }

    #[cold]
    #[inline(never)]
    fn wake_sleepers(&self, event: usize, found: u32) -> Result<(), Error> {
        let word = self.memory.u32(event)?;
        // Of several who wake, one does. The new value makes whoever is about to sleep look again.
        match word.compare_exchange(found, found.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed)? {
            Ok(_) => word.wake(i32::MAX.unsigned_abs()),
            Err(_) => Ok(()),
        }
    }

    /// Whether the channel was closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> Result<bool, Error> {
        Ok(self.memory.u32(CLOSED)?.load(Ordering::Acquire)? != 0)
    }
}
