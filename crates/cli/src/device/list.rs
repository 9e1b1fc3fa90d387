//! `mapio device list`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use mapio_device::pci::{self, BarKind, Names, PciDevice};
use mapio_device::uio::{self, UioDevice};
use mapio_device::{System, blocks};
use serde::Serialize;

use crate::output::{self, Answer, Reader};

/// The kinds of serial ports that the kernel tells by number (Linux's include/uapi/linux/serial_core.h).
const UARTS: [(u64, &str); 9] = [
    (1, "8250"),
    (2, "16450"),
    (3, "16550"),
    (4, "16550A"),
    (6, "16650"),
    (7, "16650V2"),
    (8, "16750"),
    (9, "Startech"),
    (32, "PL011"),
];

/// List the devices whose registers can be accessed, and the blocks that have names
///
/// PCI devices with their drivers and base address registers, UIO devices, framebuffers, serial and parallel ports.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio device list --json")]
pub(super) struct Arguments {
    /// Print everything as JSON, a device a line
    #[arg(long)]
    json: bool,
    /// The folder in which sys and dev are, instead of the root
    #[arg(long, value_name = "DIR", hide = true)]
    root: Option<PathBuf>,
}

/// A device, or a block, as JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Item {
    Pci {
        target: String,
        vendor: u16,
        device: u16,
        revision: u8,
        class: u32,
        class_name: Option<String>,
        vendor_name: Option<String>,
        device_name: Option<String>,
        driver: Option<String>,
        bars: Vec<BarJson>,
    },
    Uio {
        target: String,
        name: String,
        version: String,
        maps: Vec<RangeJson>,
        ports: Vec<RangeJson>,
    },
    Framebuffer {
        target: String,
        name: String,
        size: String,
        bits_per_pixel: Option<u64>,
    },
    Serial {
        device: String,
        chip: String,
        target: Option<String>,
        irq: Option<u64>,
    },
    Parallel {
        device: String,
        target: String,
    },
    Block {
        name: &'static str,
        text: &'static str,
        bytes: usize,
        registers: usize,
    },
}

