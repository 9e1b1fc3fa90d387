//! Registers of a target: which are meant, what they hold, and how that is shown.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use mapio_device::register::{Block, Field, Read, Register};
use mapio_device::{RegisterIo, System, Trace, Width};
use serde::Serialize;

use super::spacing::Spacing;
use super::target::{self, Enabling, Named, Room, Target};
use crate::output;

/// How a target is accessed.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Names of the registers there, such as 16550; default: what the target has by its kind
    #[arg(long, value_name = "BLOCK", value_parser = target::block)]
    block: Option<&'static Block>,
    /// Bits of an access: 8, 16, 32 or 64; default: the registers', 8 for ports, else 32
    #[arg(long, value_name = "BITS", value_parser = width)]
    width: Option<Width>,
    #[command(flatten)]
    spacing: Spacing,
    /// Enable a PCI device first, and leave it so
    #[arg(long)]
    enable: bool,
    /// Print each access to standard error
    #[arg(long)]
    trace: bool,
    /// The folder in which sys and dev are, instead of the root
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

/// One register, or one access without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// In bytes from the target.
    pub(super) offset: usize,
    pub(super) width: Width,
    /// And the index in it.
    pub(super) register: Option<(&'static Register, usize)>,
    /// If only that is meant.
    pub(super) field: Option<&'static Field>,
}

/// Reads the bits of an access, as an argument.
fn width(text: &str) -> Result<Width, String> {
    let bits: Option<usize> = text.parse().ok().filter(|bits: &usize| bits.is_multiple_of(8));
    bits.and_then(|bits| Width::from_bytes(bits / 8)).ok_or_else(|| "an access has 8, 16, 32 or 64 bits".to_owned())
}

