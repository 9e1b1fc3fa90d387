//! What is accessed: `0xfe000000`, `pci:0000:00:03.0/bar0+0x20`, `com2.LCR.DLAB`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use mapio_device::pci::{self, Address, BarKind, Caching, Id, PciDevice};
use mapio_device::register::Block;
use mapio_device::uio::{UioDevice, UioInterrupt};
use mapio_device::{Error, Mmio, PortFile, Ports, RegisterIo, System, Width, blocks};

use super::simulated;

/// Ports that there are.
const PORTS: u64 = 0x1_0000;

/// What statfs(2) tells of /sys (Linux's include/uapi/linux/magic.h).
const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;

/// Devices of PCs that have always been at the same ports, and the blocks that they have.
const INSTANCES: [(&str, u64, &str); 7] = [
    ("com1", 0x3f8, "16550"),
    ("com2", 0x2f8, "16550"),
    ("com3", 0x3e8, "16550"),
    ("com4", 0x2e8, "16550"),
    ("lpt1", 0x378, "parallel"),
    ("lpt2", 0x278, "parallel"),
    ("lpt3", 0x3bc, "parallel"),
];

/// A device, a place in it, and perhaps a register there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// What was written before the register.
    pub(super) name: String,
    /// What was written before the offset.
    device_name: String,
    device: Device,
    /// Of the first byte, from the start of the device.
    pub(super) offset: u64,
    /// The block that is there by what the target is.
    pub(super) block: Option<&'static str>,
    /// The block of the device, and how far into it the target begins.
    pub(super) inside: Option<(&'static str, u64)>,
    pub(super) register: Option<Named>,
}

/// A register by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) register: String,
    pub(super) index: Option<usize>,
    pub(super) field: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Device {
    Memory,
    Ports,
    Pci(Which, PciSpace),
    Uio(usize, UioSpace),
    Framebuffer(usize),
    Simulated(&'static Block),
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    At(Address),
    Like(Id),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PciSpace {
    Config,
    Bar(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UioSpace {
    Map(usize),
    Ports(usize),
}

/// Whether a device that does not answer is made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enabling {
    /// It is used as it is.
    AsItIs,
    /// A PCI device is enabled, and stays so.
    Enable,
}

/// How many bytes are to be accessible.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// With fewer it is an error.
    least: usize,
    /// More are not opened; at least `least`.
    most: usize,
}

impl Room {
    /// So many, or it is an error.
    pub(super) fn exactly(len: usize) -> Self {
        Self { least: len, most: len }
    }

    /// So many, or as many as there are.
    pub(super) fn up_to(most: usize) -> Self {
        Self { least: 0, most }
    }

    /// The same, and more, up to so many, where they are.
    pub(super) fn and_up_to(self, most: usize) -> Self {
        Self { most: self.most.max(most), ..self }
    }

    /// The most that are opened.
    pub(super) fn most(self) -> usize {
        self.most
    }

    /// The same in another unit, of which no smaller number is a larger one.
    pub(super) fn map(self, unit: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        Some(Self { least: unit(self.least)?, most: unit(self.most)? })
    }
}

/// Where a device is, as the kernel knows it.
#[derive(Debug)]
pub(super) enum Site {
    /// From this port on.
    Ports(u64),
    /// From this address on.
    Memory(u64),
    Pci(PciDevice),
    /// Where no driver of the kernel's uses it besides.
    Elsewhere,
}

/// Reads a target, as an argument.
pub(super) fn parse(text: &str) -> Result<Target, String> {
    let (device, start, block, rest) = match text.split_once(':') {
        Some(("port", place)) => at_number(Device::Ports, place, text)?,
        Some(("pci", place)) => pci(place)?,
        Some(("uio", place)) => uio(place)?,
        Some(("fb", place)) => {
            let (number, rest) = cut(place);
            let number = number.parse().map_err(|_| format!("'{text}' does not begin as fb:0"))?;
            (Device::Framebuffer(number), 0, None, rest)
        }
        Some(("sim", place)) => {
            let (name, rest) = cut(place);
            let block = block(name)?;
            (Device::Simulated(block), 0, Some(block.name), rest)
        }
        Some(("file", place)) => {
            let end = cuts(place).find(|&end| PathBuf::from(&place[..end]).exists()).unwrap_or(place.len());
            (Device::File(place[..end].into()), 0, None, &place[end..])
        }
        Some((kind, _)) => return Err(format!("'{kind}:' is no kind of target: use port, pci, uio, fb, sim or file")),
        None if text.starts_with(|c: char| c.is_ascii_digit()) => at_number(Device::Memory, text, text)?,
        None => instance(text)?,
    };
    let name = &text[..text.len() - rest.len()];
    let (offset, register) =
        tail(rest).ok_or_else(|| format!("'{rest}' is not +OFFSET, .REGISTER or .REGISTER.FIELD"))?;
    let end = start.checked_add(offset).ok_or_else(|| format!("'{text}' is too far away"))?;
    let shown = if offset == 0 { name.to_owned() } else { format!("{name}+{offset:#x}") };
    let inside = block.map(|block| (block, offset));
    // The device's own block is at its beginning.
    let block = block.filter(|_| offset == 0);
    Ok(Target { name: shown, device_name: name.to_owned(), device, offset: end, block, inside, register })
}

/// A built-in block.
pub(super) fn block(name: &str) -> Result<&'static Block, String> {
    blocks::find(name).ok_or_else(|| format!("there is no block '{name}': mapio device list has all of them"))
}

/// Reads a number: hexadecimal behind 0x, else decimal.
pub(super) fn number(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match digits {
        Some(digits) if digits.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    };
    number.ok_or_else(|| format!("'{text}' is not a number such as 255 or 0xff"))
}

/// What the device is, where in it to begin, the block that it has, and the text behind that.
type Parsed<'a> = (Device, u64, Option<&'static str>, &'a str);

fn at_number<'a>(device: Device, place: &'a str, text: &str) -> Result<Parsed<'a>, String> {
    let (digits, rest) = cut(place);
    let start = number(digits).map_err(|_| format!("'{text}' does not begin with an address such as 0x3f8"))?;
    Ok((device, start, None, rest))
}

