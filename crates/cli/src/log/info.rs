//! `mapio log info`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use mapio_shared::log::{Info, Log};
use serde::Serialize;

use crate::duration;
use crate::output::{self, Answer};

/// Show what is in a log, without reading its records
///
/// Times are in nanoseconds since 1970 in the JSON.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio log info journal")]
pub(crate) struct Arguments {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Print everything as JSON, each segment too
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    log_id: String,
    has_writer: bool,
    records: u64,
    first_sequence: u64,
    next_sequence: u64,
    last_time_ns: Option<u64>,
    bytes: u64,
    segments: Vec<Segment<'a>>,
}

#[derive(Debug, Serialize)]
struct Segment<'a> {
    file: &'a str,
    first_sequence: u64,
    created_ns: u64,
    bytes: u64,
    flushed_bytes: u64,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let info = Log::open(&self.path)?.info()?;
        let bytes = info.segments.iter().map(|segment| segment.bytes).sum();
        let records = info.next_sequence.saturating_sub(info.first_sequence);
        if self.json {
            output::json(&as_json(&info, records, bytes))?;
        } else {
            let numbers = match info.next_sequence.checked_sub(1).filter(|_| records > 0) {
                Some(last) => format!("{records} records, {} to {last}", info.first_sequence),
                None => format!("no records, the next is {}", info.next_sequence),
            };
            let writer = if info.has_writer { "a writer" } else { "no writer" };
            let age = info.last_time_ns.map_or(String::new(), |then| format!(", the last {} ago", ago(then)));
            let (count, size) = (info.segments.len(), output::bytes_text(bytes));
            let path = output::name(&self.path);
            output::line(&format!("'{path}': {numbers}{age}; {count} segments, {size}; {writer}"))?;
        }
        Ok(Answer::Yes)
    }
}

fn as_json(info: &Info, records: u64, bytes: u64) -> Json<'_> {
    let segments = info.segments.iter().map(|segment| Segment {
        file: &segment.file,
        first_sequence: segment.first_sequence,
        created_ns: segment.created_ns,
        bytes: segment.bytes,
        flushed_bytes: segment.flushed_bytes,
    });
    Json {
        log_id: info.log_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        has_writer: info.has_writer,
        records,
        first_sequence: info.first_sequence,
        next_sequence: info.next_sequence,
        last_time_ns: info.last_time_ns,
        bytes,
        segments: segments.collect(),
    }
}

/// How long ago a moment was, in seconds.
fn ago(then_ns: u64) -> String {
    let elapsed = Duration::from_nanos(duration::nanoseconds(duration::now()).saturating_sub(then_ns));
    format!("{:.1} s", elapsed.as_secs_f64())
}
