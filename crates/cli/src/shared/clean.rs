//! `mapio shared clean`.

use clap::Args;
use mapio_shared::{Cleaning, Leftover, ObjectName, Outcome, clean, clean_all};
use serde::Serialize;

use crate::output::{self, Answer};

/// Remove what the dead have left, and nothing else
///
/// Objects that were to live as long as their users, of whom nobody is alive; objects whose users have all died, and
/// none has closed it in order; what was half made or half removed. Raw objects and what somebody alive has open stay.
/// Sections of Windows leave nothing. Exit status: 0 done, 2 something was to be removed and could not be.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared clean --dry-run")]
pub(crate) struct Arguments {
    /// Only these, and half-made files beside them; default: all of /dev/shm and of System V
    #[arg(value_name = "NAME", value_parser = super::name)]
    names: Vec<ObjectName>,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Print what was removed as JSON, a line each
    #[arg(long)]
    json: bool,
}

/// A leftover, as JSON.
#[derive(Debug, Serialize)]
struct Json<'a> {
    name: &'a str,
    cause: String,
    /// `removed`, `found` or `skipped`.
    outcome: &'static str,
    /// Why it was skipped.
    reason: Option<&'a str>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let cleaning = if self.dry_run { Cleaning::DryRun } else { Cleaning::Remove };
        let found = if self.names.is_empty() { clean_all(cleaning)? } else { clean(&self.names, cleaning)? };
        let mut answer = Answer::Yes;
        for leftover in &found {
            let (outcome, reason) = match &leftover.outcome {
                Outcome::Removed => ("removed", None),
                Outcome::Skipped(reason) => ("skipped", Some(output::without_number(reason))),
                _ => ("found", None),
            };
            if reason.is_some() {
                answer = Answer::Partly;
            }
            tell(leftover, outcome, reason, self.json)?;
        }
        Ok(answer)
    }
}

fn tell(leftover: &Leftover, outcome: &'static str, reason: Option<&str>, json: bool) -> anyhow::Result<()> {
    if json {
        let cause = leftover.cause.to_string();
        return output::json(&Json { name: &leftover.name, cause, outcome, reason });
    }
    let name = output::printable(&leftover.name);
    match reason {
        None => output::line(&format!("{outcome} {name}: {}", leftover.cause)),
        Some(reason) => {
            output::complain(&anyhow::anyhow!("skipped {name} ({}): {reason}", leftover.cause));
            Ok(())
        }
    }
}