impl Options {
    /// The block at the target, if anybody has named one.
    pub(super) fn block(&self, target: &Target) -> anyhow::Result<Option<&'static Block>> {
        let block = match (self.block, target.block) {
            (Some(block), _) => Some(block),
            (None, Some(name)) => Some(target::block(name).map_err(anyhow::Error::msg)?),
            (None, None) => None,
        };
        self.spacing.check(block)?;
        Ok(block)
    }

    /// The registers that are meant, `count` of them one behind the other. Takes no memory for each.
    pub(super) fn places(&self, target: &Target, count: usize) -> anyhow::Result<Places> {
        let block = self.block(target)?;
        let Some(named) = &target.register else {
            self.spacing.check_unnamed()?;
            let width = self.access_width(target);
            // The end is a number of bytes, too.
            count.checked_mul(width.bytes()).context("the range is too long")?;
            return Ok(Places { indices: 0..count, kind: Kind::Accesses(width, block) });
        };
        let block =
            block.with_context(|| format!("{} has no names of its own: --block names its registers", target.name))?;
        self.named(block, named, count)
    }

    /// The width of an access without a name: what was said, or that of all registers of the block, or of the target.
    pub(super) fn access_width(&self, target: &Target) -> Width {
        let block = self.surroundings(target).map(|(block, _)| block);
        let first = block.and_then(|block| block.registers.first().map(|register| register.width));
        let common = first.filter(|first| block.into_iter().flat_map(|b| b.registers).all(|r| r.width == *first));
        self.width.or(common).unwrap_or(target.usual_width())
    }

    /// The block in which the target is, and how far into it.
    fn surroundings(&self, target: &Target) -> Option<(&'static Block, usize)> {
        let (name, offset) = match self.block {
            Some(block) => return Some((block, 0)),
            None => target.inside?,
        };
        target::block(name).ok().zip(usize::try_from(offset).ok())
    }

    /// The register that an access reads, and changes the device by that, as far as is known. One that may be another
    /// register just now, and nothing tells, counts.
    pub(super) fn effect(&self, target: &Target, place: &Place, bus: &dyn RegisterIo) -> Option<&'static Register> {
        let (block, start) = self.surroundings(target)?;
        let first = start.checked_add(place.offset)?;
        let end = first.checked_add(place.width.bytes())?;
        let is_read = |register: &&Register| {
            let elements = (0..register.count).map(|index| register.offset + index * register.stride);
            let mut elements = elements.map(|at| at..at + register.width.bytes());
            register.read == Read::Effect && elements.any(|element| element.start < end && first < element.end)
        };
        let mut candidates = block.registers.iter().filter(is_read);
        candidates.find(|register| start != 0 || is_there(block, register, bus))
    }

    /// The same place with the register that is read there just now, where there are several and the device tells.
    pub(super) fn settled(&self, target: &Target, place: Place, bus: &dyn RegisterIo) -> anyhow::Result<Place> {
        let Some(block) = self.block(target)?.filter(|_| place.register.is_none()) else { return Ok(place) };
        let is_read = |register: &Register| register.read != Read::None && is_there(block, register, bus);
        let mut known = block.at(place.offset, place.width).filter(|(register, _)| is_read(register));
        let register = known.next().filter(|_| known.next().is_none());
        Ok(Place { register, ..place })
    }

    /// Refuses an access that is made again and again, and would change the device each time, whatever its name.
    pub(super) fn refuse_watching(&self, target: &Target, place: &Place, bus: &dyn RegisterIo) -> anyhow::Result<()> {
        let Some(register) = self.effect(target, place, bus) else { return Ok(()) };
        anyhow::bail!("reading {} changes the device each time: --force", register.name)
    }

    /// Refuses accesses without a name of which one would change the device by reading, before any of them is made.
    /// `instead` is what to do.
    pub(super) fn refuse_effects(
        &self,
        target: &Target,
        places: &Places,
        bus: &dyn RegisterIo,
        instead: &str,
    ) -> anyhow::Result<()> {
        if places.is_named() || self.surroundings(target).is_none() {
            return Ok(());
        }
        for place in places.iter() {
            let Some(register) = self.effect(target, &place, bus) else { continue };
            let offset = target.offset.saturating_add(u64::try_from(place.offset)?);
            anyhow::bail!("{offset:#06x} is {}, and reading it changes the device: {instead}", register.name);
        }
        Ok(())
    }

    /// The same by name.
    fn named(&self, block: &'static Block, named: &Named, count: usize) -> anyhow::Result<Places> {
        let name = &named.register;
        let register =
            block.register(name).with_context(|| format!("the block '{}' has no register '{name}'", block.name))?;
        let field = |field: &String| {
            register.field(field).with_context(|| format!("the register {} has no field '{field}'", register.name))
        };
        let field = named.field.as_ref().map(field).transpose()?;
        if let Some(width) = self.width.filter(|width| *width != register.width) {
            anyhow::bail!("the register {} has {}, and not {width}", register.name, register.width);
        }
        let first = named.index.unwrap_or(0);
        let end = first.checked_add(count).filter(|end| *end <= register.count);
        let end = end.with_context(|| match register.count {
            1 => format!("the register {} is only one", register.name),
            all => format!("there are {all} registers {}", register.name),
        })?;
        Ok(Places { indices: first..end, kind: Kind::Elements(register, field) })
    }

    /// Opens as much of the target as these places take. Each register must be there now: another one would be accessed
    /// in its place.
    pub(super) fn open(&self, target: &Target, places: &Places) -> anyhow::Result<Box<dyn RegisterIo>> {
        // By a name, all of them are of one register; by an offset, whichever is there is meant.
        let Kind::Elements(register, _) = places.kind else {
            return self.open_unnamed(target, Room::exactly(places.end()));
        };
        let block = self.block(target)?;
        let condition = block.and_then(|block| block.condition(register));
        let deciding = condition.and_then(|condition| condition.register.end()).unwrap_or(0);
        let bus = self.open_room(target, Room::exactly(places.end().max(deciding)))?;
        anyhow::ensure!(
            block.is_none_or(|block| is_there(block, register, &*bus)),
            "the register {} is only there when {}",
            register.name,
            register.when
        );
        Ok(bus)
    }

    /// Opens so much of the target for accesses without a name, and behind it, where the device reaches so far, the
    /// registers that decide which others are there.
    pub(super) fn open_unnamed(&self, target: &Target, room: Room) -> anyhow::Result<Box<dyn RegisterIo>> {
        self.spacing.check_unnamed()?;
        let deciding = |block: &'static Block| {
            let accessed = block.registers.iter().filter(|register| register.offset < room.most());
            accessed.filter_map(|register| block.condition(register)?.register.end()).max()
        };
        let deciding = self.block(target)?.and_then(deciding).unwrap_or(0);
        self.open_room(target, room.and_up_to(deciding))
    }

    /// Opens so much of the target.
    pub(super) fn open_room(&self, target: &Target, room: Room) -> anyhow::Result<Box<dyn RegisterIo>> {
        let enabling = if self.enable { Enabling::Enable } else { Enabling::AsItIs };
        let bus = self.spacing.open(target, &self.system(), room, enabling)?;
        if !self.trace {
            return Ok(bus);
        }
        let trace = Trace::new(bus).keep(0).tell(|record| output::complain_plain(&record.to_string()));
        Ok(match self.block(target)? {
            Some(block) => Box::new(trace.block(block)),
            None => Box::new(trace),
        })
    }

    /// Where the system's folders are.
    pub(super) fn system(&self) -> System {
        self.root.as_ref().map_or_else(System::default, System::at)
    }

    /// The same, but nothing is enabled.
    pub(super) fn without_enabling(&self) -> Self {
        Self { enable: false, root: self.root.clone(), ..*self }
    }
}

