//! What a channel is to be: the options that `create`, `send` and `receive` have in common.

use clap::Args;
use mapio_shared::channel::{ChannelOptions, Full, Kind, Wait};
use mapio_shared::{Error, Lifetime};

use crate::permissions;
use crate::size;

/// What is not given is as usual in a new channel, and not asked of one that exists.
#[derive(Debug, Args)]
#[command(next_help_heading = "A new channel")]
pub(super) struct Shape {
    /// Any number of senders and receivers, each receives all
    ///
    /// Otherwise there is one of each, and what was sent waits for the receiver.
    #[arg(long)]
    broadcast: bool,
    /// Messages that there is room for; default: 256
    #[arg(long, value_name = "N", value_parser = size::bytes)]
    capacity: Option<u64>,
    /// How long a message may be; default: 4096
    #[arg(long, value_name = "BYTES", value_parser = size::bytes)]
    message_len: Option<u64>,
    /// Room for messages of more than 104 bytes
    ///
    /// Default: four times the longest one, and 64k at least.
    #[arg(long, value_name = "BYTES", value_parser = size::bytes)]
    buffer: Option<u64>,
    /// When there is no room: 'block' or 'drop-oldest'; default: block
    #[arg(long, value_name = "WHAT", value_parser = parse::<Full>)]
    full: Option<Full>,
    /// How is waited: 'spin', 'spin-then-sleep' or 'sleep'
    ///
    /// Default: spin-then-sleep. The first takes a processor for each who waits, and has the shortest delay.
    #[arg(long, value_name = "HOW", value_parser = parse::<Wait>)]
    wait: Option<Wait>,
    /// How many may send at a time, with '--broadcast'; default: 16
    #[arg(long, value_name = "N", requires = "broadcast")]
    senders: Option<u32>,
    /// How many may receive at a time, with '--broadcast'; default: 16
    #[arg(long, value_name = "N", requires = "broadcast")]
    receivers: Option<u32>,
    /// Who may use it, as chmod(1) has it, in octal; default: 600
    #[arg(long, value_name = "MODE", value_parser = permissions::mode)]
    mode: Option<u32>,
    /// It ends when the last who uses it closes it
    #[arg(long)]
    until_unused: bool,
}

impl Shape {
    /// Whether it is to end with the last who uses it.
    pub(super) fn ends_when_unused(&self) -> bool {
        self.until_unused
    }

    pub(super) fn options(&self, role: &str) -> ChannelOptions {
        let mut options = ChannelOptions::new().role(role);
        if self.broadcast {
            options = options.kind(Kind::Broadcast);
        }
        if self.until_unused {
            options = options.lifetime(Lifetime::LastHandle);
        }
        options = given(options, self.capacity, ChannelOptions::capacity);
        options = given(options, self.message_len, ChannelOptions::message_len);
        options = given(options, self.buffer, ChannelOptions::buffer_bytes);
        options = given(options, self.full, ChannelOptions::full);
        options = given(options, self.wait, ChannelOptions::wait);
        options = given(options, self.senders, ChannelOptions::senders);
        options = given(options, self.receivers, ChannelOptions::receivers);
        given(options, self.mode, ChannelOptions::permissions)
    }
}

/// Asks for something if it is given.
fn given<T>(
    options: ChannelOptions,
    value: Option<T>,
    ask: impl FnOnce(ChannelOptions, T) -> ChannelOptions,
) -> ChannelOptions {
    match value {
        Some(value) => ask(options, value),
        None => options,
    }
}

/// Reads one of the words that the library has.
fn parse<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| match error {
        Error::Invalid { reason, .. } => reason,
        error => error.to_string(),
    })
}
