//! Where everything of a channel lies, from a handful of numbers that never change.
//!
//! ```text
//!     0  parameters    written before the channel has its name, and never again
//!   128  head, gate    u64 each   broadcast, and lossy channels: the oldest message; up to where all receivers are
//!   256  tail          u64        how many messages were claimed; of an SPSC channel, one less for a moment
//!   384  lock          u32
//!   512  data, space   u32 each   what receivers and senders sleep on; odd: somebody may be asleep
//!   520  closed        u32
//!   528  senders, receivers       u64 each: how many have joined so far
//!   640  receivers     128 bytes each: position u64, number u64
//!        senders       128 bytes each: number u64
//!        slots         a power of two of them: seq u64, what u64, start u64, then the message if it is short
//!        buffer        a power of two of bytes, for longer messages
//! ```
//! Lines of 128 bytes, since processors fetch two lines of 64 at once.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::options::{Full, Kind, Wait};
use crate::error::Error;
use crate::memory::Memory;

pub(crate) const HEAD: usize = 128;
pub(crate) const GATE: usize = 136;
pub(crate) const TAIL: usize = 256;
pub(crate) const LOCK: usize = 384;
pub(crate) const DATA: usize = 512;
pub(crate) const SPACE: usize = 516;
pub(crate) const CLOSED: usize = 520;
pub(crate) const SENDERS: usize = 528;
pub(crate) const RECEIVERS: usize = 536;
const PLACES: usize = 640;

/// Bytes of a place, of a receiver or a sender.
const PLACE_LEN: usize = 128;
/// Of a receiver's place: where it is, and whose it is. A sender's place has the number only.
pub(crate) const POSITION: usize = 0;
pub(crate) const NUMBER: usize = 8;

/// Of a slot: which message it holds in what state; whose, and how long; where in the buffer; the message.
pub(crate) const SEQ: usize = 0;
pub(crate) const WHAT: usize = 8;
pub(crate) const START: usize = 16;
const PAYLOAD: usize = 24;
/// Where a message begins that is longer than this: on a line of its own, since long copies are several times slower to
/// and from addresses that are not aligned.
const SHORT: usize = VARIABLE_SLOT - PAYLOAD;

/// Bytes of a slot of a channel of messages of any length.
const VARIABLE_SLOT: usize = 128;
/// Slots, and pieces of the buffer, are multiples of this.
const LINE: usize = 64;
const VERSION: u32 = 1;
/// How many there may be of each. A ring has two slots at least, so that a message that is being filled is never in the
/// slot of the one before it.
pub(crate) const SLOTS: std::ops::RangeInclusive<u64> = 2..=1 << 24;
pub(crate) const PARTIES: std::ops::RangeInclusive<u32> = 1..=1024;
const MOST_BUFFER: u64 = 1 << 40;

/// The parameters as they lie in memory.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Parameters {
    version: u32,
    kind: u32,
    full: u32,
    wait: u32,
    senders: u32,
    receivers: u32,
    /// 1: every message has the same length.
    fixed: u32,
    zeros: u32,
    slots: u64,
    message_len: u64,
    buffer_bytes: u64,
}

const _: () = assert!(size_of::<Parameters>() == 56);

/// The parameters, checked, and what follows from them. A private copy: what peers do to theirs changes nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) full: Full,
    pub(crate) wait: Wait,
    pub(crate) senders: u32,
    pub(crate) receivers: u32,
    /// Whether every message has `message_len` bytes; else they have at most as many.
    pub(crate) fixed: bool,
    pub(crate) slots: u64,
    pub(crate) message_len: usize,
    /// 0 or a power of two.
    pub(crate) buffer_bytes: u64,
    /// Bytes of a slot.
    pub(crate) slot_len: usize,
    /// Where in a slot its message begins.
    pub(crate) payload: usize,
    /// Up to how many bytes a message lies in its slot.
    pub(crate) inline_len: usize,
    slots_at: usize,
    buffer_at: usize,
    /// Bytes in all.
    pub(crate) len: usize,
}

impl Shape {
    /// Reads and checks the parameters of a channel that exists.
    pub(crate) fn read(memory: &Memory) -> Result<Self, Error> {
        let mut bytes = [0; size_of::<Parameters>()];
        if memory.len() < PLACES {
            return Err(memory.corrupt(0, "it is too short for a channel"));
        }
        memory.read(0, &mut bytes)?;
        let found: Parameters = zerocopy::transmute!(bytes);
        let shape = Self::of(&found).filter(|shape| shape.len <= memory.len());
        shape.ok_or_else(|| memory.corrupt(0, "these are no parameters of a channel"))
    }

    fn of(found: &Parameters) -> Option<Self> {
        let kind = [Kind::Spsc, Kind::Broadcast].into_iter().nth(usize::try_from(found.kind).ok()?)?;
        let full = [Full::Block, Full::DropOldest].into_iter().nth(usize::try_from(found.full).ok()?)?;
        let wait = [Wait::Spin, Wait::SpinThenSleep, Wait::Sleep].into_iter().nth(usize::try_from(found.wait).ok()?)?;
        if found.version != VERSION || found.fixed > 1 || found.zeros != 0 {
            return None;
        }
        Builder {
            kind,
            full,
            wait,
            senders: found.senders,
            receivers: found.receivers,
            fixed: found.fixed == 1,
            slots: found.slots,
            message_len: found.message_len,
            buffer_bytes: found.buffer_bytes,
        }
        .build()
    }

