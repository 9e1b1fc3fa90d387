//! `mapio log verify`.

use std::path::PathBuf;

use clap::Args;
use mapio_shared::log::{Damage, Log};
use serde::Serialize;

use crate::output::{self, Answer};

/// Check every record of a log
///
/// Exit status: 0 all are whole, 1 the log is damaged, 2 error. A log may be written to meanwhile. One whose machine
/// has died may be damaged at its end until it is written to again, which cuts that off.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio log verify journal && echo whole")]
pub(crate) struct Arguments {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Json<'a> {
    whole: bool,
    segments: u64,
    records: u64,
    payload_bytes: u64,
    damage: Vec<Place<'a>>,
}

/// The first damage of a segment.
#[derive(Debug, Serialize)]
struct Place<'a> {
    file: &'a str,
    offset: u64,
    reason: &'a str,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let found = Log::open(&self.path)?.verify()?;
        let whole = found.damage.is_empty();
        if self.json {
            let damage = found.damage.iter().map(place).collect();
            let (segments, records, payload_bytes) = (found.segments, found.records, found.payload_bytes);
            output::json(&Json { whole, segments, records, payload_bytes, damage })?;
        } else {
            for damage in found.damage.iter().map(place) {
                let text = format!("'{}' is damaged at byte {}: {}", damage.file, damage.offset, damage.reason);
                output::line(&output::printable(&text))?;
            }
            output::line(&format!("{} records in {} segments are whole", found.records, found.segments))?;
        }
        Ok(if whole { Answer::Yes } else { Answer::No })
    }
}

fn place(damage: &Damage) -> Place<'_> {
    Place { file: &damage.file, offset: damage.offset, reason: &damage.reason }
}
