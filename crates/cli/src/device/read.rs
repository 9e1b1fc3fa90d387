//! `mapio device read`.

use std::num::NonZero;

use clap::Args;

use super::place::Options;
use super::target::{self, Target};
use crate::output::{self, Answer, Reader};

/// Read registers
///
/// Each is one access of its width, in ascending order. What changes the device when it is read, as taking a byte out
/// of a queue does, is read by its name, or with --force.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio device read com1.LSR
Example: mapio device read 0xfed00000 --width 32 --count 4")]
pub(super) struct Arguments {
    /// What to read, as mapio device --help tells
    #[arg(value_name = "TARGET", value_parser = target::parse)]
    target: Target,
    #[command(flatten)]
    options: Options,
    /// Read so many, one behind the other; default: 1
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    count: NonZero<usize>,
    /// Show these bits only
    #[arg(long, value_name = "BITS", value_parser = target::number)]
    mask: Option<u64>,
    /// Read also what changes the device by that, without its name
    #[arg(long)]
    force: bool,
    /// Print a line of JSON for each
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let target = &self.target;
        let places = self.options.places(target, self.count.get())?;
        let bus = self.options.open(target, &places)?;
        if !self.force {
            self.options.refuse_effects(target, &places, &*bus, "read it by its name, or --force")?;
        }
        for place in places.iter() {
            let place = self.options.settled(target, place, &*bus)?;
            let value = place.part(place.read(&*bus)?) & self.mask.unwrap_or(u64::MAX);
            let line = match self.json {
                true => serde_json::to_string(&place.json(target, Some(value)))?,
                false => place.line(target, value),
            };
            if output::print(&format!("{line}\n"))? == Reader::Gone {
                break;
            }
        }
        Ok(Answer::Yes)
    }
}
