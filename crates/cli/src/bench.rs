//! `mapio bench`: ways of doing I/O beside each other, as figures, charts and pages.
//!
//! Each bench fills a [`Report`](report::Report) while it measures, and that is all they have in common.

mod access;
#[cfg_attr(windows, path = "sys/windows/bench/channel.rs")]
mod channel;
mod copy;
mod machine;
mod report;
#[cfg_attr(windows, path = "sys/windows/bench/serial.rs")]
mod serial;

use clap::Subcommand;

use crate::output::Answer;
use crate::size;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Copy(copy::Arguments),
    Access(access::Arguments),
    Channel(channel::Arguments),
    Serial(serial::Arguments),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        match self {
            Self::Copy(arguments) => arguments.run(),
            Self::Access(arguments) => arguments.run(),
            Self::Channel(arguments) => arguments.run(),
            Self::Serial(arguments) => arguments.run(),
        }
    }
}

/// The middle one of several values, or what is between the middle two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len.is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// A size in bytes on an axis, as the command line has it.
pub(crate) fn size_label(bytes: f64) -> String {
    size::text(nearest(bytes))
}

/// The nearest whole number.
#[expect(clippy::as_conversions, reason = "there is no other way to turn an f64 into an integer; it saturates")]
fn nearest(number: f64) -> usize {
    number.round() as usize
}
