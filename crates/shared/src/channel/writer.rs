//! The sending end: room for a message, and the message into it.
//!
//! In an SPSC channel everything about what is in use is the sender's own. In a broadcast channel it is shared, and
//! guarded by the lock: a message is claimed under it, and filled outside, so that a long one holds up nobody who
//! sends.

use std::time::Duration;

use super::options::Kind;
use super::pause::{Doubts, Pause, Step};
use super::places;
use super::ring::{CLAIMED, COMMITTED, Extent, Found, MOST, PADDED, Ring};
use super::shape::{GATE, HEAD, LOCK, NUMBER, POSITION, SENDERS, SPACE, TAIL};
use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Acquired, Patience, RECHECK, RobustLock};
use crate::memory::{Memory, Ordering, fence};

/// For how long one who does not want to wait waits for the lock.
const LOCK_PATIENCE: Duration = Duration::from_millis(1);

/// A message that is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    position: u64,
    start: u64,
    pub(crate) extent: Extent,
    /// Bytes that it was claimed with; it may have been made shorter.
    claimed: usize,
}

/// What of a ring is in use.
#[derive(Debug, Clone, Copy, Default)]
struct Edges {
    /// The oldest message, and the one that comes next.
    head: u64,
    tail: u64,
    /// Up to here, all who must receive have received.
    gate: u64,
    /// First byte of the buffer that the oldest message may have, and the one behind the newest.
    freed: u64,
    filled: u64,
}

impl Edges {
    #[inline(always)]
    fn advance(&mut self, claim: &Claim, ring: &Ring) {
        self.tail = claim.position + 1;
        self.filled = claim.start + ring.shape.buffered(claim.extent.len);
    }
}

/// A sender.
#[derive(Debug)]
pub(crate) struct Writer {
    ring: Ring,
    number: u32,
    /// Its place, from the start of the channel.
    place: usize,
    edges: Edges,
    /// A message that was claimed, and neither sent nor given up: its loan was forgotten.
    open: Option<Claim>,
    doubts: Doubts,
}

impl Writer {
    /// Takes a sender's place, and finds out where the one before has stopped.
    pub(crate) fn join(ring: Ring, life: &impl Liveness, patience: Patience) -> Result<Option<Self>, Error> {
        let joined = locked(&ring, life, patience, || {
            let edges = if ring.shape.kind == Kind::Spsc { recover(&ring)? } else { Edges::default() };
            let place = places::take_sender(&ring, life)?;
            places::count_in(&ring, SENDERS)?;
            Ok((place, edges))
        })?;
        let number = life.number();
        Ok(joined.map(|(place, edges)| Self { ring, number, place, edges, open: None, doubts: Doubts::default() }))
    }

    /// What it sends into.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Sends a message; `false` if patience has come to its end.
    ///
    /// Most messages are short, and find room. For them, this is a straight line, in which nothing is handed on but in
    /// registers: what passes through the stack, as a [`Claim`] does, takes longer than the message.
    #[inline(always)]
    pub(crate) fn send(&mut self, life: &impl Liveness, message: &[u8], patience: Patience) -> Result<bool, Error> {
        let (shape, len) = (&self.ring.shape, message.len());
        let fits = len == shape.message_len || (len < shape.message_len && !shape.fixed);
        let is_plain = shape.kind == Kind::Spsc && len <= shape.inline_len && fits;
        if !is_plain || self.edges.tail - self.edges.head >= shape.slots || self.ring.is_closed()? {
            return self.send_any(life, message, patience);
        }
        let position = self.edges.tail;
        let slot = self.ring.slot(position)?;
        slot.write(message)?;
        slot.describe(self.number, len, self.edges.filled)?;
        slot.publish(COMMITTED)?;
        self.edges.tail = position + 1;
        // As in `commit`.
        self.ring.memory.u64(TAIL)?.store(position + 1, Ordering::Relaxed)?;
        self.ring.wake_receivers()?;
        Ok(true)
    }