/// Registers, or accesses without a name, one behind the other; at least one.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Of the elements of the register, or of the accesses.
    indices: Range<usize>,
    kind: Kind,
}

/// What places are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Elements of a register, or of them a field.
    Elements(&'static Register, Option<&'static Field>),
    /// Accesses of this width, and the block that they are in.
    Accesses(Width, Option<&'static Block>),
}

impl Places {
    /// How many.
    pub(super) fn count(&self) -> usize {
        self.indices.len()
    }

    /// In ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Place> {
        let kind = self.kind;
        self.indices.clone().map(move |index| kind.place(index))
    }

    pub(super) fn first(&self) -> Place {
        self.kind.place(self.indices.start)
    }

    pub(super) fn last(&self) -> Place {
        self.kind.place(self.indices.end.saturating_sub(1))
    }

    /// The byte behind the last one.
    fn end(&self) -> usize {
        let last = self.last();
        last.offset.saturating_add(last.width.bytes())
    }

    /// Whether they have been asked for by a name.
    fn is_named(&self) -> bool {
        matches!(self.kind, Kind::Elements(..))
    }
}

impl Kind {
    fn place(self, index: usize) -> Place {
        match self {
            Self::Elements(register, field) => Place { field, ..Place::of(register, index) },
            Self::Accesses(width, block) => {
                // `places` has checked that the end of all of them is a number.
                let offset = index * width.bytes();
                // Nothing says which of several is meant, so it has no name.
                let mut known = block.into_iter().flat_map(|block| block.at(offset, width));
                let register = known.next().filter(|_| known.next().is_none());
                Place { offset, width, register, field: None }
            }
        }
    }
}

/// Whether the register is the one at its offset now, as far as that can be found out without changing the device.
pub(super) fn is_there(block: &'static Block, register: &Register, bus: &dyn RegisterIo) -> bool {
    let Some(condition) = block.condition(register) else { return true };
    let deciding = condition.register;
    let now = deciding.is_safe_to_read().then(|| bus.read(deciding.offset, deciding.width).ok()).flatten();
    now.is_none_or(|now| condition.holds(now))
}

impl Place {
    /// A register of a block.
    pub(super) fn of(register: &'static Register, index: usize) -> Self {
        let offset = register.offset + index * register.stride;
        Self { offset, width: register.width, register: Some((register, index)), field: None }
    }

    /// Reads it; all of the register, also for a field.
    pub(super) fn read(&self, bus: &dyn RegisterIo) -> anyhow::Result<u64> {
        if let Some((register, _)) = self.register.filter(|(register, _)| register.read == Read::None) {
            anyhow::bail!("the register {} can't be read", register.name);
        }
        Ok(bus.read(self.offset, self.width)?)
    }

