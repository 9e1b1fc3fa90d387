//! iceoryx2: publish and subscribe, with nothing dropped; polled, or with an event for each message.

use std::hint::spin_loop;
use std::marker::PhantomData;

use anyhow::Context;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, Config, FileName, LogLevel, Node, NodeBuilder, Path, PortFactory, SemanticString,
    ServiceName, ipc, set_log_level,
};
use iceoryx2::service::port_factory::{event, publish_subscribe};

use crate::link::{Link, Loan, Side, Task, Work, number_of};
use crate::place::wait_for;

/// What messages that nobody has received yet may take, as far as they are neither fewer than 8 nor more than 1024.
const BUFFER_BYTES: usize = 4 << 20;
/// Ends that a service must have room for: more than any job has.
const MOST_ENDS: usize = 32;

/// Whether receivers are woken.
pub trait Wake {
    /// They sleep, and each message comes with an event.
    const IS_EVENT: bool;
}

/// Looks for messages again and again.
pub enum Poll {}

/// Sleeps until there is one.
pub enum Event {}

impl Wake for Poll {
    const IS_EVENT: bool = false;
}

impl Wake for Event {
    const IS_EVENT: bool = true;
}

/// An end: of both directions, or of the one that a broadcast has.
pub struct Iceoryx<W> {
    out: Option<Out>,
    back: Option<Back>,
    // Dropped last.
    _node: Node<ipc::Service>,
    _wake: PhantomData<W>,
}

struct Out {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Option<Notifier<ipc::Service>>,
}

struct Back {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Option<Listener<ipc::Service>>,
}

/// The services of a direction.
struct Direction {
    messages: publish_subscribe::PortFactory<ipc::Service, [u8], ()>,
    events: Option<event::PortFactory<ipc::Service>>,
}

impl Direction {
    fn open(node: &Node<ipc::Service>, name: &str, task: &Task, is_event: bool) -> anyhow::Result<Self> {
        let name = ServiceName::new(name).context("naming a service")?;
        let messages = node
            .service_builder(&name)
            .publish_subscribe::<[u8]>()
            .max_publishers(1)
            .max_subscribers(task.job.readers)
            .max_nodes(MOST_ENDS)
            .history_size(0)
            .subscriber_max_buffer_size(depth(task))
            .enable_safe_overflow(false)
            .open_or_create()
            .context("opening a service")?;
        let events = is_event
            .then(|| {
                let builder = node.service_builder(&name).event();
                builder.max_notifiers(1).max_listeners(task.job.readers).max_nodes(MOST_ENDS).open_or_create()
            })
            .transpose()
            .context("opening a service of events")?;
        Ok(Self { messages, events })
    }

    fn out(&self, task: &Task) -> anyhow::Result<Out> {
        let publisher = self
            .messages
            .publisher_builder()
            .initial_max_slice_len(task.job.message_bytes)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .context("making a publisher")?;
        let notifier = self.events.as_ref().map(|events| events.notifier_builder().create());
        Ok(Out { publisher, notifier: notifier.transpose().context("making a notifier")? })
    }

    fn back(&self, task: &Task) -> anyhow::Result<Back> {
        let subscriber = self.messages.subscriber_builder().buffer_size(depth(task)).create();
        let listener = self.events.as_ref().map(|events| events.listener_builder().create());
        Ok(Back {
            subscriber: subscriber.context("making a subscriber")?,
            listener: listener.transpose().context("making a listener")?,
        })
    }

    /// Waits until both sides are complete: nothing is kept for those who come later.
    fn wait(&self, task: &Task) -> anyhow::Result<()> {
        wait_for("the other end", || {
            let messages = self.messages.dynamic_config();
            let is_complete =
                messages.number_of_publishers() == 1 && messages.number_of_subscribers() == task.job.readers;
            let is_heard = self.events.as_ref().is_none_or(|events| {
                let events = events.dynamic_config();
                events.number_of_notifiers() == 1 && events.number_of_listeners() == task.job.readers
            });
            Ok((is_complete && is_heard).then_some(()))
        })
    }
}

