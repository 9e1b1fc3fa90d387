//! `mapio channel monitor`: a channel as time goes by.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::look_at;
use super::stat::Seen;
use crate::duration;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};

/// Watch a channel: messages a second, fill, lag
///
/// A line for each look, until Ctrl-C, SIGTERM, or the channel is removed.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio channel monitor numbers --interval 100ms --count 3")]
pub(crate) struct Arguments {
    /// The name of the channel
    #[arg(value_name = "NAME")]
    name: String,
    /// Time between two looks, in seconds or such as 100ms
    #[arg(long, value_name = "TIME", value_parser = duration::between_looks, default_value = "1s")]
    interval: Duration,
    /// End after so many looks, 1 at least
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each look as JSON: what 'stat' prints, and the rate
    #[arg(long)]
    json: bool,
}

/// A look at the channel.
#[derive(Debug, Serialize)]
struct Look {
    #[serde(flatten)]
    seen: Seen,
    /// Since the look before; null at the first.
    messages_per_second: Option<u64>,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let channel = look_at(&self.name)?;
        let mut before: Option<(u64, Instant)> = None;
        let mut left = self.count.unwrap_or(u64::MAX);
        loop {
            let (seen, now) = (Seen::of(&channel)?, Instant::now());
            let rate =
                before.and_then(|(sent, then)| output::bytes_per_second(seen.sent - sent.min(seen.sent), now - then));
            before = Some((seen.sent, now));
            let look = Look { seen, messages_per_second: rate };
            let printed = if self.json { format!("{}\n", serde_json::to_string(&look)?) } else { look.text() };
            left -= 1;
            if output::print(&printed)? == output::Reader::Gone || left == 0 || channel.object().is_removed()? {
                return Ok(Answer::Yes);
            }
            interrupt.wait(Some(self.interval)).context("waiting for a signal")?;
            if interrupt.is_set() {
                return Ok(Answer::Yes);
            }
        }
    }
}

impl Look {
    fn text(&self) -> String {
        let rate = self.messages_per_second.map_or_else(|| "-".to_owned(), |rate| rate.to_string());
        let lags: Vec<String> =
            self.seen.receivers.iter().filter_map(|end| end.lag).map(|lag| lag.to_string()).collect();
        let lags = if lags.is_empty() { "no receiver".to_owned() } else { format!("lag {}", lags.join(" ")) };
        format!("{} sent, {rate}/s, {} there, {lags}\n", self.seen.sent, self.seen.fill)
    }
}
