//! `mapio device write`.

use std::num::NonZero;

use anyhow::Context;
use clap::Args;
use mapio_device::RegisterIo;
use mapio_device::register::{Read, Register, Write};
use serde::Serialize;

use super::place::{Options, Place, PlaceJson, Places};
use super::question::{Consent, consent};
use super::target::{self, Target};
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};

/// Write registers
///
/// VALUE is a number, or the name that a field's value has. A field, and --mask, keep the register's other bits: they
/// are read first, and two accesses are made. Of a register whose bits are cleared or set by ones, only the field's
/// are written.
///
/// Writing to hardware can lose data and stop the machine, so it is asked about on a terminal before anything is read,
/// and refused without one, unless there is --yes. Exit status: 0 written, 1 not wanted, or --verify has read something
/// else, 2 error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: mapio device write sim:16550.LCR.DLAB=1 --verify --trace
Example: mapio device write 0xfe000000 0x55 --width 8 --yes")]
pub(super) struct Arguments {
    /// What to write to, as mapio device --help tells, and =VALUE unless that follows
    #[arg(value_name = "TARGET[=VALUE]")]
    assignment: String,
    /// What to write
    #[arg(value_name = "VALUE")]
    value: Option<String>,
    #[command(flatten)]
    options: Options,
    /// Write to so many, one behind the other; default: 1
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    count: NonZero<usize>,
    /// Change these bits only
    #[arg(long, value_name = "BITS", value_parser = target::number)]
    mask: Option<u64>,
    /// Read back what was written
    #[arg(long)]
    verify: bool,
    /// Read what is needed, and say what would be written
    #[arg(long)]
    dry_run: bool,
    /// Write to hardware without asking
    #[arg(long, short)]
    yes: bool,
    /// Print a line of JSON for each
    #[arg(long)]
    json: bool,
}

/// A write, as JSON.
#[derive(Debug, Serialize)]
struct WriteJson {
    #[serde(flatten)]
    place: PlaceJson,
    written: bool,
    /// All of the register, also of a field.
    register_value: u64,
    /// What was read back of the value.
    read_back: Option<u64>,
}

