//! mapio's channels: one sender and one receiver, or one sender and all receivers, with nothing dropped; who waits spins,
//! or spins for some microseconds and then sleeps.

use std::marker::PhantomData;

use anyhow::Context;
use mapio_shared::channel::{Channel, ChannelOptions, Kind, Receiver, Sender, Wait};

use crate::link::{Link, Loan, Side, Task, Work};
use crate::place::wait_for;

/// What messages that nobody has received yet may take, as far as they are neither fewer than 8 nor more than 1024.
const BUFFER_BYTES: usize = 4 << 20;

/// How is waited.
pub trait Waiting {
    /// What the channel is asked for.
    const WAIT: Wait;
}

/// Again and again.
pub enum Spin {}

/// Asleep in the end.
pub enum Sleep {}

impl Waiting for Spin {
    const WAIT: Wait = Wait::Spin;
}

impl Waiting for Sleep {
    const WAIT: Wait = Wait::SpinThenSleep;
}

/// An end: of both directions, or of the one that a broadcast has.
pub struct Mapio<W> {
    out: Option<Sender<[u8]>>,
    back: Option<Receiver<[u8]>>,
    message_bytes: usize,
    waiting: PhantomData<W>,
}

impl<W: Waiting> Mapio<W> {
    /// Opens a direction, by a name that begins with the folder's.
    fn direction(task: &Task, name: &str) -> anyhow::Result<Channel<[u8]>> {
        let folder = task.place.file_name().context("a folder has a name")?.to_string_lossy().into_owned();
        let depth = (BUFFER_BYTES / task.job.message_bytes).clamp(8, 1024);
        let kind = if task.job.work == Work::Broadcast { Kind::Broadcast } else { Kind::Spsc };
        let options = ChannelOptions::new().kind(kind).wait(W::WAIT).capacity(depth as u64);
        let options = options
            .message_len(task.job.message_bytes as u64)
            .buffer_bytes((depth * task.job.message_bytes.next_multiple_of(64)) as u64);
        options.open_or_create(&format!("{folder}-{name}")).context("opening a channel")
    }

    /// Waits until both sides are complete: a broadcast keeps nothing for those who come later.
    fn wait(channel: &Channel<[u8]>, task: &Task) -> anyhow::Result<()> {
        wait_for("the other end", || {
            let stat = channel.stat()?;
            Ok((stat.senders.len() == 1 && stat.receivers.len() == task.job.readers).then_some(()))
        })
    }
}

impl<W: Waiting> Link for Mapio<W> {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let forth = Self::direction(task, "forth")?;
        let home = (task.job.work != Work::Broadcast).then(|| Self::direction(task, "back")).transpose()?;
        let (sends, receives) = match task.side {
            Side::Near => (Some(&forth), home.as_ref()),
            Side::Far => (home.as_ref(), Some(&forth)),
        };
        let out = sends.map(Channel::sender).transpose().context("making a sender")?;
        let back = receives.map(Channel::receiver).transpose().context("making a receiver")?;
        Self::wait(&forth, task)?;
        home.iter().try_for_each(|home| Self::wait(home, task))?;
        Ok(Self { out, back, message_bytes: task.job.message_bytes, waiting: PhantomData })
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.out.as_mut().context("this end only receives")?.send(message)?)
    }

    #[inline]
    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        self.back.as_mut().context("this end only sends")?.receive(message)?;
        Ok(())
    }
}

impl<W: Waiting> Loan for Mapio<W> {
    #[inline]
    fn send_number(&mut self, number: u64) -> anyhow::Result<()> {
        let loan = self.out.as_mut().context("this end only receives")?.loan(self.message_bytes)?;
        loan.view().store(0, number)?;
        Ok(loan.send()?)
    }

    #[inline]
    fn receive_number(&mut self) -> anyhow::Result<u64> {
        let lent = self.back.as_mut().context("this end only sends")?.lend()?;
        Ok(lent.view().load(0)?)
    }
}