    #[inline(never)]
    fn send_any(&mut self, life: &impl Liveness, message: &[u8], patience: Patience) -> Result<bool, Error> {
        let Some(claim) = self.claim(life, message.len(), patience)? else { return Ok(false) };
        match self.ring.memory.write(claim.extent.at, message) {
            Ok(()) => self.commit(claim).map(|()| true),
            Err(error) => self.give_up(claim, error),
        }
    }

    #[cold]
    fn give_up(&mut self, claim: Claim, error: Error) -> Result<bool, Error> {
        // The object was cut short: what remains to be done can't be either.
        let _ = self.cancel(claim);
        Err(error)
    }

    /// Makes room for a message; `None` if patience has come to its end.
    #[inline(always)]
    pub(crate) fn claim(
        &mut self,
        life: &impl Liveness,
        len: usize,
        patience: Patience,
    ) -> Result<Option<Claim>, Error> {
        let shape = &self.ring.shape;
        if len > shape.message_len || (shape.fixed && len != shape.message_len) {
            return Err(self.wrong_len(len));
        }
        if self.ring.is_closed()? {
            return Err(self.closed());
        }
        if self.ring.shape.kind == Kind::Broadcast {
            return self.claim_shared_or_wait(life, len, patience);
        }
        match self.room(len)? {
            Some(start) => self.claim_at(start, len).map(Some),
            None => self.wait_for_room(life, len, patience),
        }
    }

    #[inline(never)]
    fn claim_shared_or_wait(
        &mut self,
        life: &impl Liveness,
        len: usize,
        patience: Patience,
    ) -> Result<Option<Claim>, Error> {
        if let Some(forgotten) = self.open.take() {
            self.cancel(forgotten)?;
        }
        match self.claim_shared(life, len, patience)? {
            Some(claim) => Ok(Some(claim)),
            None => self.wait_for_room(life, len, patience),
        }
    }

    #[cold]
    fn wrong_len(&self, len: usize) -> Error {
        let object = self.ring.memory.object().to_owned();
        let most = self.ring.shape.message_len;
        if len < most {
            return Error::invalid(object, format!("every message has {most} bytes, not {len}"));
        }
        Error::TooLong { object, len: number(len), most: number(most) }
    }

    #[cold]
    fn closed(&self) -> Error {
        Error::Closed { object: self.ring.memory.object().to_owned() }
    }

    #[cold]
    #[inline(never)]
    fn wait_for_room(&mut self, life: &impl Liveness, len: usize, patience: Patience) -> Result<Option<Claim>, Error> {
        let mut pause = Pause::new(SPACE, patience);
        loop {
            match pause.step(&self.ring)? {
                // Who tries again and again has doubts, too.
                Step::Over if self.doubts.are_due() => {
                    self.doubt(life)?;
                    return self.try_claim(life, len, Patience::None);
                }
                Step::Over => {
                    self.glance()?;
                    return Ok(None);
                }
                Step::Look => {}
                Step::Glance => self.glance()?,
                Step::Doubt => self.doubt(life)?,
            }
            // Whoever has the lock gives it back at once, or is stopped: then time passes here.
            if let Some(claim) = self.try_claim(life, len, patience)? {
                return Ok(Some(claim));
            }
        }
    }

    /// Nobody makes room in a channel that was closed, or whose receiver has left.
    fn glance(&self) -> Result<(), Error> {
        if self.ring.is_closed()? {
            return Err(self.closed());
        }
        if self.ring.shape.kind == Kind::Spsc && places::receivers_have_left(&self.ring)? {
            return Err(Error::Disconnected { object: self.ring.memory.object().to_owned() });
        }
        Ok(())
    }

    /// The same for those who left by dying; and nobody waits for what they were filling.
    fn doubt(&mut self, life: &impl Liveness) -> Result<(), Error> {
        places::bury_receivers(&self.ring, life)?;
        if self.ring.shape.kind == Kind::Broadcast {
            let head = self.ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?;
            pad_for_the_dead(&self.ring, life, head & (MOST - 1))?;
        }
        self.glance()
    }