fn pci(place: &str) -> Result<Parsed<'_>, String> {
    let wrong = || format!("'pci:{place}' does not begin as pci:0000:00:03.0 or pci:1234:11e8");
    let head = place.split('/').next().unwrap_or_default();
    let which = |text: &str| {
        let address = text.parse().map(Which::At);
        address.or_else(|_| text.parse().map(Which::Like)).ok()
    };
    let (end, which) = cuts(head).find_map(|end| Some((end, which(&head[..end])?))).ok_or_else(wrong)?;
    let Some(space) = place[end..].strip_prefix('/') else {
        return Ok((Device::Pci(which, PciSpace::Config), 0, Some("pci"), &place[end..]));
    };
    let (space, rest) = cut(space);
    if space == "config" {
        return Ok((Device::Pci(which, PciSpace::Config), 0, Some("pci"), rest));
    }
    let bar = space.strip_prefix("bar").and_then(|bar| bar.parse().ok());
    let bar = bar.ok_or_else(|| format!("'{space}' is neither config nor a BAR such as bar0"))?;
    Ok((Device::Pci(which, PciSpace::Bar(bar)), 0, None, rest))
}

fn uio(place: &str) -> Result<Parsed<'_>, String> {
    let (head, rest) = cut(place);
    let (device, space) = head.split_once('/').unwrap_or((head, "map0"));
    let read = |prefix: &str| space.strip_prefix(prefix).and_then(|index| index.parse().ok());
    let space = read("map").map(UioSpace::Map).or_else(|| read("port").map(UioSpace::Ports));
    match (device.parse(), space) {
        (Ok(device), Some(space)) => Ok((Device::Uio(device, space), 0, None, rest)),
        _ => Err(format!("'uio:{place}' does not begin as uio:0, uio:0/map0 or uio:0/port0")),
    }
}

fn instance(text: &str) -> Result<Parsed<'_>, String> {
    let (name, rest) = cut(text);
    let found = INSTANCES.into_iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    let (_, port, block) = found.ok_or_else(|| {
        format!("'{name}' is no target: use an address such as 0xfe000000, port:, pci:, uio:, fb:, sim:, file: or com1")
    })?;
    Ok((Device::Ports, port, Some(block), rest))
}

/// The text before the first `.` or `+`, and from there on.
fn cut(text: &str) -> (&str, &str) {
    text.split_at(text.find(['.', '+']).unwrap_or(text.len()))
}

