//! The receiving end: the next message, where it is, and when it may give way.

use super::options::{History, Wait};
use super::pause::{Doubts, Pause, Step};
use super::places;
use super::ring::{Extent, Found, MOST, Ring, Slot};
use super::shape::{DATA, HEAD, POSITION, RECEIVERS};
use super::writer::{is_owed_by_the_dead, locked, number, pad_for_the_dead};
use crate::error::Error;
use crate::life::Liveness;
use crate::lock::Patience;
use crate::memory::{Ordering, spin_loop};

/// Some microseconds at most.
const QUICK_LOOKS: u32 = 100;

/// A receiver.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: Ring,
    number: u32,
    /// Its place, from the start of the channel.
    place: usize,
    /// Which message comes next. The place has the same number, for senders to read.
    position: u64,
    /// How often is looked before anything else is thought of.
    quick_looks: u32,
    doubts: Doubts,
}

impl Reader {
    /// Takes a receiver's place.
    pub(crate) fn join(
        ring: Ring,
        life: &impl Liveness,
        history: History,
        patience: Patience,
    ) -> Result<Option<Self>, Error> {
        let joined = locked(&ring, life, patience, || {
            let taken = places::take_receiver(&ring, life, history)?;
            places::count_in(&ring, RECEIVERS)?;
            Ok(taken)
        })?;
        let number = life.number();
        let quick_looks = if ring.shape.wait == Wait::Sleep { 0 } else { QUICK_LOOKS };
        let doubts = Doubts::default();
        Ok(joined.map(|(place, position)| Self { ring, number, place, position, quick_looks, doubts }))
    }

    /// What it receives from.
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Where its place is.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Which message comes next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Receives a message into the start of `buf`, and answers its length; `None` if patience has come to its end.
    ///
    /// A straight line for most messages, as in `Writer::send`.
    #[inline(always)]
    pub(crate) fn receive(
        &mut self,
        life: &impl Liveness,
        buf: &mut [u8],
        patience: Patience,
    ) -> Result<Option<usize>, Error> {
        let shape = &self.ring.shape;
        let slot = self.ring.slot(self.position)?;
        if self.catch(&slot, patience)? {
            let len = slot.len()?;
            let fits = len == shape.message_len || (len < shape.message_len && !shape.fixed);
            if fits && len <= shape.inline_len && len <= buf.len() {
                slot.read(&mut buf[..len])?;
                self.check()?;
                self.release()?;
                return Ok(Some(len));
            }
        }
        self.receive_any(life, buf, patience)
    }

    /// Catches a message that comes within a moment, in as few instructions as may be; `false` if none has come.
    #[inline(always)]
    fn catch(&self, slot: &Slot<'_>, patience: Patience) -> Result<bool, Error> {
        let mut looks = if patience == Patience::None { 0 } else { self.quick_looks };
        loop {
            if slot.is_committed()? {
                return Ok(true);
            }
            if looks == 0 {
                return Ok(false);
            }
            looks -= 1;
            spin_loop();
        }
    }

    #[inline(never)]
    fn receive_any(
        &mut self,
        life: &impl Liveness,
        buf: &mut [u8],
        patience: Patience,
    ) -> Result<Option<usize>, Error> {
        let Some(extent) = self.next(life, patience)? else { return Ok(None) };
        let most = buf.len();
        let Some(buf) = buf.get_mut(..extent.len) else {
            let object = self.ring.memory.object().to_owned();
            // In a lossy channel the length may be a newer message's.
            return Err(self.refuse(Error::TooLong { object, len: number(extent.len), most: number(most) }));
        };
        self.ring.memory.read(extent.at, buf)?;
        self.check()?;
        self.release()?;
        Ok(Some(extent.len))
    }

    /// Where the next message is; `None` if patience has come to its end.
    #[inline(always)]
    pub(crate) fn next(&mut self, life: &impl Liveness, patience: Patience) -> Result<Option<Extent>, Error> {
        let slot = self.ring.slot(self.position)?;
        if self.catch(&slot, patience)? {
            return self.extent().map(Some);
        }
        match self.look_on()? {
            Some(extent) => Ok(Some(extent)),
            None if patience == Patience::None => self.look_twice(life),
            None => self.wait(life, patience),
        }
    }

    /// Where the next message is, if there is one.
    #[inline(always)]
    pub(crate) fn look(&mut self) -> Result<Option<Extent>, Error> {
        if self.ring.find(self.position)? == Found::Message { self.extent().map(Some) } else { self.look_on() }
    }

    #[inline(always)]
    fn extent(&mut self) -> Result<Extent, Error> {
        match self.ring.extent(self.position) {
            Ok(extent) => Ok(extent),
            Err(error) => Err(self.refuse(error)),
        }
    }