    /// Makes room for a message if there is some, or what has it may give way.
    fn try_claim(&mut self, life: &impl Liveness, len: usize, patience: Patience) -> Result<Option<Claim>, Error> {
        if self.ring.shape.kind == Kind::Broadcast {
            return self.claim_shared(life, len, patience);
        }
        let Some(start) = self.room(len)? else { return Ok(None) };
        self.claim_at(start, len).map(Some)
    }

    /// The claim of the message that comes next.
    #[inline(always)]
    fn claim_at(&self, start: u64, len: usize) -> Result<Claim, Error> {
        let (position, shape) = (self.edges.tail, &self.ring.shape);
        let extent = if len <= shape.inline_len {
            Extent { at: shape.inlined(position), len }
        } else {
            match self.ring.buffer_extent(start, len) {
                Some(extent) => extent,
                None => return Err(self.wrong_start()),
            }
        };
        Ok(Claim { position, start, extent, claimed: len })
    }

    #[cold]
    fn wrong_start(&self) -> Error {
        self.ring.memory.corrupt(self.ring.shape.slot(self.edges.tail), "a message would lie where none can")
    }

    /// Claims under the lock: from then on all know that there will be a message, and who owes it.
    fn claim_shared(&mut self, life: &impl Liveness, len: usize, patience: Patience) -> Result<Option<Claim>, Error> {
        if !lock(&self.ring, life, patience)? {
            return Ok(None);
        }
        let claim = self.claim_locked(len);
        RobustLock::new(&self.ring.memory, LOCK).unlock(life)?;
        self.open = claim?;
        Ok(self.open)
    }

    fn claim_locked(&mut self, len: usize) -> Result<Option<Claim>, Error> {
        self.load_edges()?;
        let Some(start) = self.room(len)? else { return Ok(None) };
        let claim = self.claim_at(start, len)?;
        let ring = &self.ring;
        let slot = ring.slot(claim.position)?;
        slot.describe(self.number, len, start)?;
        slot.publish(CLAIMED)?;
        // F1, as in `retire`: the slot's bytes are written from here on, by this sender, though another one may have
        // retired the message before, when he needed room in the buffer.
        fence(Ordering::Release);
        self.edges.advance(&claim, ring);
        ring.memory.u64(TAIL)?.store(self.edges.tail, Ordering::Relaxed)?;
        Ok(Some(claim))
    }

    /// Makes a message whole: everybody may receive it.
    #[inline(always)]
    pub(crate) fn commit(&mut self, claim: Claim) -> Result<(), Error> {
        let ring = &self.ring;
        if ring.shape.kind == Kind::Broadcast {
            return self.commit_shared(claim);
        }
        let slot = ring.slot(claim.position)?;
        slot.describe(self.number, claim.extent.len, claim.start)?;
        slot.publish(COMMITTED)?;
        self.edges.advance(&claim, ring);
        // One behind what is published, should the process die in between: `recover` knows.
        ring.memory.u64(TAIL)?.store(self.edges.tail, Ordering::Relaxed)?;
        ring.wake_receivers()
    }

    #[inline(never)]
    fn commit_shared(&mut self, claim: Claim) -> Result<(), Error> {
        self.open = None;
        let ring = &self.ring;
        let slot = ring.slot(claim.position)?;
        if claim.extent.len != claim.claimed {
            // F5: orders all accesses to the bytes that are given back before the length that says so. Pairs with F6 in
            // `last_byte`: whoever sees the length may write there.
            fence(Ordering::Release);
            slot.describe(self.number, claim.extent.len, claim.start)?;
        }
        slot.publish(COMMITTED)?;
        // Senders, too: a message that was claimed for long may have been the oldest, which could not give way.
        ring.wake_everybody()
    }

