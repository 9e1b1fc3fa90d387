//! What a channel looks like from outside, for people and for tests.

use super::options::{Full, Kind, Wait};
use super::places;
use super::ring::{Found, MOST, Ring};
use super::shape::{HEAD, POSITION, TAIL};
use crate::error::Error;
use crate::life::Liveness;
use crate::memory::Ordering;

/// A channel as it was at some moment; figures that change while they are read need not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStat {
    /// Who sends and who receives.
    pub kind: Kind,
    /// What becomes of a message for which there is no room.
    pub full: Full,
    /// How is waited.
    pub wait: Wait,
    /// Messages that it has room for.
    pub capacity: u64,
    /// Bytes that a message may have, or has if all have the same length.
    pub message_len: u64,
    /// Whether all messages have the same length.
    pub fixed: bool,
    /// Bytes for longer messages; 0 if there are none.
    pub buffer_bytes: u64,
    /// Bytes in all.
    pub len: u64,
    /// Messages sent so far, with those that are being filled and those that were given up.
    pub sent: u64,
    /// Messages that are there: in an SPSC channel those that were not received.
    pub fill: u64,
    /// Whether it was closed.
    pub closed: bool,
    /// Who sends.
    pub senders: Vec<Party>,
    /// Who receives.
    pub receivers: Vec<Party>,
    /// How many may send, and how many may receive, at the same time.
    pub places: (u32, u32),
}

/// A sender or a receiver of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Party {
    /// The participant's number, as in [`User::number`](crate::User::number).
    pub number: u32,
    /// Whether it is alive.
    pub alive: bool,
    /// Of a receiver: how many messages were sent before the one that it receives next.
    pub position: Option<u64>,
    /// Of a receiver: how many messages it has to receive, or has missed.
    pub lag: Option<u64>,
}

impl ChannelStat {
    pub(super) fn of(ring: &Ring, life: &impl Liveness) -> Result<Self, Error> {
        let shape = &ring.shape;
        let (head, tail) = edges(ring)?;
        let party = |place: usize| -> Result<Option<Party>, Error> {
            let number = places::number(ring, place)?;
            if number == 0 {
                return Ok(None);
            }
            Ok(Some(Party { number, alive: life.is_alive(number)?, position: None, lag: None }))
        };
        let senders = shape.sender_places().filter_map(|place| party(place).transpose());
        let receivers = shape.receiver_places().filter_map(|place| {
            let found = party(place).transpose()?;
            Some(found.and_then(|party| {
                let position = ring.memory.u64(place + POSITION)?.load(Ordering::Relaxed)?;
                Ok(Party { position: Some(position), lag: Some(tail.saturating_sub(position)), ..party })
            }))
        });
        Ok(Self {
            kind: shape.kind,
            full: shape.full,
            wait: shape.wait,
            capacity: shape.slots,
            message_len: u64::try_from(shape.message_len).unwrap_or(u64::MAX),
            fixed: shape.fixed,
            buffer_bytes: shape.buffer_bytes,
            len: u64::try_from(shape.len).unwrap_or(u64::MAX),
            sent: tail,
            fill: tail.saturating_sub(head).min(shape.slots),
            closed: ring.is_closed()?,
            senders: senders.collect::<Result<_, _>>()?,
            receivers: receivers.collect::<Result<_, _>>()?,
            places: (shape.senders, shape.receivers),
        })
    }
}

/// The oldest message that counts, and the one that comes next.
fn edges(ring: &Ring) -> Result<(u64, u64), Error> {
    let mut tail = ring.memory.u64(TAIL)?.load(Ordering::Relaxed)?;
    let mut head = ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?;
    if ring.shape.kind == Kind::Spsc {
        for place in ring.shape.receiver_places() {
            head = head.max(ring.memory.u64(place + POSITION)?.load(Ordering::Relaxed)?);
        }
        // Published, but not counted yet.
        if tail < MOST && ring.seq(tail)? == super::ring::seq(tail, super::ring::COMMITTED) {
            tail += 1;
        }
    }
    Ok((head, tail))
}

/// Checks every invariant that can be seen, while nobody sends or receives.
pub(super) fn check(ring: &Ring) -> Result<(), Error> {
    let (head, tail) = edges(ring)?;
    if tail >= MOST || tail.checked_sub(head).is_none_or(|live| live > ring.shape.slots) {
        return Err(ring.memory.corrupt(HEAD, "its first message is where it can't be, or its last"));
    }
    let mut end = None;
    for position in head..tail {
        let found = ring.find(position)?;
        match found {
            Found::Message | Found::Padding | Found::Claimed => {}
            Found::Nothing | Found::Gone => {
                return Err(ring.memory.corrupt(ring.shape.slot(position), "a message is missing"));
            }
        }
        if found == Found::Message {
            ring.extent(position)?;
        }
        if ring.shape.buffer_bytes != 0 {
            let (start, len) = (ring.start(position)?, ring.len(position)?.min(ring.shape.message_len));
            if end.is_some_and(|end| start < end) {
                return Err(ring.memory.corrupt(ring.shape.slot(position), "two messages lie in one place"));
            }
            end = Some(start.saturating_add(ring.shape.buffered(len)));
        }
    }
    // Behind the last one there is nothing.
    if tail - head < ring.shape.slots && ring.find(tail)? != Found::Nothing {
        return Err(ring.memory.corrupt(ring.shape.slot(tail), "there is a message behind the last one"));
    }
    for place in ring.shape.receiver_places() {
        let position = ring.memory.u64(place + POSITION)?.load(Ordering::Relaxed)?;
        let is_there = places::number(ring, place)? != 0;
        if is_there && (position > tail || (!ring.shape.is_lossy() && position < head)) {
            return Err(ring.memory.corrupt(place, "a receiver is where no message is"));
        }
    }
    Ok(())
}