/// What is to be written to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// All of the register.
    register: u64,
    /// The bits that are meant, which are read back.
    mask: u64,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let (target, value) = self.parse()?;
        let places = self.options.places(&target, self.count.get())?;
        let value = number(&places.first(), &value)?;
        self.check(&target, &places.first(), value)?;
        let is_asked = target.is_real() && !self.yes && !self.dry_run;
        if is_asked && consent(&target.name, &question(&target, &places, value))? == Consent::Withheld {
            return Ok(Answer::No);
        }
        let bus = match self.dry_run {
            true => self.options.without_enabling().open(&target, &places)?,
            false => self.options.open(&target, &places)?,
        };
        // The first access comes after the last check.
        places.iter().try_for_each(|place| self.check(&target, &place, value))?;
        if self.mask.is_some() || self.verify {
            self.options.refuse_effects(&target, &places, &*bus, "write all of it, without --verify")?;
        }
        // The signals are caught once nobody is asked any more: Ctrl-C ends a question.
        let interrupt = Interrupt::catch().context("catching signals")?;
        let mut answer = Answer::Yes;
        for (written, place) in places.iter().enumerate() {
            let so_far = || format!("written {written} of {}", places.count());
            anyhow::ensure!(!interrupt.is_set(), "stopped by a signal: {}", so_far());
            let made =
                change(&place, &*bus, value, self.bits()).and_then(|change| self.write(&target, &place, &*bus, change));
            let made = if places.count() > 1 { made.with_context(so_far) } else { made };
            if made? == Answer::No {
                answer = Answer::No;
            }
        }
        Ok(answer)
    }

    /// The bits that are meant of each place's value.
    fn bits(&self) -> u64 {
        self.mask.unwrap_or(u64::MAX)
    }

    /// Refuses a value that does not fit the place, and bits that it does not have.
    fn check(&self, target: &Target, place: &Place, value: u64) -> anyhow::Result<()> {
        let (most, label) = (place.part(place.width.max()), place.label(target));
        anyhow::ensure!(value <= most, "{label} holds at most {most:#x}, and not {value:#x}");
        if let Some(mask) = self.mask {
            anyhow::ensure!(mask != 0, "--mask has no bits: nothing would be written");
            anyhow::ensure!(
                mask <= most,
                "--mask {mask:#x} has bits that {label} does not have, which holds {most:#x}"
            );
            anyhow::ensure!(value & !mask == 0, "{value:#x} has bits outside of --mask {mask:#x}");
        }
        if self.verify { verifiable(place, self.bits()) } else { Ok(()) }
    }

    /// The target, and the text of the value.
    fn parse(&self) -> anyhow::Result<(Target, String)> {
        let (target, value) = match (&self.value, self.assignment.rsplit_once('=')) {
            (Some(value), _) => (&*self.assignment, &**value),
            (None, Some(parts)) => parts,
            (None, None) => anyhow::bail!("there is no value: write TARGET=VALUE, or TARGET VALUE"),
        };
        Ok((target::parse(target).map_err(anyhow::Error::msg)?, value.to_owned()))
    }

    fn write(&self, target: &Target, place: &Place, bus: &dyn RegisterIo, change: Change) -> anyhow::Result<Answer> {
        let value = place.part(change.register);
        if !self.dry_run {
            bus.write(place.offset, place.width, change.register)?;
        }
        let read_back = if self.verify && !self.dry_run { Some(place.read(bus)?) } else { None };
        let differs = read_back.filter(|read| (read ^ change.register) & change.mask != 0);
        if self.json {
            output::json(&WriteJson {
                place: place.json(target, Some(value)),
                written: !self.dry_run,
                register_value: change.register,
                read_back: read_back.map(|read| place.part(read)),
            })?;
        } else if self.dry_run {
            let all = format!("{:#x}", change.register);
            let register = if place.field.is_some() { format!(", all of the register {all}") } else { String::new() };
            output::line(&format!("would write {}{register}", place.line(target, value)))?;
        } else if let Some(read) = differs {
            let read = place.part(read);
            let (label, read) = (place.label(target), place.value_text(read));
            output::line(&format!("{label}: wrote {}, read back {read}", place.value_text(value)))?;
        }
        Ok(if differs.is_some() { Answer::No } else { Answer::Yes })
    }
}

/// What is asked before hardware is written to, once for all places.
fn question(target: &Target, places: &Places, value: u64) -> String {
    let first = places.first();
    let what = format!("write {} to {}", first.value_text(value), first.label(target));
    match places.count() {
        1 => format!("{what} of {}?", target.name),
        count => format!("{what} to {} of {}, {count} writes?", places.last().label(target), target.name),
    }
}

/// A value for a place: a number, or the name of one.
fn number(place: &Place, text: &str) -> anyhow::Result<u64> {
    let values = place.field.map_or(&[][..], |field| field.values);
    match values.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
        Some((value, _)) => Ok(*value),
        None => target::number(text).map_err(anyhow::Error::msg),
    }
}

/// Refuses what can't be read back, or would change the device by that, or reads as something else. `bits` are those of
/// the register that are meant, if no field is.
fn verifiable(place: &Place, bits: u64) -> anyhow::Result<()> {
    let Some((register, _)) = place.register else { return Ok(()) };
    let meant = register.fields.iter().filter(|field| field.mask() & bits != 0);
    let write = match place.field {
        Some(field) => field.write,
        // Bits that are only read may still be what was written.
        None => meant
            .map(|field| field.write)
            .find(|write| !matches!(write, Write::None | Write::Plain))
            .unwrap_or(register.write),
    };
    if register.is_modifiable() && write == Write::Plain {
        return Ok(());
    }
    anyhow::bail!(
        "the register {} does not read as it was written ({}, {write}), so it can't be verified",
        register.name,
        register.read
    )
}