/// The ends that a name may have: that of the text, and each `.` or `+`; the longest first.
fn cuts(text: &str) -> impl Iterator<Item = usize> {
    let inner = text.match_indices(['.', '+']).map(|(at, _)| at);
    inner.chain([text.len()]).collect::<Vec<_>>().into_iter().rev()
}

/// Reads `+OFFSET.REGISTER[INDEX].FIELD`, of which everything may be missing.
fn tail(text: &str) -> Option<(u64, Option<Named>)> {
    let (offset, names) = text.split_at(text.find('.').unwrap_or(text.len()));
    let offset = if offset.is_empty() { 0 } else { number(offset.strip_prefix('+')?).ok()? };
    let Some(names) = names.strip_prefix('.') else { return Some((offset, None)) };
    let (register, field) = names.split_once('.').map_or((names, None), |(register, field)| (register, Some(field)));
    let (register, index) = match register.split_once('[') {
        Some((register, index)) => (register, Some(index.strip_suffix(']')?.parse().ok()?)),
        None => (register, None),
    };
    let is_named = !register.is_empty() && field.is_none_or(|field| !field.is_empty());
    is_named.then(|| (offset, Some(Named { register: register.to_owned(), index, field: field.map(str::to_owned) })))
}

impl Target {
    /// Whether writing to it changes something outside of this process and of regular files.
    pub(super) fn is_real(&self) -> bool {
        match &self.device {
            Device::Simulated(_) => false,
            // The kernel shows registers as files, too.
            Device::File(path) => rustix::fs::statfs(path).is_ok_and(|found| found.f_type == SYSFS_MAGIC),
            _ => true,
        }
    }

    /// Whether it is a model of this process.
    pub(super) fn is_simulated(&self) -> bool {
        matches!(self.device, Device::Simulated(_))
    }

