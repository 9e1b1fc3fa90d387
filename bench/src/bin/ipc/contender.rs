//! Who takes part, and in what.

use anyhow::Context;

use crate::bounce::Bounce;
use crate::descriptors::{Pipe, Seqpacket};
use crate::iceoryx::{Event, Iceoryx, Poll};
use crate::ipc_channel::IpcChannel;
use crate::link::{Link, Loan, Task, Work};
use crate::mapio::{Mapio, Sleep, Spin};
use crate::measure;
use crate::ring::Ring;

/// All of them, in the order of the tables: in each group, figures are divided by those of the first that is in it.
pub const ALL: &[Contender] = &[
    Contender::new("bounce", Waits::Spins).round_trip::<Bounce>(),
    Contender::new("ring", Waits::Spins).round_trip::<Ring>().stream::<Ring>().loan::<Ring>(),
    Contender::new("mapio-spin", Waits::Spins)
        .round_trip::<Mapio<Spin>>()
        .stream::<Mapio<Spin>>()
        .loan::<Mapio<Spin>>()
        .broadcast::<Mapio<Spin>>(),
    Contender::new("iceoryx2-poll", Waits::Spins)
        .round_trip::<Iceoryx<Poll>>()
        .stream::<Iceoryx<Poll>>()
        .loan::<Iceoryx<Poll>>()
        .broadcast::<Iceoryx<Poll>>(),
    Contender::new("pipe", Waits::Blocks).round_trip::<Pipe>().stream::<Pipe>(),
    Contender::new("seqpacket", Waits::Blocks).round_trip::<Seqpacket>().stream::<Seqpacket>().broadcast::<Seqpacket>(),
    Contender::new("mapio-sleep", Waits::Blocks)
        .round_trip::<Mapio<Sleep>>()
        .stream::<Mapio<Sleep>>()
        .loan::<Mapio<Sleep>>()
        .broadcast::<Mapio<Sleep>>(),
    Contender::new("ipc-channel", Waits::Blocks).round_trip::<IpcChannel>().stream::<IpcChannel>(),
    Contender::new("iceoryx2-event", Waits::Blocks)
        .round_trip::<Iceoryx<Event>>()
        .stream::<Iceoryx<Event>>()
        .loan::<Iceoryx<Event>>()
        .broadcast::<Iceoryx<Event>>(),
];

/// The cache line that is bounced in every group, as the measure of what the processors are like at that moment.
pub const BOUNCE: &str = "bounce";

/// What a receiver does that has nothing to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// It looks again and again, and needs a processor for that.
    Spins,
    /// It sleeps in the kernel.
    Blocks,
}

/// One end's work; the near one's answers the nanoseconds of a message, or of a round trip.
type Body = fn(&Task) -> anyhow::Result<Option<f64>>;

/// A way from process to process.
#[derive(Debug)]
pub struct Contender {
    pub name: &'static str,
    pub waits: Waits,
    round_trip: Option<Body>,
    stream: Option<Body>,
    loan: Option<Body>,
    broadcast: Option<Body>,
}

impl Contender {
    const fn new(name: &'static str, waits: Waits) -> Self {
        Self { name, waits, round_trip: None, stream: None, loan: None, broadcast: None }
    }

    const fn round_trip<L: Link>(self) -> Self {
        Self { round_trip: Some(measure::round_trip::<L>), ..self }
    }

    const fn stream<L: Link>(self) -> Self {
        Self { stream: Some(measure::stream::<L>), ..self }
    }

    const fn loan<L: Loan>(self) -> Self {
        Self { loan: Some(measure::loan::<L>), ..self }
    }

    const fn broadcast<L: Link>(self) -> Self {
        Self { broadcast: Some(measure::broadcast::<L>), ..self }
    }

    fn body(&self, work: Work) -> Option<Body> {
        match work {
            Work::RoundTrip => self.round_trip,
            Work::Stream => self.stream,
            Work::Loan => self.loan,
            Work::Broadcast => self.broadcast,
        }
    }

    /// Whether it takes part in this.
    pub fn can(&self, work: Work) -> bool {
        self.body(work).is_some()
    }

    /// Does the work of one end.
    pub fn work(&self, task: &Task) -> anyhow::Result<Option<f64>> {
        let body = self.body(task.job.work).with_context(|| format!("{} can't do {:?}", self.name, task.job.work))?;
        body(task).with_context(|| format!("{}, {:?} end", self.name, task.side))
    }
}

/// Their names.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|contender| contender.name).collect()
}

/// The one that is called so.
pub fn find(name: &str) -> anyhow::Result<&'static Contender> {
    ALL.iter().find(|contender| contender.name == name).with_context(|| format!("no contender is called {name}"))
}
