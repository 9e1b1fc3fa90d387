//! `mapio channel send`: standard input in, messages out.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use mapio_shared::Error;
use mapio_shared::channel::{Channel, Sender};
use serde::Serialize;

use super::shape::Shape;
use crate::interrupt::Interrupt;
use crate::messages::{Framing, Input};
use crate::output::{self, Answer};

/// How long to wait for room before looking whether a signal has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Send standard input, a message for each line
///
/// The channel is made if there is none. A line is sent without its line break; the last one needs none. When the channel
/// is full, it waits, or the oldest messages give way, as the channel is made. Ctrl-C and SIGTERM end it behind the last
/// message that was sent as a whole.
#[derive(Debug, Args)]
#[command(after_help = "Example: seq 10 | mapio channel send numbers")]
pub(crate) struct Arguments {
    /// The name of the channel
    #[arg(value_name = "NAME")]
    name: String,
    /// Read messages behind their lengths instead of lines
    ///
    /// Before each message, its length in bytes: 4 bytes, little-endian.
    #[arg(long)]
    length_framed: bool,
    /// Close the channel for good behind the last message
    #[arg(long)]
    close: bool,
    /// Print what was sent, and how fast, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shape: Shape,
}

/// What was sent.
#[derive(Debug, Default, Serialize)]
struct Sent {
    messages: u64,
    bytes: u64,
    seconds: f64,
    messages_per_second: Option<u64>,
    bytes_per_second: Option<u64>,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let channel: Channel<[u8]> = self.shape.options("sender").open_or_create(&self.name)?;
        let most_bytes = usize::try_from(channel.stat()?.message_len).unwrap_or(usize::MAX);
        let mut sender = channel.sender()?;
        let mut input = Input::new(Framing::of_option(self.length_framed));
        let (mut sent, begin) = (Sent::default(), Instant::now());
        let ended = sent.all(&mut sender, &mut input, most_bytes, &interrupt);
        if self.close {
            sender.close()?;
        }
        // What was sent before an error is told, too.
        if self.json {
            sent.tell(begin.elapsed())?;
        }
        ended.map(|()| Answer::Yes)
    }
}

impl Sent {
    /// Sends all messages until there are no more, or a signal comes.
    fn all(
        &mut self,
        sender: &mut Sender<[u8]>,
        input: &mut Input,
        most_bytes: usize,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        while let Some(messages) = input.next(interrupt, most_bytes)? {
            for message in messages {
                let bytes = &input.bytes()[message];
                loop {
                    match sender.send_timeout(bytes, LOOK_EVERY) {
                        Ok(()) => break,
                        Err(Error::Timeout { .. }) if !interrupt.is_set() => {}
                        Err(Error::Timeout { .. }) => return Ok(()),
                        Err(error) => return Err(error.into()),
                    }
                }
                self.messages += 1;
                self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
            }
            if interrupt.is_set() {
                break;
            }
        }
        Ok(())
    }

    fn tell(mut self, elapsed: Duration) -> anyhow::Result<()> {
        self.seconds = elapsed.as_secs_f64();
        self.messages_per_second = output::bytes_per_second(self.messages, elapsed);
        self.bytes_per_second = output::bytes_per_second(self.bytes, elapsed);
        output::json(&self)
    }
}