/// What is to be written so that the bits that are meant have the value, and all others stay as they are.
fn change(place: &Place, bus: &dyn RegisterIo, value: u64, bits: u64) -> anyhow::Result<Change> {
    let (mask, wanted) = match place.field {
        Some(field) => (field.mask() & (bits << field.shift.min(63)), field.with(0, value)),
        None => (place.width.max() & bits, value),
    };
    let plain = |register: &Register| anyhow::anyhow!("the register {} can't be written", register.name);
    let all = mask == place.width.max();
    let register = match place.register.map(|(register, _)| (register, register.write, register.read)) {
        Some((register, Write::None, _)) => return Err(plain(register)),
        Some(_) if place.field.is_some_and(|field| field.write == Write::None) => {
            anyhow::bail!("the field {} can't be written", place.field.map_or("", |field| field.name))
        }
        // Zeros keep bits there, and here ones.
        Some((_, Write::OnesClear | Write::OnesSet, _)) => wanted & mask,
        Some((_, Write::ZerosClear, _)) => (wanted & mask) | (place.width.max() & !mask),
        _ if all => wanted,
        None => (place.read(bus)? & !mask) | (wanted & mask),
        Some((register, Write::Plain, Read::Pure)) => {
            (register.without_effects(place.read(bus)?) & !mask) | (wanted & mask)
        }
        Some((register, ..)) => anyhow::bail!(
            "the register {} does not tell its other bits ({}, {}): write all of it",
            register.name,
            register.read,
            register.write
        ),
    };
    Ok(Change { register, mask })
}

#[cfg(test)]
mod tests {
    use mapio_device::model::{Memory, Simulated};
    use mapio_device::registers;

    use super::*;

    registers! {
        /// One register of each kind.
        block Kinds "kinds", 0x8 bytes {
            /// Plain.
            plain: Plain "PLAIN" @ 0: u8 { read pure, write plain } fields {
                /// The low half.
                low with_low "LOW" [0; 4] = { 2 "two" },
                /// The high half.
                high with_high "HIGH" [4; 4],
            }
            /// Ones clear.
            clear: Clear "CLEAR" @ 1: u8 { read pure, write ones_clear } fields {
                /// A bit.
                bit with_bit "BIT" [2],
            }
            /// Zeros clear.
            zeros: Zeros "ZEROS" @ 2: u8 { read pure, write zeros_clear } fields {
                /// A bit.
                one with_one "BIT" [2],
            }
            /// Can't be read.
            blind: Blind "BLIND" @ 3: u8 { read none, write plain } fields {
                /// A bit.
                only with_only "BIT" [2],
            }
            /// Can't be written.
            fixed: Fixed "FIXED" @ 4: u8 { read pure, write none }
            /// Reading takes it.
            queue: Queue "QUEUE" @ 5: u8 { read effect, write plain }
            /// Flags beside plain bits.
            mixed: Mixed "MIXED" @ 6: u8 { read pure, write plain } fields {
                /// Plain.
                on with_on "ON" [0],
                /// A one clears it.
                ones with_ones "ONES" [1; 3] write ones_clear,
                /// A zero clears it.
                naught with_naught "ZEROS" [4; 2] write zeros_clear,
                /// Only read.
                state with_state "STATE" [6] write none,
            }
        }
    }

    fn place(register: &str, field: Option<&str>) -> Place {
        let register = Kinds::BLOCK.register(register).expect("there is one");
        let register = Kinds::BLOCK.registers.iter().find(|known| *known == register).expect("the same");
        let field = field.map(|field| register.field(field).expect("there is one"));
        Place { field, ..Place::of(register, 0) }
    }

