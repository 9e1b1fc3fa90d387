//! `mapio log append`: standard input in, records out.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mapio_shared::Error;
use mapio_shared::log::{Durability, Options, Writer};
use serde::Serialize;

use crate::duration;
use crate::interrupt::Interrupt;
use crate::messages::{Framing, Input};
use crate::output::{self, Answer};
use crate::size;

/// Append standard input to a log, a record for each line
///
/// The log is made if there is none, and recovered if its last writer has died. A line ends without its line break; the
/// last one needs none. Sizes are in bytes; k, m and g stand for 1024, 1024^2 and 1024^3. Ctrl-C and SIGTERM end it
/// behind the last line that has come as a whole.
#[derive(Debug, Args)]
#[command(after_help = "Example: date | mapio log append journal --durability interval=100ms")]
pub(crate) struct Arguments {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// When records are on the disk: always, interval=TIME, or kernel
    ///
    /// 'always': before the next ones are read, all at once that were there to read. 'interval=100ms': so long after
    /// they were appended, at most, and the time of two flushes. 'kernel': when it writes them back.
    #[arg(long, value_name = "WHEN", value_parser = durability, default_value = "kernel")]
    durability: Durability,
    /// Length of new segments, 8k to 4g
    #[arg(long, value_name = "N", value_parser = size::bytes, default_value = "64m")]
    segment: u64,
    /// Remove the oldest segments beyond so many bytes in all
    #[arg(long, value_name = "N", value_parser = size::bytes)]
    retain_bytes: Option<u64>,
    /// Remove segments with only older records, such as 7d
    #[arg(long, value_name = "TIME", value_parser = duration::duration)]
    retain_age: Option<Duration>,
    /// Read messages behind their lengths instead of lines
    ///
    /// Before each message, its length in bytes: 4 bytes, little-endian.
    #[arg(long)]
    length_framed: bool,
    /// Print what was appended as JSON
    #[arg(long)]
    json: bool,
}

/// Reads when records are to be on the disk.
fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "always" => Ok(Durability::Always),
        "kernel" => Ok(Durability::Kernel),
        _ => match text.strip_prefix("interval=") {
            Some(interval) => duration::duration(interval).map(Durability::Interval),
            None => Err("it is 'always', 'interval=TIME' or 'kernel'".to_owned()),
        },
    }
}

/// What was appended. The numbers are null where there is none.
#[derive(Debug, Serialize)]
struct Appended {
    records: u64,
    bytes: u64,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let mut options = Options::new().segment_bytes(self.segment).durability(self.durability);
        if let Some(bytes) = self.retain_bytes {
            options = options.retain_bytes(bytes);
        }
        if let Some(age) = self.retain_age {
            options = options.retain_age(age);
        }
        let mut writer = options.open_or_create(&self.path)?;
        if let Some(cut) = &writer.recovery().cut {
            let text = format!("the log was cut at byte {} of {}: {}", cut.offset, cut.file, cut.reason);
            output::complain_as("mapio", output::printable(&text));
        }
        let is_slow = self.durability == Durability::Always;
        let grouping = if is_slow { Grouping::AsTheyCome } else { Grouping::OneByOne };
        let mut input = Input::new(Framing::of_option(self.length_framed));
        let mut appended = Appended::none();
        let ended = appended.all(&mut writer, &mut input, grouping, &interrupt);
        // What was appended before an error is told and flushed, too.
        let closed = writer.close();
        self.tell(&appended)?;
        ended?;
        closed?;
        Ok(Answer::Yes)
    }

    fn tell(&self, appended: &Appended) -> anyhow::Result<()> {
        if self.json {
            return output::json(appended);
        }
        match (appended.first_sequence, appended.last_sequence) {
            (Some(first), Some(last)) => {
                output::line(&format!("appended {} records, {first} to {last}", appended.records))
            }
            _ => output::line("appended 0 records"),
        }
    }
}

impl Appended {
    const fn none() -> Self {
        Self { records: 0, bytes: 0, first_sequence: None, last_sequence: None }
    }

    fn add(&mut self, sequences: &Range<u64>, bytes: usize) {
        if !sequences.is_empty() {
            self.records += sequences.end - sequences.start;
            self.bytes += u64::try_from(bytes).unwrap_or(0);
            self.first_sequence.get_or_insert(sequences.start);
            self.last_sequence = Some(sequences.end - 1);
        }
    }
}

/// Which records are appended together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grouping {
    OneByOne,
    /// Those that have been read together.
    AsTheyCome,
}

impl Appended {
    /// Appends all messages of standard input until there are no more, or a signal comes.
    fn all(
        &mut self,
        writer: &mut Writer,
        input: &mut Input,
        grouping: Grouping,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        while let Some(messages) = input.next(interrupt, writer.most_bytes())? {
            let payloads: Vec<&[u8]> = messages.iter().map(|message| &input.bytes()[message.clone()]).collect();
            self.some(writer, &payloads, grouping)?;
        }
        Ok(())
    }

    /// Appends records: where each append waits for the disk, all at once if a segment holds them together.
    fn some(&mut self, writer: &mut Writer, payloads: &[&[u8]], grouping: Grouping) -> anyhow::Result<()> {
        if grouping == Grouping::AsTheyCome {
            match writer.append_batch(payloads) {
                Ok(sequences) => {
                    self.add(&sequences, payloads.iter().map(|payload| payload.len()).sum());
                    return Ok(());
                }
                Err(Error::TooLong { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for payload in payloads {
            let sequence = writer.append(payload)?;
            self.add(&(sequence..sequence + 1), payload.len());
        }
        Ok(())
    }
}
