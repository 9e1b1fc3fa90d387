//! `mapio device watch`.

use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mapio_device::RegisterIo;
use mapio_device::register::Block;

use super::place::{Options, Place, is_there};
use super::target::{self, Room, Target};
use crate::duration;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer, Reader};

// ECMA-48, 8.3.22 CUU, 8.3.41 EL, 8.3.117 SGR.
const ERASE_LINE: &str = "\x1b[K";
const HIGHLIGHT: &str = "\x1b[7m";
const PLAIN: &str = "\x1b[0m";

/// Show registers again and again until Ctrl-C
///
/// Those that are named, or all of a block that can be read without an effect. On a terminal they are drawn in place,
/// with what has changed since the last look highlighted; elsewhere first all, then a line for each change. Changes
/// that are undone between two looks are not seen.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio device watch com1 --interval 100ms")]
pub(super) struct Arguments {
    /// What to watch, as mapio device --help tells
    #[arg(value_name = "TARGET", value_parser = target::parse)]
    target: Target,
    #[command(flatten)]
    options: Options,
    /// Time between two looks, in seconds or such as 100ms; default: 0.5
    #[arg(long, value_name = "TIME", value_parser = duration::between_looks, default_value = "0.5", hide_default_value = true)]
    interval: Duration,
    /// Look so many times only
    #[arg(long, value_name = "N")]
    count: Option<NonZero<u64>>,
    /// Read also what changes the device by that
    #[arg(long)]
    force: bool,
    /// Print each change as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let (places, bus) = self.open()?;
        let block = self.options.block(&self.target)?;
        let in_place = io::stdout().is_terminal() && !self.json;
        let mut before: Option<Vec<Option<u64>>> = None;
        let mut looks = 0;
        loop {
            let values = places.iter().map(|place| look(place, block, &*bus));
            let values = values.collect::<anyhow::Result<Vec<_>>>()?;
            let reader = if in_place {
                output::print(&self.drawn(&places, before.as_deref(), &values))?
            } else {
                self.tell(&places, before.as_deref(), &values)?
            };
            before = Some(values);
            looks += 1;
            if reader == Reader::Gone || self.count.is_some_and(|count| looks >= count.get()) {
                return Ok(Answer::Yes);
            }
            interrupt.wait(Some(self.interval)).context("waiting for a signal")?;
            if interrupt.is_set() {
                return Ok(Answer::Yes);
            }
        }
    }

    /// What is watched.
    fn open(&self) -> anyhow::Result<(Vec<Place>, Box<dyn RegisterIo>)> {
        let (options, target) = (&self.options, &self.target);
        match options.block(target)?.filter(|_| target.register.is_none()) {
            None => {
                let places = options.places(target, 1)?;
                let bus = options.open(target, &places)?;
                if !self.force {
                    options.refuse_watching(target, &places.first(), &*bus)?;
                }
                Ok((places.iter().collect(), bus))
            }
            Some(block) => {
                let shown = block.registers.iter().filter(|register| register.is_safe_to_read());
                let places = shown.flat_map(|register| (0..register.count).map(|index| Place::of(register, index)));
                Ok((places.collect(), options.open_room(target, Room::exactly(block.len))?))
            }
        }
    }

    /// The picture that goes over the last one.
    fn drawn(&self, places: &[Place], before: Option<&[Option<u64>]>, now: &[Option<u64>]) -> String {
        let up = if before.is_some() { format!("\x1b[{}A", places.len()) } else { String::new() };
        let lines = places.iter().zip(now).enumerate().map(|(i, (place, value))| {
            let line = self.line(place, *value);
            let changed = before.is_some_and(|before| before[i] != *value);
            let (on, off) = if changed { (HIGHLIGHT, PLAIN) } else { ("", "") };
            format!("{on}{line}{off}{ERASE_LINE}\n")
        });
        up + &lines.collect::<String>()
    }

    fn line(&self, place: &Place, value: Option<u64>) -> String {
        match value {
            Some(value) => place.line(&self.target, value),
            None => format!("{} is not there now", place.label(&self.target)),
        }
    }

    /// A line for each change; at first for all.
    fn tell(&self, places: &[Place], before: Option<&[Option<u64>]>, now: &[Option<u64>]) -> anyhow::Result<Reader> {
        for (i, (place, value)) in places.iter().zip(now).enumerate() {
            if before.is_some_and(|before| before[i] == *value) {
                continue;
            }
            let line = match value {
                value if self.json => serde_json::to_string(&place.json(&self.target, *value))?,
                value => self.line(place, *value),
            };
            if output::print(&format!("{line}\n"))? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::Listening)
    }
}

/// What is meant of the place's value; `None` while another register is there.
fn look(place: &Place, block: Option<&'static Block>, bus: &dyn RegisterIo) -> anyhow::Result<Option<u64>> {
    let is_absent = block.zip(place.register).is_some_and(|(block, (register, _))| !is_there(block, register, bus));
    if is_absent {
        return Ok(None);
    }
    Ok(Some(place.part(place.read(bus)?)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use mapio_device::blocks;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn what_has_changed_is_highlighted_and_what_is_gone_is_told() {
        let Words { arguments } = Words::parse_from(["watch", "sim:pci"]);
        let block = blocks::find("pci").expect("it is built in");
        let places = [Place::of(&block.registers[0], 0), Place::of(&block.registers[4], 0)];
        let first = arguments.drawn(&places, None, &[Some(1), Some(2)]);
        assert_eq!(first, "VENDOR = 0x0001\x1b[K\nREVISION = 0x02\x1b[K\n");
        let second = arguments.drawn(&places, Some(&[Some(1), Some(2)]), &[Some(1), None]);
        let wanted = "\x1b[2AVENDOR = 0x0001\x1b[K\n\x1b[7mREVISION is not there now\x1b[0m\x1b[K\n";
        assert_eq!(second, wanted);
    }
}