    /// Makes a claimed message shorter, before it is committed.
    pub(crate) fn shorten(&self, claim: &mut Claim, len: usize) -> Result<(), Error> {
        let shape = &self.ring.shape;
        let object = || self.ring.memory.object().to_owned();
        if shape.fixed && len != claim.extent.len {
            return Err(Error::invalid(object(), format!("every message has {} bytes, not {len}", claim.extent.len)));
        }
        if len > claim.extent.len {
            return Err(Error::TooLong { object: object(), len: number(len), most: number(claim.extent.len) });
        }
        let in_slot = shape.inlined(claim.position);
        if claim.extent.at != in_slot && len <= shape.inline_len {
            // A message as short as that is looked for in its slot.
            let mut bytes = vec![0; len];
            self.ring.memory.read(claim.extent.at, &mut bytes)?;
            self.ring.memory.write(in_slot, &bytes)?;
            claim.extent.at = in_slot;
        }
        claim.extent.len = len;
        Ok(())
    }

    /// Gives a message up: there will be none.
    pub(crate) fn cancel(&mut self, claim: Claim) -> Result<(), Error> {
        self.open = None;
        if self.ring.shape.kind == Kind::Spsc {
            return Ok(());
        }
        self.ring.slot(claim.position)?.publish(PADDED)?;
        self.ring.wake_everybody()
    }

    /// Where in the buffer the next message may lie; `None` if there is no room, and nothing may give way.
    #[inline(always)]
    fn room(&mut self, len: usize) -> Result<Option<u64>, Error> {
        let bytes = self.ring.shape.buffered(len);
        loop {
            let edges = &self.edges;
            let live = edges.tail - edges.head;
            if live < self.ring.shape.slots {
                let start = self.contiguous(bytes);
                if bytes == 0 || live == 0 || start + bytes - edges.freed <= self.ring.shape.buffer_bytes {
                    return Ok(Some(start));
                }
            }
            if !self.drop_oldest()? {
                return Ok(None);
            }
        }
    }

    /// The first byte from which so many are contiguous, behind all messages.
    #[inline(always)]
    fn contiguous(&self, bytes: u64) -> u64 {
        let (filled, buffer) = (self.edges.filled, self.ring.shape.buffer_bytes);
        if bytes == 0 || (filled & (buffer - 1)) + bytes <= buffer { filled } else { filled.next_multiple_of(buffer) }
    }

    /// Lets the oldest message give way, if everybody has it, or nobody must; answers whether it did.
    #[inline(never)]
    fn drop_oldest(&mut self) -> Result<bool, Error> {
        let head = self.edges.head;
        let kind = self.ring.shape.kind;
        // Its sender is still writing it: also when all who receive have come after it was claimed.
        if kind == Kind::Broadcast && self.ring.find(head)? == Found::Claimed {
            return Ok(false);
        }
        if self.ring.shape.is_lossy() {
            // In this order: who finds that the message is gone finds the head behind it.
            self.ring.memory.u64(HEAD)?.store(head + 1, Ordering::Relaxed)?;
            self.ring.retire(head)?;
            self.edges.head = head + 1;
            self.edges.freed = first_byte(&self.ring, &self.edges)?;
            return Ok(true);
        }
        if head == self.edges.gate {
            self.edges.gate = self.find_gate()?;
            if head == self.edges.gate {
                return Ok(false);
            }
        }
        // The receiver of an SPSC channel has everything up to the gate, and nobody else will ever ask for it. In a
        // broadcast channel, what all have is kept for who comes later, as long as possible.
        let new = if kind == Kind::Spsc { self.edges.gate } else { head + 1 };
        self.edges.head = new;
        self.edges.freed = first_byte(&self.ring, &self.edges)?;
        if kind == Kind::Broadcast {
            self.ring.memory.u64(GATE)?.store(self.edges.gate, Ordering::Relaxed)?;
            self.ring.memory.u64(HEAD)?.store(new, Ordering::Relaxed)?;
        }
        Ok(true)
    }

