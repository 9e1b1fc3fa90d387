//! `mapio log repair`.

use std::path::PathBuf;

use clap::Args;
use mapio_shared::log::{Log, Repair, RepairMode};
use serde::Serialize;

use crate::output::{self, Answer};

/// Cut a damaged log behind its last whole record
///
/// The rest of the damaged segment is lost; the segments behind it are kept under names that end in '.lost', and are no
/// part of the log any more. Exit status: 0 done, also if there was nothing to cut; with '--dry-run' 1 if there is; 2
/// error, such as a log that is being written.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio log repair journal --dry-run")]
pub(crate) struct Arguments {
    /// The folder of the log
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Only say what would be cut
    #[arg(long)]
    dry_run: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// The answer; `cut` is null where there is nothing to cut.
#[derive(Debug, Serialize)]
struct Json<'a> {
    records: u64,
    next_sequence: u64,
    cut: Option<Cut<'a>>,
    lost_segments: &'a [String],
}

#[derive(Debug, Serialize)]
struct Cut<'a> {
    file: &'a str,
    offset: u64,
    reason: &'a str,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let mode = if self.dry_run { RepairMode::DryRun } else { RepairMode::Cut };
        let repaired = Log::repair(&self.path, mode)?;
        self.tell(&repaired)?;
        Ok(if self.dry_run && repaired.recovery.cut.is_some() { Answer::No } else { Answer::Yes })
    }

    fn tell(&self, repaired: &Repair) -> anyhow::Result<()> {
        let cut = repaired.recovery.cut.as_ref();
        let lost_segments = &repaired.recovery.lost_segments;
        if self.json {
            let cut = cut.map(|cut| Cut { file: &cut.file, offset: cut.offset, reason: &cut.reason });
            let (records, next_sequence) = (repaired.records, repaired.next_sequence);
            return output::json(&Json { records, next_sequence, cut, lost_segments });
        }
        match cut {
            None => output::line("nothing is damaged")?,
            Some(cut) => {
                let verb = if self.dry_run { "would cut" } else { "cut" };
                let text = format!("{verb} '{}' at byte {}: {}", cut.file, cut.offset, cut.reason);
                output::line(&output::printable(&text))?;
            }
        }
        for lost in lost_segments {
            output::line(&output::printable(&format!("no part of the log any more: '{lost}'")))?;
        }
        output::line(&format!("{} records are left, the next is {}", repaired.records, repaired.next_sequence))
    }
}
