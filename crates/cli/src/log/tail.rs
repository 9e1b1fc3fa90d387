//! `mapio log tail`: records out, from any place, and those that are still to come.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mapio_shared::Error;
use mapio_shared::log::{Entry, Log, Position, Reader};
use serde::Serialize;

use crate::duration;
use crate::interrupt::Interrupt;
use crate::messages::{self, BUFFER_BYTES, Framing, Payload};
use crate::output::{self, Answer};
use crate::sys;

/// How long to wait for a record before looking whether somebody still reads, and whether a signal has come.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Print the records of a log, a line for each
///
/// Records that were removed before they could be read are told of on standard error, and the exit status is 2. Nothing
/// is ever written to the log.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio log tail journal --since 10m --json")]
pub(crate) struct Arguments {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Begin at 'start', at 'end', or at this sequence number
    #[arg(long, value_name = "WHERE", value_parser = position, default_value = "start")]
    from: Position,
    /// Begin at this time: 10m for so long ago, or @SECONDS since 1970
    #[arg(long, value_name = "TIME", value_parser = duration::moment, conflicts_with = "from")]
    since: Option<u64>,
    /// Wait for more, until Ctrl-C or SIGTERM
    #[arg(long, short)]
    follow: bool,
    /// End after so many records
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,
    /// Write each message behind its length: 4 bytes, little-endian
    #[arg(long, conflicts_with = "json")]
    length_framed: bool,
    /// Print each record as JSON: number, time, length, text
    ///
    /// Bytes that are not UTF-8 are given in hexadecimal digits, as 'hex' instead of 'text'.
    #[arg(long)]
    json: bool,
}

/// Reads where to begin.
fn position(text: &str) -> Result<Position, String> {
    match text {
        "start" => Ok(Position::Start),
        "end" => Ok(Position::End),
        _ => text.parse().map(Position::Sequence).map_err(|_| "it is 'start', 'end' or a sequence number".to_owned()),
    }
}

/// A record, as JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    sequence: u64,
    time_ns: u64,
    #[serde(flatten)]
    payload: Payload<'a>,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let log = Log::open(&self.path)?;
        let mut reader = log.reader(self.since.map_or(self.from, Position::Time))?;
        let mut output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let copied = self.copy(&mut reader, &mut output, &interrupt);
        let flushed = output.flush().context("writing to standard output");
        match copied.and_then(|answer| flushed.map(|()| answer)) {
            Err(error) if messages::is_closed_pipe(&error) => Ok(Answer::Yes),
            answer => answer,
        }
    }

    /// Prints records until there is a reason to end.
    fn copy(&self, reader: &mut Reader, output: &mut impl Write, interrupt: &Interrupt) -> anyhow::Result<Answer> {
        let (mut answer, mut left, mut buffer) = (Answer::Yes, self.count.unwrap_or(u64::MAX), Vec::new());
        while left > 0 && !interrupt.is_set() {
            match reader.try_read(&mut buffer) {
                Ok(Some(entry)) => {
                    self.print(output, entry, &buffer).context("writing to standard output")?;
                    left -= 1;
                }
                Ok(None) if !self.follow => break,
                Ok(None) => {
                    output.flush().context("writing to standard output")?;
                    if !reader.wait(Some(LOOK_EVERY))? && sys::nobody_reads() {
                        break;
                    }
                }
                Err(error @ Error::Lagged { .. }) => {
                    output::complain(&error.into());
                    answer = Answer::Partly;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(answer)
    }

    fn print(&self, output: &mut impl Write, entry: Entry, bytes: &[u8]) -> io::Result<()> {
        if !self.json {
            return messages::write(output, Framing::of_option(self.length_framed), bytes);
        }
        let record = Json { sequence: entry.sequence, time_ns: entry.time_ns, payload: Payload::of(bytes) };
        serde_json::to_writer(&mut *output, &record)?;
        output.write_all(b"\n")
    }
}
