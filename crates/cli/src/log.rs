//! `mapio log`: append-only logs in mapped files, written, followed, looked at, checked, repaired.

mod append;
mod info;
mod repair;
mod tail;
mod verify;

use clap::Subcommand;

use crate::output::Answer;

/// Append to a log in mapped files, follow it, check it
///
/// A log is a folder of segment files. It has one writer and any number of readers at the same time. Exit status: 0
/// done, 1 the answer is no (it is damaged), 2 error.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example: seq 10 | mapio log append journal
Example: mapio log tail journal --json")]
pub(crate) enum Command {
    Append(append::Arguments),
    Tail(tail::Arguments),
    Info(info::Arguments),
    Verify(verify::Arguments),
    Repair(repair::Arguments),
}

impl Command {
    pub(crate) fn run(&self) -> anyhow::Result<Answer> {
        match self {
            Self::Append(arguments) => arguments.run(),
            Self::Tail(arguments) => arguments.run(),
            Self::Info(arguments) => arguments.run(),
            Self::Verify(arguments) => arguments.run(),
            Self::Repair(arguments) => arguments.run(),
        }
    }
}