    /// What is written for others to read.
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters {
            version: VERSION,
            kind: match self.kind {
                Kind::Spsc => 0,
                Kind::Broadcast => 1,
            },
            full: match self.full {
                Full::Block => 0,
                Full::DropOldest => 1,
            },
            wait: match self.wait {
                Wait::Spin => 0,
                Wait::SpinThenSleep => 1,
                Wait::Sleep => 2,
            },
            senders: self.senders,
            receivers: self.receivers,
            fixed: u32::from(self.fixed),
            zeros: 0,
            slots: self.slots,
            message_len: u64::try_from(self.message_len).unwrap_or(u64::MAX),
            buffer_bytes: self.buffer_bytes,
        }
    }

    /// Where the slot of a message is.
    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> usize {
        self.slots_at + index(position & (self.slots - 1)) * self.slot_len
    }

    /// Where a message is that lies in its slot.
    #[inline(always)]
    pub(crate) fn inlined(&self, position: u64) -> usize {
        self.slot(position) + self.payload
    }

    /// Where a byte of the buffer is; `start` counts all bytes that were ever used.
    #[inline(always)]
    pub(crate) fn buffer(&self, start: u64) -> usize {
        self.buffer_at + index(start & (self.buffer_bytes.wrapping_sub(1)))
    }

    /// Bytes of the buffer that a message takes.
    #[inline(always)]
    pub(crate) fn buffered(&self, len: usize) -> u64 {
        if len <= self.inline_len { 0 } else { round_up(len) }
    }

    /// Where the places of receivers are.
    pub(crate) fn receiver_places(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        places(PLACES, self.receivers)
    }

    /// Where the places of senders are.
    pub(crate) fn sender_places(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        places(PLACES + index(self.receivers.into()) * PLACE_LEN, self.senders)
    }

    /// Whether whoever waits may be asleep.
    #[inline(always)]
    pub(crate) fn sleeps(&self) -> bool {
        self.wait != Wait::Spin
    }

    /// Whether messages give way that were not received.
    #[inline(always)]
    pub(crate) fn is_lossy(&self) -> bool {
        self.full == Full::DropOldest
    }
}

/// The parameters on their way to a [`Shape`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builder {
    pub(crate) kind: Kind,
    pub(crate) full: Full,
    pub(crate) wait: Wait,
    pub(crate) senders: u32,
    pub(crate) receivers: u32,
    pub(crate) fixed: bool,
    pub(crate) slots: u64,
    pub(crate) message_len: u64,
    pub(crate) buffer_bytes: u64,
}

impl Builder {
    /// Checks everything against everything; `None` if it makes no sense.
    pub(crate) fn build(self) -> Option<Shape> {
        let parties = PARTIES.contains(&self.senders) && PARTIES.contains(&self.receivers);
        let single = self.senders == 1 && self.receivers == 1;
        let powers = self.slots.is_power_of_two() && SLOTS.contains(&self.slots);
        if !parties || !powers || (self.kind == Kind::Spsc && !single) || self.message_len > u64::from(u32::MAX) {
            return None;
        }
        let message_len = usize::try_from(self.message_len).ok()?;
        let payload = if self.fixed && message_len > SHORT { LINE } else { PAYLOAD };
        let slot_len = if self.fixed { index(round_up(payload + message_len)) } else { VARIABLE_SLOT };
        let inline_len = slot_len - payload;
        let buffer_fits = if message_len <= inline_len {
            self.buffer_bytes == 0
        } else {
            self.buffer_bytes.is_power_of_two() && (round_up(message_len)..=MOST_BUFFER).contains(&self.buffer_bytes)
        };
        if !buffer_fits {
            return None;
        }
        let places = index(u64::from(self.receivers) + u64::from(self.senders));
        let slots_at = PLACES + places * PLACE_LEN;
        let buffer_at = usize::try_from(self.slots).ok()?.checked_mul(slot_len)?.checked_add(slots_at)?;
        let len = usize::try_from(self.buffer_bytes).ok()?.checked_add(buffer_at)?;
        let Self { kind, full, wait, senders, receivers, fixed, slots, buffer_bytes, .. } = self;
        Some(Shape {
            kind,
            full,
            wait,
            senders,
            receivers,
            fixed,
            slots,
            message_len,
            buffer_bytes,
            slot_len,
            payload,
            inline_len,
            slots_at,
            buffer_at,
            len,
        })
    }
}

fn places(first: usize, count: u32) -> impl Iterator<Item = usize> + Clone + use<> {
    (0..index(count.into())).map(move |place| first + place * PLACE_LEN)
}

/// To whole lines.
#[inline(always)]
fn round_up(len: usize) -> u64 {
    u64::try_from(len.next_multiple_of(LINE)).unwrap_or(u64::MAX)
}

/// A number that was checked to be small enough for an offset.
#[inline(always)]
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
