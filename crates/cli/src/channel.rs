//! `mapio channel`: messages between processes, from standard input, to standard output, and looked at from outside.

mod create;
mod list;
mod monitor;
mod receive;
mod send;
mod shape;
mod stat;

use clap::Subcommand;
use mapio_shared::Error;
use mapio_shared::channel::{Channel, ChannelOptions};

use crate::output::Answer;

/// Send messages between processes, through memory
///
/// A channel is a shared object; its name is that of one: NAME for POSIX shared memory, or on Windows a section, which
/// ends with the last who uses it; file:PATH for a file. 'mapio shared remove NAME' removes it. Exit status: 0 done, 1
/// the answer is no, 2 error.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Example: seq 10 | mapio channel send numbers
Example: mapio channel receive numbers | tail -n 1")]
pub(crate) enum Command {
    Create(create::Arguments),
    Send(send::Arguments),
    Receive(receive::Arguments),
    List(list::Arguments),
    Stat(stat::Arguments),
    Monitor(monitor::Arguments),
}

impl Command {
    pub(crate) fn run(&self) -> anyhow::Result<Answer> {
        match self {
            Self::Create(arguments) => arguments.run(),
            Self::Send(arguments) => arguments.run(),
            Self::Receive(arguments) => arguments.run(),
            Self::List(arguments) => arguments.run(),
            Self::Stat(arguments) => arguments.run(),
            Self::Monitor(arguments) => arguments.run(),
        }
    }
}

/// Opens a channel to be looked at, whatever its messages are.
fn look_at(name: &str) -> Result<Channel<[u8]>, Error> {
    ChannelOptions::new().any_type().role("watcher").open(name)
}
