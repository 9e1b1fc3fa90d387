//! `Receiver` and `Lent`.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use mapio_map::View;

use super::message::Message;
use super::notifier::Notifier;
use super::reader::Reader;
use super::ring::Extent;
use super::shape::TAIL;
use super::timeout;
use crate::error::Error;
use crate::layout::Layout;
use crate::lock::Patience;
use crate::memory::Ordering;
use crate::object::SharedObject;

/// The receiving end of a channel; made by [`Channel::receiver`](super::Channel::receiver).
///
/// A message is received when the call has returned; one that dies before has not received it: in an SPSC channel,
/// the next receiver does. With [`lend`](Self::lend), a message is received when the [`Lent`] is dropped.
///
/// A child that was forked must not receive with its copy. Dropping the copy gives up nothing of the parent's.
///
/// # Errors
/// All ways to receive have the same, besides those that they name:
/// - [`Error::Disconnected`] when there were senders, all have left or died, and everything that they had sent was
///   received. Should another sender come, receiving goes on. While no sender has come yet, it is waited for.
/// - [`Error::Closed`] when the channel was closed, and everything was received.
/// - [`Error::Lagged`], with [`Full::DropOldest`](super::Full::DropOldest), when messages have given way before they
///   were received. The next call answers the oldest that is there.
/// - [`Error::Corrupt`] when somebody has broken the rules, [`Error::Fault`] when somebody has cut the object short.
pub struct Receiver<T: ?Sized> {
    object: SharedObject,
    reader: Reader,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Receiver<T> {
    pub(super) fn new(object: SharedObject, reader: Reader) -> Self {
        Self { object, reader, message: PhantomData }
    }

    /// Lends the next message where it is, without a copy; waits as long as there is none.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn lend(&mut self) -> Result<Lent<'_>, Error> {
        let lent = self.lend_for(Patience::Unlimited)?;
        Ok(lent.unwrap_or_else(|| unreachable!("unlimited patience comes to no end")))
    }

    /// The same if there is a message; else `None`.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    pub fn try_lend(&mut self) -> Result<Option<Lent<'_>>, Error> {
        self.lend_for(Patience::None)
    }

    /// The same, waiting no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; else those of the [type](Self#errors).
    pub fn lend_timeout(&mut self, timeout_after: Duration) -> Result<Lent<'_>, Error> {
        let begin = Instant::now();
        // The handle, so that the error does not need what is lent.
        let object = self.object.clone();
        self.lend_for(Patience::lasting(timeout_after))?.ok_or_else(|| timeout(&object, begin))
    }

    /// Makes a descriptor that is readable when there is something to receive: for poll(2), and for runtimes that stand
    /// on it.
    ///
    /// # Errors
    /// [`Error::Invalid`] in a channel of [`Wait::Spin`](super::Wait::Spin), where nobody wakes anybody; [`Error::Os`]
    /// when the system has no descriptor or no thread for it.
    pub fn notifier(&self) -> Result<Notifier, Error> {
        Notifier::new(self.reader.ring().clone(), self.reader.place())
    }

    /// Which message comes next: how many were sent to the channel before it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.reader.position()
    }

    /// How many messages were sent, or begun, that this receiver has not received; some may have given way.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn lag(&self) -> Result<u64, Error> {
        let tail = self.reader.ring().memory.u64(TAIL)?.load(Ordering::Relaxed)?;
        Ok(tail.saturating_sub(self.reader.position()))
    }

    /// Closes the channel for good, as [`Channel::close`](super::Channel::close).
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn close(&self) -> Result<(), Error> {
        super::close(self.reader.ring())
    }

    fn lend_for(&mut self, patience: Patience) -> Result<Option<Lent<'_>>, Error> {
        let found = self.reader.next(&self.object, patience)?;
        Ok(found.map(|extent| Lent { reader: &mut self.reader, extent }))
    }
}