    /// What is meant of the register's value.
    pub(super) fn part(&self, register: u64) -> u64 {
        self.field.map_or(register, |field| field.get(register))
    }

    /// What it is called: its register, or the address that it has on the target.
    pub(super) fn label(&self, target: &Target) -> String {
        let Some((register, index)) = self.register else {
            let offset = u64::try_from(self.offset).unwrap_or(u64::MAX);
            return format!("{:#06x}", target.offset.saturating_add(offset));
        };
        let mut label = register.name.to_owned();
        if register.count > 1 {
            let _ = write!(label, "[{index}]");
        }
        if let Some(field) = self.field {
            let _ = write!(label, ".{}", field.name);
        }
        label
    }

    /// A value of it in words: `0x83`, of a field `3 (8 bits)`.
    pub(super) fn value_text(&self, value: u64) -> String {
        match self.field {
            None => format!("{value:#0digits$x}", digits = 2 + 2 * self.width.bytes()),
            Some(field) => match field.value_name(value) {
                Some(name) => format!("{value:#x} ({name})"),
                None => format!("{value:#x}"),
            },
        }
    }

    /// The line that shows a value: `LCR = 0x83 WLS=3 (8 bits) DLAB=1`.
    pub(super) fn line(&self, target: &Target, value: u64) -> String {
        let mut line = format!("{} = {}", self.label(target), self.value_text(value));
        let with_fields = self.register.filter(|(register, _)| self.field.is_none() && !register.fields.is_empty());
        if let Some((register, _)) = with_fields {
            let _ = write!(line, " {}", register.decode(value));
        }
        line
    }

    /// The same as JSON; without a value, the register is not there.
    pub(super) fn json(&self, target: &Target, value: Option<u64>) -> PlaceJson {
        let shown = self.register.filter(|_| self.field.is_none());
        let fields = |value| {
            let fields =
                shown.into_iter().flat_map(|(register, _)| register.fields.iter().map(move |field| (register, field)));
            fields.map(|(register, field)| FieldJson::new(field, register, value)).collect()
        };
        PlaceJson {
            target: target.name.clone(),
            offset: self.offset,
            width: self.width.bits(),
            register: self.register.map(|(register, _)| register.name),
            index: self.register.map(|(_, index)| index),
            field: self.field.map(|field| field.name),
            value,
            hex: value.map(|value| format!("{value:#x}")),
            meaning: self.field.zip(value).and_then(|(field, value)| field.value_name(value)),
            fields: value.map_or_else(Vec::new, fields),
        }
    }
}

/// A value, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct PlaceJson {
    target: String,
    /// In bytes from the target; of registers that stand apart, as if they stood side by side.
    offset: usize,
    /// In bits.
    width: u32,
    register: Option<&'static str>,
    index: Option<usize>,
    field: Option<&'static str>,
    /// `None` while another register is there.
    value: Option<u64>,
    /// The value in hexadecimal, for those whose numbers end at 2^53.
    hex: Option<String>,
    meaning: Option<&'static str>,
    fields: Vec<FieldJson>,
}

/// A field of a register, as JSON.
#[derive(Debug, Serialize)]
struct FieldJson {
    name: &'static str,
    value: u64,
    meaning: Option<&'static str>,
    /// What writing does to it, where that is not what it does to the register.
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<String>,
}

impl FieldJson {
    fn new(field: &'static Field, register: &Register, value: u64) -> Self {
        let write = field.own_write(register).map(|write| write.to_string());
        let value = field.get(value);
        Self { name: field.name, value, meaning: field.value_name(value), write }
    }
}

#[cfg(test)]
mod tests {
    use mapio_device::model::{Memory, Simulated};
    use mapio_device::registers;

    use super::*;

    registers! {
        /// A first register that is one of two.
        block Banked "banked", 0x10 bytes {
            /// As long as the bit is 0.
            first: First "FIRST" @ 0: u8 { read effect, write plain } when "CTRL.BANK=0"
            /// As long as it is 1.
            second: Second "SECOND" @ 0: u8 { read pure, write plain } when "CTRL.BANK=1"
            /// Chooses.
            control: Control "CTRL" @ 4: u16 { read pure, write plain } fields {
                /// Which.
                bank with_bank "BANK" [15] = { 0 "first", 1 "second" },
            }
            /// Three.
            triple: Triple "TRIPLE" @ 8 [3; 2]: u16 { read pure, write plain }
        }
    }

