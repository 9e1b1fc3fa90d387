//! `Sender` and `Loan`.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use mapio_map::View;

use super::message::Message;
use super::writer::{Claim, Writer};
use super::{places, timeout, would_block};
use crate::error::Error;
use crate::layout::Layout;
use crate::lock::Patience;
use crate::object::SharedObject;

/// The sending end of a channel; made by [`Channel::sender`](super::Channel::sender).
///
/// A message was sent when [`send`](Self::send) has returned `Ok`: from then on it survives the death of this process.
/// One that dies while it sends has sent the message as a whole, or not at all.
///
/// A child that was forked must not send with its copy: both would write into the same room. Dropping the copy gives
/// up nothing of the parent's.
///
/// # Errors
/// All ways to send have the same, besides those that they name:
/// - [`Error::TooLong`] for bytes that never fit, and [`Error::Invalid`] for fewer than every message has.
/// - [`Error::Closed`] once the channel was closed.
/// - [`Error::Disconnected`], of an SPSC channel that is full, when there was a receiver and there is none any more.
///   When the next receiver has come, sending goes on. A channel that nobody has received from yet is waited for, and
///   in a broadcast channel without receivers the oldest messages give way.
/// - [`Error::Corrupt`] when somebody has broken the rules, [`Error::Fault`] when somebody has cut the object short.
pub struct Sender<T: ?Sized> {
    object: SharedObject,
    writer: Writer,
    message: PhantomData<fn(&T)>,
}

impl<T: Message + ?Sized> Sender<T> {
    pub(super) fn new(object: SharedObject, writer: Writer) -> Self {
        Self { object, writer, message: PhantomData }
    }

    /// Sends a message; waits as long as there is no room.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn send(&mut self, message: &T) -> Result<(), Error> {
        match self.writer.send(&self.object, message.bytes(), Patience::Unlimited)? {
            true => Ok(()),
            false => unreachable!("unlimited patience comes to no end"),
        }
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if there is none; else those of the [type](Self#errors).
    #[inline]
    pub fn try_send(&mut self, message: &T) -> Result<(), Error> {
        match self.writer.send(&self.object, message.bytes(), Patience::None)? {
            true => Ok(()),
            false => Err(would_block(&self.object)),
        }
    }

    /// Sends a message; waits for room no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; else those of the [type](Self#errors).
    pub fn send_timeout(&mut self, message: &T, timeout_after: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        match self.writer.send(&self.object, message.bytes(), Patience::lasting(timeout_after))? {
            true => Ok(()),
            false => Err(timeout(&self.object, begin)),
        }
    }

    /// Closes the channel for good, as [`Channel::close`](super::Channel::close).
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn close(&self) -> Result<(), Error> {
        super::close(self.writer.ring())
    }

    /// Whether somebody receives, as far as is known without asking the kernel: one who has just died may count.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn has_receivers(&self) -> Result<bool, Error> {
        let ring = self.writer.ring();
        let mut places = ring.shape.receiver_places();
        places.try_fold(false, |found, place| Ok(found || places::number(ring, place)? != 0))
    }

    fn lend(&mut self, len: usize, patience: Patience) -> Result<Option<Loan<'_>>, Error> {
        let claim = self.writer.claim(&self.object, len, patience)?;
        Ok(claim.map(|claim| Loan { writer: &mut self.writer, claim: Some(claim) }))
    }

    /// The same for so long at most.
    fn lend_within(&mut self, len: usize, timeout_after: Duration) -> Result<Loan<'_>, Error> {
        let begin = Instant::now();
        // The handle, so that the error does not need what is lent.
        let object = self.object.clone();
        self.lend(len, Patience::lasting(timeout_after))?.ok_or_else(|| timeout(&object, begin))
    }
}

impl<T: Layout> Sender<T> {
    /// Makes room for a message, to be written in place; waits as long as there is none.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn loan(&mut self) -> Result<Loan<'_>, Error> {
        let loan = self.lend(size_of::<T>(), Patience::Unlimited)?;
        Ok(loan.unwrap_or_else(|| unreachable!("unlimited patience comes to no end")))
    }

    /// The same if there is room; else `None`.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn try_loan(&mut self) -> Result<Option<Loan<'_>>, Error> {
        self.lend(size_of::<T>(), Patience::None)
    }

    /// The same, waiting no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; else those of the [type](Self#errors).
    pub fn loan_timeout(&mut self, timeout_after: Duration) -> Result<Loan<'_>, Error> {
        self.lend_within(size_of::<T>(), timeout_after)
    }
}

impl Sender<[u8]> {
    /// Makes room for a message of `len` bytes, to be written in place; waits as long as there is none.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, Error> {
        let loan = self.lend(len, Patience::Unlimited)?;
        Ok(loan.unwrap_or_else(|| unreachable!("unlimited patience comes to no end")))
    }

    /// The same if there is room; else `None`.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn try_loan(&mut self, len: usize) -> Result<Option<Loan<'_>>, Error> {
        self.lend(len, Patience::None)
    }

    /// The same, waiting no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; else those of the [type](Self#errors).
    pub fn loan_timeout(&mut self, len: usize, timeout_after: Duration) -> Result<Loan<'_>, Error> {
        self.lend_within(len, timeout_after)
    }
}

impl<T: ?Sized> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("channel", &self.object.name()).finish_non_exhaustive()
    }
}

impl<T: ?Sized> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.object.is_forked() {
            // The place is the parent's, who goes on.
            return;
        }
        // In an object that was cut short there is no place to give back.
        let _ = self.writer.leave();
    }
}

/// Room for a message in the channel itself, to be written in place and then sent, without a copy.
///
/// What was there before is still there: bytes of older messages. Dropping it instead of sending sends nothing. While a
/// loan of a broadcast channel is out, receivers wait for it before they receive what others send after it; should the
/// process die, they learn so and go on.
#[derive(Debug)]
#[must_use = "what is not sent is given up"]
pub struct Loan<'a> {
    writer: &'a mut Writer,
    /// `None` once it was sent.
    claim: Option<Claim>,
}

impl Loan<'_> {
    /// The bytes of the message.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let extent = self.claim().extent;
        let view = self.writer.ring().memory.view().slice(extent.at..extent.at + extent.len);
        view.unwrap_or_else(|_| unreachable!("checked when it was claimed"))
    }

    /// Bytes that the message has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claim().extent.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the message shorter: its first `len` bytes. Only in a channel of `[u8]`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for more bytes than it has; [`Error::Invalid`] where all messages have one length;
    /// [`Error::Fault`].
    pub fn truncate(&mut self, len: usize) -> Result<(), Error> {
        match &mut self.claim {
            Some(claim) => self.writer.shorten(claim, len),
            None => unreachable!("only sending takes it"),
        }
    }

    /// Sends the message.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn send(mut self) -> Result<(), Error> {
        match self.claim.take() {
            Some(claim) => self.writer.commit(claim),
            None => unreachable!("only sending takes it"),
        }
    }

    fn claim(&self) -> &Claim {
        self.claim.as_ref().unwrap_or_else(|| unreachable!("only sending takes it"))
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            // In an object that was cut short nobody waits for it.
            let _ = self.writer.cancel(claim);
        }
    }
}
