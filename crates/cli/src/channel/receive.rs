//! `mapio channel receive`: messages in, standard output out.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use mapio_shared::Error;
use mapio_shared::channel::{Channel, History, Receiver};
use serde::Serialize;

use super::shape::Shape;
use crate::duration;
use crate::interrupt::Interrupt;
use crate::messages::{self, BUFFER_BYTES, Framing, Payload};
use crate::output::{self, Answer};
use crate::sys;

/// How long to wait for a message before looking whether somebody still reads, and whether a signal has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Print the messages of a channel, a line for each
///
/// The channel is made if there is none, and a sender is waited for. It ends when all senders have gone, or the channel
/// was closed, and everything was received. Messages that have given way before they were received are told of on standard
/// error, and the exit status is 2; it is 1 when the time is over.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio channel receive numbers | tail -n 1")]
pub(crate) struct Arguments {
    /// The name of the channel
    #[arg(value_name = "NAME")]
    name: String,
    /// Begin with 'now', 'oldest', or so many before; default: now
    ///
    /// Of a broadcast channel. Otherwise it goes on where the receiver before has ended.
    #[arg(long, value_name = "WHERE", value_parser = history)]
    from: Option<History>,
    /// End after so many messages
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// End if nothing comes for so long, such as 5s
    #[arg(long, value_name = "TIME", value_parser = duration::duration)]
    timeout: Option<Duration>,
    /// Do not end when all senders have gone: others may come
    #[arg(long, short)]
    follow: bool,
    /// Write each message behind its length: 4 bytes, little-endian
    #[arg(long, conflicts_with = "json")]
    length_framed: bool,
    /// Print each message as JSON: position, length, text
    ///
    /// Bytes that are not UTF-8 are given in hexadecimal digits, as 'hex' instead of 'text'.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shape: Shape,
}

/// Reads where to begin.
fn history(text: &str) -> Result<History, String> {
    match text {
        "now" => Ok(History::Now),
        "oldest" => Ok(History::Oldest),
        _ => text.parse().map(History::Last).map_err(|_| "it is 'now', 'oldest' or a number of messages".to_owned()),
    }
}

/// A message, as JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    position: u64,
    #[serde(flatten)]
    payload: Payload<'a>,
}

/// Why there is no message now.
enum Pause {
    /// None has come for a moment.
    Quiet,
    /// Some have given way; others are there.
    Lagged,
    /// There will be none.
    Over,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let channel: Channel<[u8]> = self.shape.options("receiver").any_type().open_or_create(&self.name)?;
        let mut receiver = channel.receiver_from(self.from.unwrap_or_default())?;
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let copied = self.copy(&mut receiver, &mut output, &interrupt);
        let flushed = output.flush().context("writing to standard output");
        match copied.and_then(|answer| flushed.map(|()| answer)) {
            Err(error) if messages::is_closed_pipe(&error) => Ok(Answer::Yes),
            answer => answer,
        }
    }

    /// Prints messages until there is a reason to end.
    fn copy(
        &self,
        receiver: &mut Receiver<[u8]>,
        output: &mut impl Write,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Answer> {
        let (mut answer, mut left, mut last) = (Answer::Yes, self.count.unwrap_or(u64::MAX), Instant::now());
        while left > 0 && !interrupt.is_set() {
            match self.one(receiver, output)? {
                None => (left, last) = (left - 1, Instant::now()),
                Some(Pause::Lagged) => answer = Answer::Partly,
                Some(Pause::Over) => break,
                Some(Pause::Quiet) => {
                    output.flush().context("writing to standard output")?;
                    if sys::nobody_reads() {
                        break;
                    }
                    if self.timeout.is_some_and(|timeout| last.elapsed() >= timeout) {
                        return Ok(Answer::No);
                    }
                }
            }
        }
        Ok(answer)
    }

    /// Prints one message, if there is one.
    fn one(&self, receiver: &mut Receiver<[u8]>, output: &mut impl Write) -> anyhow::Result<Option<Pause>> {
        let position = receiver.position();
        if receiver.lag()? == 0 {
            // Nobody is kept waiting for what was printed when nothing more is there.
            output.flush().context("writing to standard output")?;
        }
        let patience = self.timeout.map_or(LOOK_EVERY, |timeout| timeout.min(LOOK_EVERY));
        let error = match receiver.lend_timeout(patience) {
            Ok(lent) => {
                let bytes = lent.to_vec()?;
                match lent.check() {
                    Ok(()) => {
                        self.print(output, position, &bytes).context("writing to standard output")?;
                        return Ok(None);
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        match error {
            Error::Timeout { .. } => Ok(Some(Pause::Quiet)),
            Error::Disconnected { .. } if self.follow => {
                std::thread::sleep(LOOK_EVERY);
                Ok(Some(Pause::Quiet))
            }
            Error::Disconnected { .. } | Error::Closed { .. } => Ok(Some(Pause::Over)),
            Error::Lagged { .. } => {
                output::complain(&error.into());
                Ok(Some(Pause::Lagged))
            }
            error => Err(error.into()),
        }
    }

    fn print(&self, output: &mut impl Write, position: u64, bytes: &[u8]) -> io::Result<()> {
        if !self.json {
            return messages::write(output, Framing::of_option(self.length_framed), bytes);
        }
        serde_json::to_writer(&mut *output, &Json { position, payload: Payload::of(bytes) })?;
        output.write_all(b"\n")
    }
}