#[derive(Debug, Serialize)]
struct BarJson {
    index: usize,
    space: &'static str,
    bits: Option<u32>,
    prefetchable: bool,
    addr: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct RangeJson {
    index: usize,
    name: String,
    start: u64,
    len: u64,
}

impl Arguments {
    pub(super) fn run(self) -> anyhow::Result<Answer> {
        let system = self.root.map_or_else(System::default, System::at);
        let mut answer = Answer::Yes;
        let mut items = Vec::new();
        // What can't be told of one kind is told, and the others are listed.
        let kinds = [pci(&system), uio(&system)];
        for kind in kinds {
            match kind {
                Ok(found) => items.extend(found),
                Err(error) => {
                    output::complain(&error);
                    answer = Answer::Partly;
                }
            }
        }
        items.extend(framebuffers(&system).into_iter().chain(serial(&system)).chain(parallel(&system)));
        items.extend(blocks::BLOCKS.iter().map(|block| Item::Block {
            name: block.name,
            text: block.text,
            bytes: block.len,
            registers: block.registers.len(),
        }));
        for item in &items {
            let line = if self.json { serde_json::to_string(item)? } else { item.text() };
            if output::print(&format!("{line}\n"))? == Reader::Gone {
                break;
            }
        }
        Ok(answer)
    }
}

fn pci(system: &System) -> anyhow::Result<Vec<Item>> {
    let names = Names::load(system)?;
    Ok(pci::devices(system)?.iter().map(|device| pci_item(device, &names)).collect())
}

fn pci_item(device: &PciDevice, names: &Names) -> Item {
    let bars = device.bars.iter().map(|bar| {
        let (space, bits, prefetchable) = match bar.kind {
            BarKind::Memory { bits, prefetchable } => ("memory", Some(bits), prefetchable),
            BarKind::Ports => ("ports", None, false),
        };
        BarJson { index: bar.index, space, bits, prefetchable, addr: bar.addr, bytes: bar.len }
    });
    Item::Pci {
        target: format!("pci:{}", device.address),
        vendor: device.id.vendor,
        device: device.id.device,
        revision: device.revision,
        class: device.class,
        class_name: names.class(device.class).map(str::to_owned),
        vendor_name: names.vendor(device.id).map(str::to_owned),
        device_name: names.device(device.id).map(str::to_owned),
        driver: device.driver(),
        bars: bars.collect(),
    }
}

fn uio(system: &System) -> anyhow::Result<Vec<Item>> {
    Ok(uio::devices(system)?.into_iter().map(uio_item).collect())
}

fn uio_item(device: UioDevice) -> Item {
    let maps = device.maps.into_iter();
    let maps = maps.map(|map| RangeJson { index: map.index, name: map.name, start: map.addr, len: map.size });
    let ports = device.ports.into_iter();
    let ports =
        ports.map(|range| RangeJson { index: range.index, name: range.name, start: range.start, len: range.count });
    Item::Uio {
        target: format!("uio:{}", device.number),
        name: device.name,
        version: device.version,
        maps: maps.collect(),
        ports: ports.collect(),
    }
}

fn framebuffers(system: &System) -> Vec<Item> {
    let folder = system.path("/sys/class/graphics");
    let screens = names(&folder)
        .into_iter()
        .filter_map(|name| Some((folder.join(&name), name.strip_prefix("fb")?.parse().ok()?)));
    let item = |(folder, number): (PathBuf, usize)| Item::Framebuffer {
        target: format!("fb:{number}"),
        name: text(&folder.join("name")).unwrap_or_default(),
        size: text(&folder.join("virtual_size")).unwrap_or_default().replace(',', "x"),
        bits_per_pixel: number_of(&folder.join("bits_per_pixel")),
    };
    screens.map(item).collect()
}

/// Serial ports that the kernel has found a chip behind.
fn serial(system: &System) -> Vec<Item> {
    let folder = system.path("/sys/class/tty");
    let item = |name: String| {
        let folder = folder.join(&name);
        let kind = number_of(&folder.join("type")).filter(|kind| *kind != 0)?;
        let chip = UARTS
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or_else(|| format!("type {kind}"), |(_, chip)| (*chip).into());
        let at = |file: &str| number_of(&folder.join(file)).filter(|at| *at != 0);
        let target = at("port").map(|port| format!("port:{port:#x}"));
        let target = target.or_else(|| at("iomem_base").map(|addr| format!("{addr:#x}")));
        Some(Item::Serial { device: format!("/dev/{name}"), chip, target, irq: at("irq") })
    };
    names(&folder).into_iter().filter_map(item).collect()
}

/// Parallel ports, by the ports that their driver has.
fn parallel(system: &System) -> Vec<Item> {
    let ports = text(&system.path("/proc/ioports")).unwrap_or_default();
    let item = |line: &str| {
        let (range, name) = line.trim().split_once(" : ")?;
        let number = name.strip_prefix("parport")?.parse::<usize>().ok()?;
        let start = u64::from_str_radix(range.split_once('-')?.0, 16).ok()?;
        Some(Item::Parallel { device: format!("/dev/parport{number}"), target: format!("port:{start:#x}") })
    };
    ports.lines().filter_map(item).collect()
}

/// What a file of the kernel holds; nothing where it is not there, or nobody may know.
fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn number_of(path: &Path) -> Option<u64> {
    super::target::number(&text(path)?).ok()
}

/// What is in a folder, sorted; nothing if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl Item {
    /// A line for people, and one for each range of registers.
    fn text(&self) -> String {
        match self {
            Self::Pci { target, vendor, device, class, class_name, vendor_name, device_name, driver, bars, .. } => {
                let class = class_name.clone().unwrap_or_else(|| format!("class {class:06x}"));
                let names: String =
                    [vendor_name, device_name].into_iter().flatten().map(|name| format!(" {name}")).collect();
                let driver =
                    driver.as_ref().map_or_else(|| "no driver".to_owned(), |driver| format!("driver {driver}"));
                let head = format!("{target}  {vendor:04x}:{device:04x}{names}, {class}, {driver}");
                lines(&head, bars.iter().map(BarJson::text))
            }
            Self::Uio { target, name, version, maps, ports } => {
                let maps = maps.iter().map(|range| range.text("map"));
                let ports = ports.iter().map(|range| range.text("port"));
                lines(&format!("{target}  {name} {version}"), maps.chain(ports))
            }
            Self::Framebuffer { target, name, size, bits_per_pixel } => {
                let bits = bits_per_pixel.map_or_else(String::new, |bits| format!(", {bits} bits a pixel"));
                output::printable(&format!("{target}  {name}, {size}{bits}"))
            }
            Self::Serial { device, chip, target, irq } => {
                let at = target.as_ref().map_or_else(String::new, |target| format!(" at {target}"));
                let irq = irq.map_or_else(String::new, |irq| format!(", interrupt {irq}"));
                output::printable(&format!("{device}  serial port, {chip}{at}{irq}"))
            }
            Self::Parallel { device, target } => format!("{device}  parallel port at {target}"),
            Self::Block { name, text, bytes, registers } => {
                format!("block {name}  {text} {registers} registers in {bytes:#x} bytes")
            }
        }
    }
}

/// A line, and others below it.
fn lines(head: &str, below: impl Iterator<Item = String>) -> String {
    below.fold(output::printable(head), |lines, line| format!("{lines}\n    {}", output::printable(&line)))
}

impl BarJson {
    fn text(&self) -> String {
        let bits = self.bits.map_or_else(String::new, |bits| format!(" of {bits} bits"));
        let prefetchable = if self.prefetchable { ", prefetchable" } else { "" };
        format!("bar{} {}{bits}{prefetchable} at {:#x}, {:#x} bytes", self.index, self.space, self.addr, self.bytes)
    }
}

impl RangeJson {
    fn text(&self, kind: &str) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        format!("{kind}{} {name}at {:#x}, {:#x} bytes", self.index, self.start, self.len)
    }
}