    /// Up to where all receivers have received; if there is none in a broadcast channel, one message further than it
    /// was.
    fn find_gate(&self) -> Result<u64, Error> {
        let (head, tail) = (self.edges.head, self.edges.tail);
        let mut gate = None;
        for place in self.ring.shape.receiver_places() {
            if self.ring.shape.kind == Kind::Broadcast
                && self.ring.memory.u64(place + NUMBER)?.load(Ordering::Relaxed)? == 0
            {
                continue;
            }
            // A2: pairs with R3 in `Reader::release`. What was received is not read any more.
            let position = self.ring.memory.u64(place + POSITION)?.load(Ordering::Acquire)?;
            if !(head..=tail).contains(&position) {
                return Err(self.ring.memory.corrupt(place, "a receiver is where no message is"));
            }
            gate = Some(gate.map_or(position, |gate: u64| gate.min(position)));
        }
        Ok(gate.unwrap_or(head + 1))
    }

    /// Loads what is in use; the lock is held.
    fn load_edges(&mut self) -> Result<(), Error> {
        let ring = &self.ring;
        let (head, tail) =
            (ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?, ring.memory.u64(TAIL)?.load(Ordering::Relaxed)?);
        let gate = ring.memory.u64(GATE)?.load(Ordering::Relaxed)?;
        check_edges(ring, head, tail)?;
        let moved = (head, tail) != (self.edges.head, self.edges.tail);
        self.edges = Edges { head, tail, gate: gate.clamp(head, tail), ..self.edges };
        if moved && ring.shape.buffer_bytes != 0 {
            self.edges.filled = last_byte(ring, tail)?;
            self.edges.freed = first_byte(ring, &self.edges)?;
        }
        Ok(())
    }

    /// Gives the place back.
    pub(crate) fn leave(&mut self) -> Result<(), Error> {
        if let Some(forgotten) = self.open.take() {
            self.cancel(forgotten)?;
        }
        places::leave(&self.ring, self.place, self.number)?;
        self.ring.wake_receivers()
    }
}

