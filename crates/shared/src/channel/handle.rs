//! `Channel`: what is opened, and what its ends are made from.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::message::Message;
use super::options::{ChannelOptions, History};
use super::reader::Reader;
use super::receiver::Receiver;
use super::ring::Ring;
use super::sender::Sender;
use super::shape::{CLOSED, Shape};
use super::stat::{self, ChannelStat};
use super::writer::Writer;
use crate::error::Error;
use crate::life::Liveness;
use crate::lock::Patience;
use crate::memory::Ordering;
use crate::object::SharedObject;
use crate::participant::Participant;

/// How long is waited for the lock by one who comes: it is held for less than a microsecond, unless its owner is
/// stopped.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);

/// A channel for messages of type `T`, or of bytes: `Channel<[u8]>`. A handle, from which its ends are made.
///
/// ```
/// use mapio_shared::channel::{Channel, ChannelOptions};
/// # let name = &format!("mapio-doc-channel-{}", std::process::id());
/// let mine: Channel<u64> = ChannelOptions::new().capacity(1000).create(name)?;
/// let mut receiver = mine.receiver()?;
///
/// let yours: Channel<u64> = ChannelOptions::new().open(name)?; // In another process, usually.
/// let mut sender = yours.sender()?;
/// sender.send(&42)?;
/// assert_eq!(receiver.receive()?, 42);
/// # mapio_shared::SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
///
/// # Crashes
/// A process may be killed at any instruction: see [`Sender`] and [`Receiver`] for what becomes of its messages. Its
/// places are free from then on, and nobody waits for it longer than some tens of milliseconds. A process that is
/// stopped is not dead: who needs something of it waits.
///
/// What was sent and not received is lost when the machine goes down.
pub struct Channel<T: ?Sized> {
    object: SharedObject,
    ring: Ring,
    message: PhantomData<fn() -> Box<T>>,
}

impl<T: Message + ?Sized> Channel<T> {
    pub(super) fn new(object: SharedObject, shape: Shape) -> Result<Self, Error> {
        let ring = Ring { memory: object.memory().part(0, shape.len)?, shape };
        Ok(Self { object, ring, message: PhantomData })
    }

    /// How channels are made and opened.
    pub fn options() -> ChannelOptions {
        ChannelOptions::new()
    }

    /// Takes a sender's place.
    ///
    /// In an SPSC channel, it goes on where the sender before has stopped.
    ///
    /// # Errors
    /// [`Error::Crowded`] when all places are taken by somebody who is alive; [`Error::Timeout`] when somebody was
    /// stopped just where nobody else can go on; [`Error::Corrupt`]; [`Error::Fault`].
    pub fn sender(&self) -> Result<Sender<T>, Error> {
        let begin = Instant::now();
        let life = self.object.participant()?;
        let writer = Writer::join(self.ring.clone(), life, Patience::lasting(JOIN_PATIENCE))?;
        Ok(Sender::new(self.object.clone(), writer.ok_or_else(|| timeout(&self.object, begin))?))
    }

    /// Takes a receiver's place.
    ///
    /// In an SPSC channel, it goes on where the receiver before has stopped: no message is lost, and none received
    /// twice. In a broadcast channel it begins with the first message that is sent from now on.
    ///
    /// # Errors
    /// Those of [`sender`](Self::sender).
    pub fn receiver(&self) -> Result<Receiver<T>, Error> {
        self.receiver_from(History::Now)
    }

    /// Takes a receiver's place, and begins with an older message in a broadcast channel.
    ///
    /// # Errors
    /// Those of [`sender`](Self::sender).
    pub fn receiver_from(&self, history: History) -> Result<Receiver<T>, Error> {
        let begin = Instant::now();
        let life = self.object.participant()?;
        let reader = Reader::join(self.ring.clone(), life, history, Patience::lasting(JOIN_PATIENCE))?;
        Ok(Receiver::new(self.object.clone(), reader.ok_or_else(|| timeout(&self.object, begin))?))
    }

    /// Closes the channel for good: nobody can send any more, and receivers receive what was sent before.
    ///
    /// A message that is being sent at the same time may be received, or not. The channel keeps its name.
    ///
    /// # Errors
    /// [`Error::Fault`] when somebody has cut the object short.
    pub fn close(&self) -> Result<(), Error> {
        close(&self.ring)
    }

    /// What it looks like now.
    ///
    /// # Errors
    /// [`Error::Fault`]; [`Error::Os`] with what fcntl(2) says.
    pub fn stat(&self) -> Result<ChannelStat, Error> {
        ChannelStat::of(&self.ring, self.object.participant()?)
    }

    /// Checks every invariant that can be seen, while nobody sends or receives: else it may find what is not so.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with what is wrong, and where; [`Error::Fault`].
    pub fn check(&self) -> Result<(), Error> {
        stat::check(&self.ring)
    }

    /// The object that it is.
    #[must_use]
    pub fn object(&self) -> &SharedObject {
        &self.object
    }
}

impl<T: ?Sized> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("object", &self.object).finish_non_exhaustive()
    }
}

/// The handle takes part: that was seen when the end was made. So it is asked for only by who has to wait.
impl Liveness for SharedObject {
    fn number(&self) -> u32 {
        self.participant().map_or(0, Participant::number)
    }

    fn is_alive(&self, number: u32) -> Result<bool, Error> {
        self.participant()?.is_alive(number)
    }
}

/// Closes a channel for good, and wakes who waits.
pub(super) fn close(ring: &Ring) -> Result<(), Error> {
    ring.memory.u32(CLOSED)?.store(1, Ordering::Release)?;
    ring.wake_everybody()
}

#[cold]
pub(super) fn would_block(object: &SharedObject) -> Error {
    Error::WouldBlock { object: object.name().to_owned() }
}

#[cold]
pub(super) fn timeout(object: &SharedObject, begin: Instant) -> Error {
    Error::Timeout { object: object.name().to_owned(), waited: begin.elapsed() }
}