    /// Whether it is a regular file's bytes.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.device, Device::File(_))
    }

    /// The device's interrupt, where the kernel hands it to programs.
    pub(super) fn interrupt(&self, system: &System) -> anyhow::Result<UioInterrupt> {
        let number = match &self.device {
            Device::Uio(number, _) => *number,
            Device::Pci(which, _) => {
                let number = Self::pci(system, *which)?.uio()?;
                number.with_context(|| format!("{} was not given to uio_pci_generic", self.name))?
            }
            _ => anyhow::bail!("{} has no interrupt that a program can wait for", self.name),
        };
        Ok(UioDevice::find(system, number)?.open()?.interrupt()?)
    }

    /// Where its first byte is.
    pub(super) fn site(&self, system: &System) -> anyhow::Result<Site> {
        Ok(match &self.device {
            Device::Ports => Site::Ports(self.offset),
            Device::Memory => Site::Memory(self.offset),
            Device::Pci(which, _) => Site::Pci(Self::pci(system, *which)?),
            Device::Uio(..) | Device::Framebuffer(_) | Device::Simulated(_) | Device::File(_) => Site::Elsewhere,
        })
    }

    fn pci(system: &System, which: Which) -> anyhow::Result<PciDevice> {
        Ok(match which {
            Which::At(address) => PciDevice::open(system, address)?,
            Which::Like(id) => pci::find(system, id)?,
        })
    }

    /// The width that most of its registers have.
    pub(super) fn usual_width(&self) -> Width {
        if self.device == Device::Ports { Width::U8 } else { Width::U32 }
    }

    /// Opens it, so that its first byte has offset 0.
    pub(super) fn open(&self, system: &System, room: Room, enabling: Enabling) -> anyhow::Result<Box<dyn RegisterIo>> {
        let start = self.offset;
        let end = |len| u64::try_from(len).ok().and_then(|len| start.checked_add(len)).context("the range is too long");
        let (least, most) = (end(room.least)?, end(room.most)?);
        match &self.device {
            Device::Memory => return Ok(Box::new(Mmio::open(system.path("/dev/mem"), start..most)?)),
            Device::Ports => return ports(system, start, most.min(PORTS).max(least)),
            _ => {}
        }
        let bus = self.whole(system, enabling)?;
        let left = usize::try_from(start).ok().and_then(|start| bus.len().checked_sub(start).map(|left| (start, left)));
        let has = || format!("{} has {:#x} bytes", self.device_name, bus.len());
        let (start, left) = left.with_context(|| format!("{}, and none at offset {start:#x}", has()))?;
        let least = room.least;
        anyhow::ensure!(least <= left, "{}, and not {least:#x} from offset {start:#x}", has());
        Ok(Box::new(Part { bus, start, len: left.min(room.most) }))
    }

    /// Refuses a BAR at whose addresses the device does not answer: all that is read there are ones.
    fn check_answers(&self, device: &PciDevice, index: usize) -> anyhow::Result<()> {
        let command = device.header()?.command().read()?;
        let answers = match device.bar(index)?.kind {
            BarKind::Memory { .. } => command.memory() == 1,
            BarKind::Ports => command.io() == 1,
        };
        anyhow::ensure!(answers, "{} is not enabled: --enable", self.device_name);
        Ok(())
    }

    /// All of a device that has an end.
    fn whole(&self, system: &System, enabling: Enabling) -> anyhow::Result<Box<dyn RegisterIo>> {
        Ok(match &self.device {
            Device::Memory | Device::Ports => unreachable!("they are opened in part"),
            Device::Pci(which, space) => {
                let device = Self::pci(system, *which)?;
                match space {
                    PciSpace::Config => Box::new(device.config()?),
                    PciSpace::Bar(index) => {
                        if enabling == Enabling::Enable {
                            device.enable()?;
                        }
                        self.check_answers(&device, *index)?;
                        device.open_bar(*index, Caching::Uncached)?
                    }
                }
            }
            Device::Uio(number, UioSpace::Map(index)) => {
                Box::new(UioDevice::find(system, *number)?.open()?.map(*index)?)
            }
            Device::Uio(number, UioSpace::Ports(index)) => {
                let device = UioDevice::find(system, *number)?;
                let range = device.ports.iter().find(|ports| ports.index == *index);
                let range = range.with_context(|| format!("/dev/uio{number} has no port{index}"))?;
                ports(system, range.start, range.start.saturating_add(range.count))?
            }
            Device::Framebuffer(number) => {
                let len = framebuffer_len(system, *number)?;
                Box::new(Mmio::open(system.path(format!("/dev/fb{number}")), 0..len)?)
            }
            Device::Simulated(block) => simulated::open(block),
            Device::File(path) => {
                let len = fs::metadata(path).with_context(|| format!("opening {}", path.display()))?.len();
                Box::new(Mmio::open(path, 0..len)?)
            }
        })
    }
}

