//! `mapio device dump`.

use std::fmt::Write as _;
use std::ops::Range;

use clap::Args;
use mapio_device::register::{Block, Read, Register};
use mapio_device::{RegisterIo, Width};
use serde::Serialize;

use super::place::{Options, Place, is_there};
use super::target::{self, Room, Target};
use crate::output::{self, Answer, Reader};
use crate::size;

/// Bytes that are shown if it is not said how many.
const SHOWN: usize = 256;
/// Bytes of a line.
const LINE_BYTES: usize = 16;

/// Show all registers of a block with their fields, or a range of bytes
///
/// With names where the block is known, by what the target is or by --block; otherwise in hexadecimal and as text. A
/// register, or a part of the range, is left out, and it is said why, if reading it would change the device, or if it
/// is not there as the device is set up.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio device dump com1
Example: mapio device dump 0xfed00000 --len 1k --width 32")]
pub(super) struct Arguments {
    /// What to show, as mapio device --help tells
    #[arg(value_name = "TARGET", value_parser = target::parse)]
    target: Target,
    #[command(flatten)]
    options: Options,
    /// How many bytes, without names; default: 256, or as many as there are
    #[arg(long, visible_alias = "length", value_name = "N", value_parser = size::bytes)]
    len: Option<u64>,
    /// Read also what changes the device by that
    #[arg(long)]
    force: bool,
    /// Print a line of JSON for each register
    #[arg(long)]
    json: bool,
}

/// A register that was left out, as JSON.
#[derive(Debug, Serialize)]
struct LeftOutJson<'a> {
    target: &'a str,
    offset: usize,
    /// In bits.
    width: u32,
    register: &'static str,
    index: Option<usize>,
    left_out: &'a str,
}

/// Why what changes the device by that is not read.
const EFFECT: &str = "reading it changes the device (--force)";

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let block = if self.len.is_some() { None } else { self.options.block(&self.target)? };
        let Some(block) = block else { return self.bytes() };
        anyhow::ensure!(self.target.register.is_none(), "a dump is of all registers: mapio device read shows one");
        let bus = self.options.open_room(&self.target, Room::exactly(block.len))?;
        let mut answer = Answer::Yes;
        for register in block.registers {
            let left_out = left_out(block, register, &*bus, self.force);
            for place in (0..register.count).map(|index| Place::of(register, index)) {
                if let Some(reason) = &left_out {
                    self.tell_left_out(&place, register, reason)?;
                    continue;
                }
                match place.read(&*bus) {
                    Ok(value) => self.tell(&place, value)?,
                    Err(error) => {
                        output::complain(&error.context(format!("reading {}", place.label(&self.target))));
                        answer = Answer::Partly;
                    }
                }
            }
        }
        Ok(answer)
    }

    fn tell(&self, place: &Place, value: u64) -> anyhow::Result<()> {
        if self.json {
            return output::json(&place.json(&self.target, Some(value)));
        }
        output::line(&lines(&self.target, place, value))
    }

    /// Tells that an access was left out, which would have been of this register.
    fn tell_left_out(&self, place: &Place, register: &Register, reason: &str) -> anyhow::Result<()> {
        if self.json {
            return output::json(&LeftOutJson {
                target: &self.target.name,
                offset: place.offset,
                width: place.width.bits(),
                register: register.name,
                index: place.register.map(|(_, index)| index),
                left_out: reason,
            });
        }
        let label = place.register.map_or_else(|| register.name.to_owned(), |_| place.label(&self.target));
        output::line(&format!("{:#06x} {label} left out: {reason}", place.offset))
    }

    /// A range without names.
    fn bytes(&self) -> anyhow::Result<Answer> {
        let target = &self.target;
        anyhow::ensure!(target.register.is_none(), "a register has a length of its own");
        let width = self.options.access_width(target);
        let room = match self.len {
            Some(len) => Room::exactly(usize::try_from(len)?),
            None => Room::up_to(SHOWN),
        };
        let bus = self.options.open_unnamed(target, room)?;
        let len = bus.len().min(room.most());
        if len == 0 {
            output::complain_as("mapio", format!("{} has no bytes", output::printable(&target.name)));
        }
        let rest = len % width.bytes();
        let is_whole = rest == 0 || target.is_file();
        anyhow::ensure!(is_whole, "{len:#x} bytes are no whole number of accesses of {width}");
        let end = len - rest;
        if self.range(&*bus, 0..end, width)? == Reader::Listening {
            // A file does not mind.
            self.range(&*bus, end..len, Width::U8)?;
        }
        Ok(Answer::Yes)
    }

    /// A part of it, in accesses of this width.
    fn range(&self, bus: &dyn RegisterIo, range: Range<usize>, width: Width) -> anyhow::Result<Reader> {
        for start in range.clone().step_by(LINE_BYTES) {
            let end = range.end.min(start.saturating_add(LINE_BYTES));
            if self.hex_or_json(bus, start..end, width)? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::Listening)
    }

    /// A line of it, and before it what is left out of it.
    fn hex_or_json(&self, bus: &dyn RegisterIo, range: Range<usize>, width: Width) -> anyhow::Result<Reader> {
        let mut values = Vec::new();
        for offset in range.clone().step_by(width.bytes()) {
            let place = Place { offset, width, register: None, field: None };
            let effect = self.options.effect(&self.target, &place, bus).filter(|_| !self.force);
            if let Some(register) = effect {
                self.tell_left_out(&place, register, EFFECT)?;
                values.push(None);
                continue;
            }
            let value = bus.read(offset, width)?;
            if self.json {
                let line = serde_json::to_string(&place.json(&self.target, Some(value)))?;
                if output::print(&format!("{line}\n"))? == Reader::Gone {
                    return Ok(Reader::Gone);
                }
            }
            values.push(Some(value));
        }
        if self.json {
            return Ok(Reader::Listening);
        }
        let start = self.target.offset.saturating_add(u64::try_from(range.start)?);
        output::print(&hex_line(start, width, &values))
    }
}