    const BANKED: &Block = &Banked::BLOCK;

    fn options(width: Option<Width>) -> Options {
        Options { block: Some(BANKED), width, spacing: Spacing::default(), enable: false, trace: false, root: None }
    }

    fn target(text: &str) -> Target {
        target::parse(text).expect("a target")
    }

    #[test]
    fn places_are_registers_by_name_or_accesses_by_offset() {
        let at = |text: &str, width, count| {
            let target = target(text);
            let places = options(width).places(&target, count)?;
            Ok(places.iter().map(|place| (place.offset, place.width, place.label(&target))).collect::<Vec<_>>())
        };
        let good =
            |text: &str, width, count| at(text, width, count).unwrap_or_else(|error: anyhow::Error| panic!("{error}"));
        assert_eq!(
            good("sim:pci.TRIPLE[1]", None, 2),
            [(10, Width::U16, "TRIPLE[1]".into()), (12, Width::U16, "TRIPLE[2]".into())]
        );
        assert_eq!(good("sim:pci.ctrl.bank", None, 1), [(4, Width::U16, "CTRL.BANK".into())]);
        // Two registers of one byte are at 0, and none of four.
        assert_eq!(
            good("0x1000", Some(Width::U8), 2),
            [(0, Width::U8, "0x1000".into()), (1, Width::U8, "0x1001".into())]
        );
        assert_eq!(good("0x1000", None, 1), [(0, Width::U32, "0x1000".into())]);
        assert_eq!(good("0x1000", Some(Width::U16), 3)[2], (4, Width::U16, "CTRL".into()));
        for (text, width, count) in
            [("sim:pci.TRIPLE[2]", None, 2), ("sim:pci.FIRST", None, 2), ("sim:pci.FIRST", Some(Width::U16), 1)]
        {
            assert!(at(text, width, count).is_err(), "{text}");
        }
    }

    #[test]
    fn a_register_that_is_not_there_is_not_accessed_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image");
        let open = |register: &str, control: u16| {
            let mut bytes = [0; 0x10];
            bytes[4..6].copy_from_slice(&control.to_le_bytes());
            std::fs::write(&path, bytes).expect("room");
            let target = target(&format!("file:{}.{register}", path.display()));
            let places = options(None).places(&target, 1).expect("there is one");
            options(None).open(&target, &places).map(|bus| bus.len()).map_err(|error| error.to_string())
        };
        let absent = |text: &str| Err(text.to_owned());
        assert_eq!(open("FIRST", 0), Ok(6), "with what decides");
        assert_eq!(open("FIRST", 0x8000), absent("the register FIRST is only there when CTRL.BANK=0"));
        assert_eq!(open("SECOND", 0), absent("the register SECOND is only there when CTRL.BANK=1"));
        assert_eq!((open("SECOND", 0x8000), open("TRIPLE", 0)), (Ok(6), Ok(10)));
        let bus = Simulated::new(Memory::new(vec![0; 0x10]));
        let there = BANKED.registers.iter().map(|register| is_there(BANKED, register, &bus)).collect::<Vec<_>>();
        assert_eq!(there, [true, false, true, true]);
    }

    #[test]
    fn values_are_shown_in_their_width_with_meanings() {
        let control = Place::of(&BANKED.registers[2], 0);
        let target = target("sim:pci");
        assert_eq!(control.line(&target, 0x8001), "CTRL = 0x8001 BANK=1 (second)");
        let bank = Place { field: BANKED.registers[2].field("BANK"), ..control };
        assert_eq!((bank.part(0x8001), bank.line(&target, 1)), (1, "CTRL.BANK = 0x1 (second)".to_owned()));
        let json = serde_json::to_value(control.json(&target, Some(0x8000))).expect("JSON");
        assert_eq!((&json["hex"], &json["fields"][0]["meaning"]), (&"0x8000".into(), &"second".into()));
    }
}
