//! `mapio channel stat`: a channel as it is now.

use clap::Args;
use mapio_shared::User;
use mapio_shared::channel::{Channel, Party};
use serde::Serialize;

use super::look_at;
use crate::output::{self, Answer};

/// Show what a channel is, what is in it, and who uses it
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio channel stat numbers")]
pub(crate) struct Arguments {
    /// The names of the channels
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Print everything as JSON, a line for each channel
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::Yes;
        for name in &self.names {
            match look_at(name).and_then(|channel| Seen::of(&channel)) {
                Ok(seen) if self.json => output::json(&seen)?,
                Ok(seen) => output::line(&seen.text())?,
                Err(error) => {
                    output::complain(&error.into());
                    answer = Answer::Partly;
                }
            }
        }
        Ok(answer)
    }
}

/// A channel as it was.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub(super) name: String,
    kind: String,
    full: String,
    wait: String,
    capacity: u64,
    message_bytes: u64,
    fixed_length: bool,
    buffer_bytes: u64,
    object_bytes: u64,
    pub(super) sent: u64,
    pub(super) fill: u64,
    closed: bool,
    senders: Vec<End>,
    pub(super) receivers: Vec<End>,
}

/// A sender or a receiver.
#[derive(Debug, Serialize)]
pub(super) struct End {
    number: u32,
    pid: Option<u32>,
    program: String,
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lag: Option<u64>,
}

impl Seen {
    pub(super) fn of(channel: &Channel<[u8]>) -> Result<Self, mapio_shared::Error> {
        let stat = channel.stat()?;
        let users = channel.object().users()?;
        let ends = |parties: &[Party]| parties.iter().map(|party| End::of(party, &users)).collect();
        Ok(Self {
            name: channel.object().name().to_owned(),
            kind: stat.kind.to_string(),
            full: stat.full.to_string(),
            wait: stat.wait.to_string(),
            capacity: stat.capacity,
            message_bytes: stat.message_len,
            fixed_length: stat.fixed,
            buffer_bytes: stat.buffer_bytes,
            object_bytes: stat.len,
            sent: stat.sent,
            fill: stat.fill,
            closed: stat.closed,
            senders: ends(&stat.senders),
            receivers: ends(&stat.receivers),
        })
    }

    /// The name in a line, and what belongs to it in lines below.
    pub(super) fn text(&self) -> String {
        let upto = if self.fixed_length { "of" } else { "of up to" };
        let closed = if self.closed { ", closed" } else { "" };
        let mut text = format!(
            "{}: {}, {}, {}; room for {} messages {upto} {} bytes; {} sent, {} there{closed}",
            output::printable(&self.name),
            self.kind,
            self.full,
            self.wait,
            self.capacity,
            self.message_bytes,
            self.sent,
            self.fill,
        );
        for (what, ends) in [("sender", &self.senders), ("receiver", &self.receivers)] {
            for end in ends {
                text += &format!("\n  {what:<8}  {}", end.text());
            }
        }
        text
    }
}

impl End {
    fn of(party: &Party, users: &[User]) -> Self {
        let user = users.iter().find(|user| user.number == party.number);
        Self {
            number: party.number,
            pid: user.and_then(|user| user.pid),
            program: user.map(|user| user.name.clone()).unwrap_or_default(),
            alive: party.alive,
            position: party.position,
            lag: party.lag,
        }
    }

    fn text(&self) -> String {
        let pid = self.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        let life = if self.alive { "" } else { ", dead" };
        let lag = self.lag.map_or_else(String::new, |lag| format!(", {lag} behind"));
        format!("pid {pid} ({}){life}{lag}", output::printable(&self.program))
    }
}