    #[test]
    fn a_field_keeps_what_is_beside_it() {
        let bus = Simulated::new(Memory::new(vec![0x5a; 8]));
        let change = |register: &str, field: Option<&str>, value: u64, bits: u64| {
            change(&place(register, field), &bus, value, bits).map(|change| (change.register, change.mask))
        };
        for (register, field, value, bits, wanted) in [
            ("PLAIN", None, 0x12, u64::MAX, (0x12, 0xff)),
            ("PLAIN", None, 0x12, 0x0f, (0x52, 0x0f)),
            ("PLAIN", Some("HIGH"), 0x1, u64::MAX, (0x1a, 0xf0)),
            ("PLAIN", Some("HIGH"), 0xf, 0x2, (0x7a, 0x20)),
            ("CLEAR", Some("BIT"), 1, u64::MAX, (0x04, 0x04)),
            ("ZEROS", Some("BIT"), 0, u64::MAX, (0xfb, 0x04)),
            ("ZEROS", Some("BIT"), 1, u64::MAX, (0xff, 0x04)),
            ("BLIND", None, 7, u64::MAX, (7, 0xff)),
            ("QUEUE", None, 7, u64::MAX, (7, 0xff)),
            // It holds 0x5a: ONES 5, ZEROS 1, STATE 1.
            ("MIXED", Some("ON"), 1, u64::MAX, (0x71, 0x01)),
            ("MIXED", None, 1, 0x01, (0x71, 0x01)),
            ("MIXED", Some("ONES"), 1, u64::MAX, (0x72, 0x0e)),
            ("MIXED", Some("ONES"), 1, 0x1, (0x72, 0x02)),
            ("MIXED", Some("ZEROS"), 2, u64::MAX, (0x60, 0x30)),
            ("MIXED", None, 0x5a, u64::MAX, (0x5a, 0xff)),
        ] {
            let made = change(register, field, value, bits).unwrap_or_else(|error| panic!("{register}: {error}"));
            assert_eq!(made, wanted, "{register} {field:?} {value:#x} {bits:#x}");
        }
        let refused = |register: &str, field| change(register, field, 1, 0x0f).expect_err(register).to_string();
        assert_eq!(refused("FIXED", None), "the register FIXED can't be written");
        let blind = "the register BLIND does not tell its other bits (no read, write): write all of it";
        assert_eq!((refused("BLIND", Some("BIT")), refused("BLIND", None)), (blind.to_owned(), blind.to_owned()));
        assert_eq!(refused("MIXED", Some("STATE")), "the field STATE can't be written");
        assert!(refused("QUEUE", None).contains("(read with effect, write)"));
        assert_eq!(bus.model().bytes(), [0x5a; 8]);
    }

    #[test]
    fn only_what_reads_as_it_was_written_is_verified() {
        for (register, field, bits) in [
            ("PLAIN", None, u64::MAX),
            ("PLAIN", Some("LOW"), u64::MAX),
            ("MIXED", Some("ON"), u64::MAX),
            ("MIXED", None, 0xc1),
        ] {
            assert!(verifiable(&place(register, field), bits).is_ok(), "{register} {field:?} {bits:#x}");
        }
        for register in ["CLEAR", "ZEROS", "BLIND", "QUEUE", "MIXED"] {
            assert!(verifiable(&place(register, None), u64::MAX).is_err(), "{register}");
        }
        for field in ["ONES", "ZEROS", "STATE"] {
            assert!(verifiable(&place("MIXED", Some(field)), u64::MAX).is_err(), "{field}");
        }
    }

    #[test]
    fn values_are_numbers_or_names_of_the_field() {
        let low = place("PLAIN", Some("LOW"));
        let read = |text: &str| number(&low, text).ok();
        assert_eq!(
            [read("3"), read("0x3"), read("TWO"), read("three"), read("-1")],
            [Some(3), Some(3), Some(2), None, None]
        );
    }
}