/// Ports, by instructions where the kernel allows that, else through its file.
fn ports(system: &System, start: u64, end: u64) -> anyhow::Result<Box<dyn RegisterIo>> {
    anyhow::ensure!(end <= PORTS, "there are no ports {start:#x}..{end:#x}, but 0x0..{PORTS:#x}");
    let (first, last) = (u32::try_from(start)?, u32::try_from(end)?);
    let file = system.path("/dev/port");
    if *system == System::default() {
        match Ports::open(first..last) {
            Ok(ports) => return Ok(Box::new(ports)),
            // The kernel may allow the file what it does not allow the process.
            Err(Error::Os { .. }) if file.exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Box::new(PortFile::open(file, start..end)?))
}

/// Bytes of a framebuffer's picture.
fn framebuffer_len(system: &System, number: usize) -> anyhow::Result<u64> {
    let folder = system.path(format!("/sys/class/graphics/fb{number}"));
    let text = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let (stride, size) = (text("stride")?, text("virtual_size")?);
    let rows = size.trim().split_once(',').and_then(|(_, rows)| rows.parse::<u64>().ok());
    let len = stride.trim().parse::<u64>().ok().zip(rows).and_then(|(stride, rows)| stride.checked_mul(rows));
    len.with_context(|| format!("{} tells no size", folder.display()))
}

/// A part of a bus, whose first byte has offset 0.
struct Part {
    bus: Box<dyn RegisterIo>,
    start: usize,
    len: usize,
}

impl Part {
    fn place(&self, offset: usize, width: Width) -> Result<usize, Error> {
        let end = offset.checked_add(width.bytes()).filter(|end| *end <= self.len);
        // The sum is below the end of the bus, which `open` has compared.
        end.map(|_| self.start + offset).ok_or_else(|| Error::OutOfBounds {
            object: self.name().to_owned(),
            offset,
            width,
            len: self.len,
        })
    }
}

impl RegisterIo for Part {
    fn len(&self) -> usize {
        self.len
    }

    fn name(&self) -> &str {
        self.bus.name()
    }

    fn alignment(&self) -> usize {
        // Of offset 0, any: the address is the bus's own first one.
        let own = 1_usize.checked_shl(self.start.trailing_zeros()).unwrap_or(usize::MAX);
        own.min(self.bus.alignment())
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.bus.read(self.place(offset, width)?, width)
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.bus.write(self.place(offset, width)?, width, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(register: &str, index: Option<usize>, field: Option<&str>) -> Option<Named> {
        Some(Named { register: register.to_owned(), index, field: field.map(str::to_owned) })
    }

    #[test]
    fn targets_are_a_device_an_offset_and_a_register() {
        let read = |text: &str| {
            let target = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            (target.device, target.offset, target.block, target.register)
        };
        let at = |text: &str| Which::At(text.parse().expect("an address"));
        let like = |text: &str| Which::Like(text.parse().expect("an id"));
        let pci = blocks::find("pci").expect("it is built in");
        let cases = [
            ("0xfe000000", (Device::Memory, 0xfe00_0000, None, None)),
            ("0xfe000000+0x10.LCR", (Device::Memory, 0xfe00_0010, None, named("LCR", None, None))),
            ("port:0x2f8+5", (Device::Ports, 0x2fd, None, None)),
            ("pci:0000:00:03.0/bar2+0x20", (Device::Pci(at("00:03.0"), PciSpace::Bar(2)), 0x20, None, None)),
            ("pci:00:03.0", (Device::Pci(at("00:03.0"), PciSpace::Config), 0, Some("pci"), None)),
            (
                "pci:00:03.0.COMMAND.IO",
                (Device::Pci(at("00:03.0"), PciSpace::Config), 0, Some("pci"), named("COMMAND", None, Some("IO"))),
            ),
            (
                "pci:1234:11e8/config.BAR[3]",
                (Device::Pci(like("1234:11e8"), PciSpace::Config), 0, Some("pci"), named("BAR", Some(3), None)),
            ),
            ("uio:3", (Device::Uio(3, UioSpace::Map(0)), 0, None, None)),
            ("uio:3/port1+4", (Device::Uio(3, UioSpace::Ports(1)), 4, None, None)),
            ("fb:0+640", (Device::Framebuffer(0), 640, None, None)),
            ("sim:PCI.STATUS", (Device::Simulated(pci), 0, Some("pci"), named("STATUS", None, None))),
            ("COM2.LCR.DLAB", (Device::Ports, 0x2f8, Some("16550"), named("LCR", None, Some("DLAB")))),
            ("file:/no/such.bin", (Device::File("/no/such.bin".into()), 0, None, None)),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_file_is_the_longest_name_that_exists() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.b+4");
        fs::write(&path, [0; 64]).expect("room");
        let target = parse(&format!("file:{}+0x10.COMMAND", path.display())).expect("a target");
        assert_eq!((target.device, target.offset), (Device::File(path), 0x10));
        assert_eq!(target.register, named("COMMAND", None, None));
    }

    #[test]
    fn what_is_no_target_says_why() {
        for (bad, part) in [
            ("", "'' is no target"),
            ("com9", "'com9' is no target"),
            ("disk:0", "'disk:' is no kind of target"),
            ("0xzz", "does not begin with an address"),
            ("port:", "does not begin with an address"),
            ("0xffffffffffffffff+1", "is too far away"),
            ("pci:00:03", "does not begin as pci:0000:00:03.0"),
            ("pci:00:03.0/rom", "'rom' is neither config nor a BAR"),
            ("uio:x", "does not begin as uio:0"),
            ("fb:x", "does not begin as fb:0"),
            ("sim:toaster", "there is no block 'toaster'"),
            ("com1.", "is not +OFFSET"),
            ("com1.LCR.", "is not +OFFSET"),
            ("com1+x", "is not +OFFSET"),
            ("com1.LCR[", "is not +OFFSET"),
            ("com1+-1", "is not +OFFSET"),
        ] {
            let error = parse(bad).expect_err(bad);
            assert!(error.contains(part), "{bad}: {error}");
        }
    }
}