impl<T: Layout> Receiver<T> {
    /// Receives a message; waits as long as there is none.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn receive(&mut self) -> Result<T, Error> {
        let mut value = T::new_zeroed();
        self.receive_into(&mut value)?;
        Ok(value)
    }

    /// Receives a message into `value`; waits as long as there is none. For types of some kilobytes, whose values are
    /// moved several times when they are returned. After an error, the value is any.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn receive_into(&mut self, value: &mut T) -> Result<(), Error> {
        let received = self.reader.receive(&self.object, value.as_mut_bytes(), Patience::Unlimited)?;
        received.map(drop).ok_or_else(|| unreachable!("unlimited patience comes to no end"))
    }

    /// Receives a message if there is one; else `None`.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn try_receive(&mut self) -> Result<Option<T>, Error> {
        let mut value = T::new_zeroed();
        let received = self.reader.receive(&self.object, value.as_mut_bytes(), Patience::None)?;
        Ok(received.map(|_| value))
    }

    /// Receives a message; waits for one no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; else those of the [type](Self#errors).
    pub fn receive_timeout(&mut self, timeout_after: Duration) -> Result<T, Error> {
        let begin = Instant::now();
        let mut value = T::new_zeroed();
        let received = self.reader.receive(&self.object, value.as_mut_bytes(), Patience::lasting(timeout_after))?;
        received.map(|_| value).ok_or_else(|| timeout(&self.object, begin))
    }
}

impl Receiver<[u8]> {
    /// Receives a message into the start of `buf`, and answers its length; waits as long as there is none.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it does not fit: it comes again next time; else those of the [type](Self#errors).
    #[inline]
    pub fn receive(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let received = self.reader.receive(&self.object, buf, Patience::Unlimited)?;
        Ok(received.unwrap_or_else(|| unreachable!("unlimited patience comes to no end")))
    }

    /// Receives a message into the start of `buf` if there is one, and answers its length; else `None`.
    ///
    /// # Errors
    /// [`Error::TooLong`] as for [`receive`](Self::receive); else those of the [type](Self#errors).
    #[inline]
    pub fn try_receive(&mut self, buf: &mut [u8]) -> Result<Option<usize>, Error> {
        self.reader.receive(&self.object, buf, Patience::None)
    }

    /// Receives a message into the start of `buf`; waits for one no longer than `timeout_after`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; [`Error::TooLong`] as for [`receive`](Self::receive); else those of the
    /// [type](Self#errors).
    pub fn receive_timeout(&mut self, buf: &mut [u8], timeout_after: Duration) -> Result<usize, Error> {
        let begin = Instant::now();
        self.reader
            .receive(&self.object, buf, Patience::lasting(timeout_after))?
            .ok_or_else(|| timeout(&self.object, begin))
    }
}

impl<T: ?Sized> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("channel", &self.object.name())
            .field("position", &self.reader.position())
            .finish_non_exhaustive()
    }
}

impl<T: ?Sized> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.object.is_forked() {
            // The place is the parent's, who goes on.
            return;
        }
        // In an object that was cut short there is no place to give back.
        let _ = self.reader.leave();
    }
}

/// A message where it lies in the channel. It is received, and may give way, when this is dropped.
///
/// With [`Full::Block`](super::Full::Block) nobody who keeps to the rules changes the bytes meanwhile, and its sender
/// has to wait if the channel fills up. With [`Full::DropOldest`](super::Full::DropOldest) nobody waits: what was read
/// is the message only if [`check`](Self::check) says so afterwards.
#[derive(Debug)]
pub struct Lent<'a> {
    reader: &'a mut Reader,
    extent: Extent,
}

impl Lent<'_> {
    /// The bytes of the message.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let view = self.reader.ring().memory.view().slice(self.extent.at..self.extent.at + self.extent.len);
        view.unwrap_or_else(|_| unreachable!("checked when it was found"))
    }

    /// Bytes that the message has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.extent.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.extent.len == 0
    }

    /// Copies the message out.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn to_vec(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.extent.len];
        self.reader.ring().memory.read(self.extent.at, &mut bytes)?;
        Ok(bytes)
    }

    /// Whether all that was read so far was the message: it has not given way.
    ///
    /// # Errors
    /// [`Error::Lagged`] if it has.
    pub fn check(&self) -> Result<(), Error> {
        let ring = self.reader.ring();
        if !ring.shape.is_lossy() || ring.is_still(self.reader.position())? {
            return Ok(());
        }
        Err(Error::Lagged { object: ring.memory.object().to_owned(), missed: 1 })
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // In an object that was cut short there is nothing left to receive.
        let _ = self.reader.release();
    }
}