    /// What can't be may be what has just given way.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, error: Error) -> Error {
        match self.check() {
            Ok(()) => error,
            Err(lagged) => lagged,
        }
    }

    #[cold]
    #[inline(never)]
    fn look_on(&mut self) -> Result<Option<Extent>, Error> {
        // As many messages may be padding, one after the other.
        for _ in 0..self.ring.shape.slots {
            match self.ring.find(self.position)? {
                Found::Message => return self.extent().map(Some),
                Found::Padding => self.release()?,
                Found::Claimed | Found::Nothing => return Ok(None),
                Found::Gone => return Err(self.fall_behind()),
            }
        }
        Ok(None)
    }

    /// Nothing was there, and it is not waited for any longer. Who asks again and again, without ever waiting long
    /// enough for a doubt, has doubts all the same.
    #[cold]
    #[inline(never)]
    fn look_twice(&mut self, life: &impl Liveness) -> Result<Option<Extent>, Error> {
        if self.doubts.are_due() {
            self.doubt(life)?;
            if let Some(extent) = self.look()? {
                return Ok(Some(extent));
            }
        }
        self.look_last(life)
    }

    #[cold]
    #[inline(never)]
    fn wait(&mut self, life: &impl Liveness, patience: Patience) -> Result<Option<Extent>, Error> {
        let mut pause = Pause::new(DATA, patience);
        loop {
            match pause.step(&self.ring)? {
                Step::Over => return self.look_twice(life),
                Step::Look => {}
                step => {
                    if step == Step::Doubt {
                        self.doubt(life)?;
                    }
                    if let Some(extent) = self.look_last(life)? {
                        return Ok(Some(extent));
                    }
                }
            }
            if let Some(extent) = self.look()? {
                return Ok(Some(extent));
            }
        }
    }

    /// Nobody waits for what the dead have not finished, or for the dead themselves.
    fn doubt(&mut self, life: &impl Liveness) -> Result<(), Error> {
        pad_for_the_dead(&self.ring, life, self.position)?;
        places::bury_senders(&self.ring, life)
    }

    /// If nobody will send any more: what is left, or that nothing is.
    fn look_last(&mut self, life: &impl Liveness) -> Result<Option<Extent>, Error> {
        let object = || self.ring.memory.object().to_owned();
        let end = if self.ring.is_closed()? {
            Error::Closed { object: object() }
        } else if places::senders_have_left(&self.ring)? {
            Error::Disconnected { object: object() }
        } else {
            return Ok(None);
        };
        // What they have sent is seen by now: A3, and the channel's being closed.
        for _ in 0..self.ring.shape.slots {
            if let Some(extent) = self.look()? {
                return Ok(Some(extent));
            }
            if !pad_for_the_dead(&self.ring, life, self.position)? {
                if is_owed_by_the_dead(&self.ring, life, self.position)? {
                    // Nobody can take it away just now, since somebody has the lock; there may be others behind it.
                    return Ok(None);
                }
                break;
            }
        }
        Err(end)
    }

    /// Whether the message that was read was still there when it had been read.
    #[inline(always)]
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        if !self.ring.shape.is_lossy() || self.ring.is_still(self.position)? { Ok(()) } else { Err(self.fall_behind()) }
    }

    /// The message has given way, and maybe others behind it: goes on with the oldest that is there.
    #[cold]
    #[inline(never)]
    fn fall_behind(&mut self) -> Error {
        match self.skip_to_head() {
            Ok(missed) => Error::Lagged { object: self.ring.memory.object().to_owned(), missed },
            Err(error) => error,
        }
    }

    fn skip_to_head(&mut self) -> Result<u64, Error> {
        // A1: the head was moved before the message gave way.
        self.ring.seq(self.position)?;
        let head = self.ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?;
        if head <= self.position || head >= MOST {
            return Err(self.ring.memory.corrupt(HEAD, "its first message is where it can't be"));
        }
        let missed = head - self.position;
        self.position = head;
        // R3, as in `release`.
        self.ring.memory.u64(self.place + POSITION)?.store(head, Ordering::Release)?;
        Ok(missed)
    }

    /// Lets the message give way: it was received.
    #[inline(always)]
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        self.position += 1;
        // R3: orders the reads of the message before, and pairs with A2 in `Writer::find_gate`.
        self.ring.memory.u64(self.place + POSITION)?.store(self.position, Ordering::Release)?;
        if self.ring.shape.is_lossy() { Ok(()) } else { self.ring.wake_senders() }
    }

    /// Gives the place back.
    pub(crate) fn leave(&mut self) -> Result<(), Error> {
        places::leave(&self.ring, self.place, self.number)?;
        self.ring.wake_senders()
    }
}