impl<W: Wake> Link for Iceoryx<W> {
    fn open(task: &Task) -> anyhow::Result<Self> {
        set_log_level(LogLevel::Error);
        let node = NodeBuilder::new().config(&config(task)?).create::<ipc::Service>().context("making a node")?;
        let forth = Direction::open(&node, "forth", task, W::IS_EVENT)?;
        let is_both = task.job.work != Work::Broadcast;
        let home = is_both.then(|| Direction::open(&node, "back", task, W::IS_EVENT)).transpose()?;
        let (sends, receives) = match task.side {
            Side::Near => (Some(&forth), home.as_ref()),
            Side::Far => (home.as_ref(), Some(&forth)),
        };
        let out = sends.map(|direction| direction.out(task)).transpose()?;
        let back = receives.map(|direction| direction.back(task)).transpose()?;
        forth.wait(task)?;
        home.iter().try_for_each(|home| home.wait(task))?;
        Ok(Self { out, back, _node: node, _wake: PhantomData })
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let out = self.out.as_ref().context("this end only receives")?;
        let sample = out.publisher.loan_slice_uninit(message.len()).context("borrowing memory")?;
        sample.write_from_slice(message).send().context("sending")?;
        out.notify()
    }

    #[inline]
    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        self.back()?.receive(|payload| message.copy_from_slice(payload))
    }
}

impl<W: Wake> Loan for Iceoryx<W> {
    #[inline]
    fn send_number(&mut self, number: u64) -> anyhow::Result<()> {
        let out = self.out.as_ref().context("this end only receives")?;
        let bytes = out.publisher.initial_max_slice_len();
        let mut sample = out.publisher.loan_slice_uninit(bytes).context("borrowing memory")?;
        for (place, byte) in sample.payload_mut().iter_mut().zip(number.to_le_bytes()) {
            place.write(byte);
        }
        // SAFETY: the memory is that of a file, whose bytes all have values, and any are valid for u8; the receiver
        // reads those alone that were written.
        unsafe { sample.assume_init() }.send().context("sending")?;
        out.notify()
    }

    #[inline]
    fn receive_number(&mut self) -> anyhow::Result<u64> {
        let mut number = 0;
        self.back()?.receive(|payload| number = number_of(payload))?;
        Ok(number)
    }
}

impl<W> Iceoryx<W> {
    #[inline]
    fn back(&mut self) -> anyhow::Result<&mut Back> {
        self.back.as_mut().context("this end only sends")
    }
}

impl Out {
    #[inline]
    fn notify(&self) -> anyhow::Result<()> {
        if let Some(notifier) = &self.notifier {
            notifier.notify().context("notifying")?;
        }
        Ok(())
    }
}

impl Back {
    #[inline]
    fn receive(&mut self, take: impl FnOnce(&[u8])) -> anyhow::Result<()> {
        loop {
            if let Some(sample) = self.subscriber.receive().context("receiving")? {
                take(sample.payload());
                return Ok(());
            }
            match &self.listener {
                Some(listener) => {
                    listener.blocking_wait(|_| ()).context("waiting")?;
                }
                None => spin_loop(),
            }
        }
    }
}

/// Messages that may wait for their receiver.
fn depth(task: &Task) -> usize {
    (BUFFER_BYTES / task.job.message_bytes).clamp(8, 1024)
}

/// All that it makes is in the task's folder, or begins with that folder's name.
fn config(task: &Task) -> anyhow::Result<Config> {
    let name = task.place.file_name().context("a folder has a name")?;
    let mut config = Config::default();
    config.global.prefix = FileName::new(name.as_encoded_bytes()).context("a prefix")?;
    let root = task.place.join("iceoryx2");
    config.global.set_root_path(&Path::new(root.as_os_str().as_encoded_bytes()).context("a folder")?);
    Ok(config)
}