/// A length, as errors have it.
pub(crate) fn number(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Runs `change` with the lock; `None` if that was not to be had in time.
pub(crate) fn locked<R>(
    ring: &Ring,
    life: &impl Liveness,
    patience: Patience,
    change: impl FnOnce() -> Result<R, Error>,
) -> Result<Option<R>, Error> {
    if !lock(ring, life, patience)? {
        return Ok(None);
    }
    let changed = change();
    RobustLock::new(&ring.memory, LOCK).unlock(life)?;
    changed.map(Some)
}

/// Takes the lock, and completes what its last owner has left behind; `false` if it was not to be had in time.
fn lock(ring: &Ring, life: &impl Liveness, patience: Patience) -> Result<bool, Error> {
    let lock = RobustLock::new(&ring.memory, LOCK);
    let mut acquired = lock.lock(life, patience)?;
    if acquired.is_none() && patience == Patience::None {
        // It is held for less than a microsecond, which is no blocking, unless its owner is stopped.
        acquired = lock.lock(life, Patience::lasting(LOCK_PATIENCE))?;
    }
    match acquired {
        None => return Ok(false),
        Some(Acquired::InOrder) => {}
        Some(Acquired::OwnerDied) => {
            if let Err(error) = repair(ring) {
                lock.unlock(life)?;
                return Err(error);
            }
        }
    }
    Ok(true)
}

/// Completes what one who died with the lock had begun; can be done by several in a row who die as well.
fn repair(ring: &Ring) -> Result<(), Error> {
    let memory: &Memory = &ring.memory;
    if ring.shape.kind == Kind::Spsc {
        return Ok(());
    }
    let (head, tail) = (memory.u64(HEAD)?.load(Ordering::Relaxed)?, memory.u64(TAIL)?.load(Ordering::Relaxed)?);
    check_edges(ring, head, tail)?;
    finish_retiring(ring, head)?;
    // Claimed, but not counted yet.
    if ring.seq(tail)? == super::ring::seq(tail, CLAIMED) {
        memory.u64(TAIL)?.store(tail + 1, Ordering::Relaxed)?;
    }
    // What is known of the receivers may be out of date.
    memory.u64(GATE)?.store(head, Ordering::Relaxed)
}

/// The head was moved on from a message that may still look as if it were there.
fn finish_retiring(ring: &Ring, head: u64) -> Result<(), Error> {
    if ring.shape.is_lossy()
        && let Some(last) = head.checked_sub(1)
        && [COMMITTED, PADDED].map(|state| super::ring::seq(last, state)).contains(&ring.seq(last)?)
    {
        ring.retire(last)?;
    }
    Ok(())
}

/// Where an SPSC channel's sender is to go on.
fn recover(ring: &Ring) -> Result<Edges, Error> {
    let mut tail = ring.memory.u64(TAIL)?.load(Ordering::Relaxed)?;
    if tail >= MOST {
        return Err(ring.memory.corrupt(TAIL, "more messages than there can be"));
    }
    // Published, but not counted yet.
    if ring.seq(tail)? == super::ring::seq(tail, COMMITTED) {
        tail += 1;
        ring.memory.u64(TAIL)?.store(tail, Ordering::Relaxed)?;
    }
    let head = if ring.shape.is_lossy() {
        ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?
    } else {
        let place = ring.shape.receiver_places().next().unwrap_or_else(|| unreachable!("one at least"));
        // A2, as in `find_gate`.
        ring.memory.u64(place + POSITION)?.load(Ordering::Acquire)?
    };
    check_edges(ring, head, tail)?;
    finish_retiring(ring, head)?;
    let mut edges = Edges { head, tail, gate: head, ..Edges::default() };
    if ring.shape.buffer_bytes != 0 {
        edges.filled = last_byte(ring, tail)?;
        edges.freed = first_byte(ring, &edges)?;
    }
    Ok(edges)
}

fn check_edges(ring: &Ring, head: u64, tail: u64) -> Result<(), Error> {
    if tail < MOST && tail.checked_sub(head).is_some_and(|live| live <= ring.shape.slots) {
        return Ok(());
    }
    Err(ring.memory.corrupt(HEAD, "its first message is where it can't be, or its last"))
}

/// First byte of the buffer that the oldest message may have.
fn first_byte(ring: &Ring, edges: &Edges) -> Result<u64, Error> {
    if ring.shape.buffer_bytes == 0 || edges.head == edges.tail {
        return Ok(edges.filled);
    }
    let start = ring.start(edges.head)?;
    if edges.filled.checked_sub(start).is_some_and(|live| live <= ring.shape.buffer_bytes) {
        return Ok(start);
    }
    Err(ring.memory.corrupt(ring.shape.slot(edges.head), "the oldest message lies where it can't"))
}

/// First byte of the buffer behind the newest message.
fn last_byte(ring: &Ring, tail: u64) -> Result<u64, Error> {
    let Some(last) = tail.checked_sub(1) else { return Ok(0) };
    let start = ring.start(last)?;
    let len = ring.len(last)?;
    // F6: pairs with F5 in `commit_shared`. What a shorter message has given back, its sender does not touch any more.
    fence(Ordering::Acquire);
    if start < MOST && len <= ring.shape.message_len {
        return Ok(start + ring.shape.buffered(len));
    }
    Err(ring.memory.corrupt(ring.shape.slot(last), "the newest message lies where it can't"))
}

/// Whether a message was claimed by one who has died, and will never send it.
pub(crate) fn is_owed_by_the_dead(ring: &Ring, life: &impl Liveness, position: u64) -> Result<bool, Error> {
    Ok(ring.seq(position)? == super::ring::seq(position, CLAIMED) && !life.is_alive(ring.claimant(position)?)?)
}

/// Makes padding of a message that its claimant will never send, because he has died; answers whether it did.
pub(crate) fn pad_for_the_dead(ring: &Ring, life: &impl Liveness, position: u64) -> Result<bool, Error> {
    if !is_owed_by_the_dead(ring, life, position)? {
        return Ok(false);
    }
    let padded = locked(ring, life, Patience::lasting(RECHECK), || {
        if !is_owed_by_the_dead(ring, life, position)? {
            return Ok(false);
        }
        ring.slot(position)?.publish(PADDED)?;
        Ok(true)
    })?;
    if padded == Some(true) {
        ring.wake_everybody()?;
        return Ok(true);
    }
    Ok(false)
}