/// Why a register is left out; `None` if it is not.
fn left_out(block: &'static Block, register: &Register, bus: &dyn RegisterIo, force: bool) -> Option<String> {
    if register.read == Read::None {
        return Some("it can't be read".to_owned());
    }
    if !is_there(block, register, bus) {
        return Some(format!("it is only there when {}", register.when));
    }
    (register.read == Read::Effect && !force).then(|| EFFECT.to_owned())
}

/// The lines that show a register: its value, and each field with its meaning.
fn lines(target: &Target, place: &Place, value: u64) -> String {
    let text = place.register.map_or("", |(register, _)| register.text);
    let label = place.label(target);
    let mut lines = format!("{:#06x} {label} = {}  {text}", place.offset, place.value_text(value));
    for field in place.register.into_iter().flat_map(|(register, _)| register.fields) {
        let one = Place { field: Some(field), ..*place };
        let _ = write!(lines, "\n         {} = {}  {}", field.name, one.value_text(field.get(value)), field.text);
        if let Some(write) = place.register.and_then(|(register, _)| field.own_write(register)) {
            let _ = write!(lines, " ({write})");
        }
    }
    lines
}

/// Values in a line, with the address of the first, in hexadecimal and as text; dashes for what is left out.
fn hex_line(start: u64, width: Width, values: &[Option<u64>]) -> String {
    let digits = 2 * width.bytes();
    let columns = (LINE_BYTES / width.bytes()) * (digits + 1);
    let hex = values.iter().fold(String::new(), |mut hex, value| {
        let _ = match value {
            Some(value) => write!(hex, " {value:0digits$x}"),
            None => write!(hex, " {}", "-".repeat(digits)),
        };
        hex
    });
    let bytes = |value: &Option<u64>| value.unwrap_or(0).to_le_bytes().into_iter().take(width.bytes());
    let shown = |byte: u8| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' };
    let text: String = values.iter().flat_map(bytes).map(shown).collect();
    format!("{start:08x} {hex:<columns$}  |{text}|\n")
}

#[cfg(test)]
mod tests {
    use mapio_device::model::{Memory, Simulated};
    use mapio_device::registers;

    use super::*;

    registers! {
        /// Registers that are not to be shown.
        block Shy "shy", 0x8 bytes {
            /// Takes a byte.
            queue: Queue "QUEUE" @ 0: u8 { read effect, write none }
            /// Can't be read.
            blind: Blind "BLIND" @ 0: u8 { read none, write plain }
            /// Only sometimes.
            other: Other "OTHER" @ 0: u8 { read pure, write plain } when "CTRL.BANK=1"
            /// Chooses.
            control: Control "CTRL" @ 1: u8 { read pure, write plain } fields {
                /// Which.
                bank with_bank "BANK" [7],
                /// Whether it has changed.
                changed with_changed "CHANGED" [0] write ones_clear = { 1 "yes" },
            }
        }
    }

    const SHY: &Block = &Shy::BLOCK;

    #[test]
    fn what_is_not_there_or_changes_the_device_is_left_out() {
        let shown = |bank: u8, force: bool| {
            let bus = Simulated::new(Memory::new(vec![0, bank, 0, 0, 0, 0, 0, 0]));
            SHY.registers.iter().map(|register| left_out(SHY, register, &bus, force)).collect::<Vec<_>>()
        };
        let effect = Some("reading it changes the device (--force)".to_owned());
        let blind = Some("it can't be read".to_owned());
        let absent = Some("it is only there when CTRL.BANK=1".to_owned());
        assert_eq!(shown(0, false), [effect.clone(), blind.clone(), absent.clone(), None]);
        assert_eq!(shown(0x80, false), [effect, blind.clone(), None, None]);
        assert_eq!(shown(0, true), [None, blind, absent, None]);
    }

    #[test]
    fn a_field_that_is_written_in_its_own_way_says_so() {
        let register = SHY.registers.iter().find(|register| register.name == "CTRL").expect("there is one");
        let target = target::parse("sim:edu").expect("a target");
        let place = Place::of(register, 0);
        let text = lines(&target, &place, 0x81);
        let fields: Vec<_> = text.lines().skip(1).map(str::trim).collect();
        assert_eq!(fields, ["BANK = 0x1  Which.", "CHANGED = 0x1 (yes)  Whether it has changed. (ones clear)"]);
        let json = serde_json::to_value(place.json(&target, Some(0x81))).expect("it is data");
        assert_eq!(json["fields"][1]["write"], "ones clear");
        assert!(json["fields"][0].get("write").is_none());
    }

    #[test]
    fn a_line_has_sixteen_bytes_in_values_of_the_width() {
        let line =
            |width, values: &[u64]| hex_line(0x1000, width, &values.iter().copied().map(Some).collect::<Vec<_>>());
        assert_eq!(
            line(Width::U32, &[0x6463_6261, 0x1]),
            "00001000  64636261 00000001                    |abcd....|\n"
        );
        let bytes: Vec<u64> = (0x30..0x40).collect();
        let wanted = "00001000  30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|\n";
        assert_eq!(line(Width::U8, &bytes), wanted);
    }
}
