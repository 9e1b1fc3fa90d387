//! PCI devices, as the kernel shows them in /sys/bus/pci (Linux's Documentation/PCI/sysfs-pci.rst).
//!
//! A device is found, enabled, and its base address registers (BARs), which say where its registers are, are opened as
//! buses. To get its interrupts it is taken from its driver and given to `uio_pci_generic`, see [`uio`](crate::uio).
//!
//! ```no_run
//! use mapio_device::pci::{self, Caching, UIO_DRIVER};
//! use mapio_device::uio::Uio;
//! use mapio_device::{Interrupt, RegisterIo, System, Width};
//!
//! let device = pci::find(&System::default(), "1234:11e8".parse()?)?;
//! device.bind(UIO_DRIVER)?;
//! let registers = device.map_bar(0, Caching::Uncached)?;
//! let number = device.uio()?.expect("the driver has it");
//! let mut interrupt = Uio::open(format!("/dev/uio{number}"))?.interrupt()?;
//! registers.write(0x60, Width::U32, 1)?;
//! assert_eq!(interrupt.wait(None)?, 1);
//! device.give_back()?;
//! # Ok::<(), mapio_device::Error>(())
//! ```

mod address;
pub mod header;
mod names;

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

pub use address::{Address, Id};
pub use names::Names;

use crate::bus::{Mmio, PortFile, RegisterIo};
use crate::error::Error;
use crate::system::{self, System, text, unexpected};
use header::Header;

/// The driver that hands a device's interrupt to programs.
pub const UIO_DRIVER: &str = "uio_pci_generic";

/// BARs that a device has at most.
const BARS: usize = 6;

// Flags of a line of `resource` (Linux's include/linux/ioport.h).
const IORESOURCE_IO: u64 = 0x100;
const IORESOURCE_MEM: u64 = 0x200;
const IORESOURCE_PREFETCH: u64 = 0x2000;
const IORESOURCE_MEM_64: u64 = 0x10_0000;
const IORESOURCE_DISABLED: u64 = 0x1000_0000;
const IORESOURCE_UNSET: u64 = 0x2000_0000;
/// Bytes of its configuration space that the kernel shows to everybody (Linux's drivers/pci/pci-sysfs.c).
const PUBLIC_CONFIG_BYTES: u64 = 64;

/// A PCI function, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PciDevice {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub id: Id,
    /// Which kind of device, in 24 bits: class, subclass, programming interface.
    pub class: u32,
    /// Which revision.
    pub revision: u8,
    /// Where its registers are.
    pub bars: Vec<Bar>,
    folder: PathBuf,
    system: System,
}

/// A range of a device's registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bar {
    /// Which of the six; one of 64 bits takes the next one's place too.
    pub index: usize,
    /// What kind of addresses.
    pub kind: BarKind,
    /// The first address, or port.
    pub addr: u64,
    /// Whether it has these addresses: the kernel may have found no room for them.
    pub is_assigned: bool,
    /// Bytes that it has.
    pub len: u64,
}

/// What kind of addresses a BAR has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BarKind {
    /// Memory addresses.
    Memory {
        /// Bits of an address: 32 or 64.
        bits: u32,
        /// Whether reading has no effect, so that it may be read ahead, and writes joined: true of memory.
        prefetchable: bool,
    },
    /// Ports.
    Ports,
}

/// How a processor treats accesses to a BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Caching {
    /// Each access is made at once, by itself, in order: for registers.
    #[default]
    Uncached,
    /// Writes are gathered and change places until [`Mmio::flush`]: much faster for pictures. For prefetchable BARs.
    WriteCombining,
}

/// All PCI devices, by address.
///
/// # Errors
/// [`Error::Os`], [`Error::Unexpected`] where the kernel tells what can't be read. Machines without PCI have none.
pub fn devices(system: &System) -> Result<Vec<PciDevice>, Error> {
    let folder = system.path("/sys/bus/pci/devices");
    let addresses =
        system::names(&folder)?.into_iter().filter_map(|name| Some((folder.join(&name), name.parse().ok()?)));
    let devices =
        addresses.filter_map(|(folder, address)| system::still_there(&folder, PciDevice::open(system, address)));
    let mut devices = devices.collect::<Result<Vec<_>, _>>()?;
    devices.sort_by_key(|device| device.address);
    Ok(devices)
}

/// The first PCI device of this kind.
///
/// # Errors
/// [`Error::NotFound`], and as [`devices`].
pub fn find(system: &System, id: Id) -> Result<PciDevice, Error> {
    let found = devices(system)?.into_iter().find(|device| device.id == id);
    found.ok_or_else(|| Error::NotFound { object: format!("PCI device {id}") })
}

impl PciDevice {
    /// The device at an address.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Os`] and [`Error::Unexpected`] where the kernel tells what can't be read.
    pub fn open(system: &System, address: Address) -> Result<Self, Error> {
        let folder = system.path("/sys/bus/pci/devices").join(address.to_string());
        if !folder.is_dir() {
            return Err(Error::NotFound { object: format!("PCI device {address}") });
        }
        let id =
            Id { vendor: system::number(&folder.join("vendor"))?, device: system::number(&folder.join("device"))? };
        let class = system::number(&folder.join("class"))?;
        let revision = system::number(&folder.join("revision"))?;
        let bars = bars(&folder.join("resource"))?;
        Ok(Self { address, id, class, revision, bars, folder, system: system.clone() })
    }

    /// The driver that has it now.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        system::link(&self.folder.join("driver"))
    }

    /// The number of its /dev/uio, if a driver that makes one has it.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn uio(&self) -> Result<Option<usize>, Error> {
        Ok(system::numbered(&self.folder.join("uio"), "uio")?.first().map(|(number, _)| *number))
    }

    /// Wakes it, and lets it answer to the addresses of its BARs, unless that has been done: by this, or by the driver
    /// that has it. It stays so.
    ///
    /// # Errors
    /// [`Error::Os`]: `EPERM` without `CAP_SYS_ADMIN`, `EBUSY` if a driver has it and has not enabled it.
    pub fn enable(&self) -> Result<(), Error> {
        let path = self.folder.join("enable");
        // The kernel counts how often it was asked, and would have to be asked as often to disable it.
        if system::number::<u64>(&path)? > 0 {
            return Ok(());
        }
        system::store(&path, "1")
    }

    /// Its configuration space, as a bus: 256 or 4096 bytes; for those who are not the administrator 64, which they can
    /// only read.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn config(&self) -> Result<PortFile, Error> {
        let path = self.folder.join("config");
        let metadata = std::fs::metadata(&path);
        let len = metadata.map_err(|source| Error::os("looking at", path.display().to_string(), source))?.len();
        match PortFile::open(&path, 0..len) {
            Err(Error::Os { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                PortFile::open_read_only(path, 0..len.min(PUBLIC_CONFIG_BYTES))
            }
            config => config,
        }
    }

    /// Lets it be a master on the bus, as it must be for DMA, or not. The kernel takes this away again whenever a
    /// handle of a device of `uio_pci_generic` is closed.
    ///
    /// # Errors
    /// As [`header`](Self::header); [`Error::Refused`] for those who are not the administrator.
    pub fn set_bus_master(&self, is_master: bool) -> Result<(), Error> {
        self.header()?.command().modify(|command| command.with_bus_master(is_master.into()))
    }

    /// The header of its configuration space, by name, such as
    /// `header()?.command().modify(|command| command.with_bus_master(1))`.
    ///
    /// # Errors
    /// [`Error::Os`]; [`Error::Invalid`] if the configuration space is shorter than its header.
    pub fn header(&self) -> Result<Header<PortFile>, Error> {
        Header::new(self.config()?)
    }

    /// A BAR.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn bar(&self, index: usize) -> Result<Bar, Error> {
        let bar = self.bars.iter().find(|bar| bar.index == index);
        bar.copied().ok_or_else(|| Error::NotFound { object: format!("PCI device {}, BAR {index}", self.address) })
    }

    /// Maps a BAR of memory addresses. The device must be enabled, or it does not answer: reads are all ones then.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for one of ports, for one without addresses, or if write-combining is
    /// asked for one that is not prefetchable; [`Error::Map`]: `EPERM` where the kernel is locked down, `EINVAL` if a
    /// driver keeps it for itself.
    pub fn map_bar(&self, index: usize, caching: Caching) -> Result<Mmio, Error> {
        let bar = self.assigned_bar(index)?;
        let suffix = match (bar.kind, caching) {
            (BarKind::Ports, _) => return Err(self.unfit(index, "it has ports, which can't be mapped")),
            (BarKind::Memory { prefetchable: false, .. }, Caching::WriteCombining) => {
                return Err(self.unfit(index, "it is not prefetchable, so its writes can't be combined"));
            }
            (BarKind::Memory { .. }, Caching::WriteCombining) => "_wc",
            (BarKind::Memory { .. }, Caching::Uncached) => "",
        };
        // The kernel maps whole pages, from the beginning of the one in which the BAR begins.
        let outside = || self.unfit(index, "its addresses have no end");
        let lead = bar.addr % u64::try_from(mapio_map::page_bytes()).unwrap_or(1);
        let end = lead.checked_add(bar.len).ok_or_else(outside)?;
        let pages = Mmio::open(self.folder.join(format!("resource{index}{suffix}")), 0..end)?;
        pages.part(usize::try_from(lead).map_err(|_| outside())?..pages.len())
    }

    /// Opens a BAR of ports.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for one of memory addresses, or without addresses; [`Error::Os`].
    pub fn open_bar_ports(&self, index: usize) -> Result<PortFile, Error> {
        let bar = self.assigned_bar(index)?;
        match bar.kind {
            BarKind::Ports => PortFile::open(self.folder.join(format!("resource{index}")), 0..bar.len),
            BarKind::Memory { .. } => Err(self.unfit(index, "it has memory addresses, which are mapped")),
        }
    }

    /// Opens a BAR of either kind, for programs that do not care.
    ///
    /// # Errors
    /// As [`map_bar`](Self::map_bar) and [`open_bar_ports`](Self::open_bar_ports).
    pub fn open_bar(&self, index: usize, caching: Caching) -> Result<Box<dyn RegisterIo + Send + Sync>, Error> {
        Ok(match self.bar(index)?.kind {
            BarKind::Memory { .. } => Box::new(self.map_bar(index, caching)?),
            BarKind::Ports => Box::new(self.open_bar_ports(index)?),
        })
    }

    /// A BAR that has addresses. The kernel would map another's in their place: those from 0 on.
    fn assigned_bar(&self, index: usize) -> Result<Bar, Error> {
        let bar = self.bar(index)?;
        if bar.is_assigned { Ok(bar) } else { Err(self.unfit(index, "the kernel has given it no addresses")) }
    }

    fn unfit(&self, index: usize, reason: &str) -> Error {
        Error::invalid(format!("PCI device {}, BAR {index}", self.address), reason)
    }

    /// Takes it from its driver and gives it to another, such as [`UIO_DRIVER`], whose module must be loaded. Until
    /// [`give_back`](Self::give_back) no other driver gets it, even after this process has ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such driver; nothing was done then. [`Error::Os`]; [`Error::Unexpected`] if
    /// the driver did not take it; it was given back then.
    pub fn bind(&self, driver: &str) -> Result<(), Error> {
        if self.driver().as_deref() == Some(driver) {
            return Ok(());
        }
        if !self.system.path("/sys/bus/pci/drivers").join(driver).is_dir() {
            return Err(Error::NotFound { object: format!("the driver {driver}: is its module loaded?") });
        }
        system::store(&self.folder.join("driver_override"), &format!("{driver}\n"))?;
        let bound = self.unbind().and_then(|()| self.probe()).and_then(|()| match self.driver() {
            Some(now) if now == driver => Ok(()),
            Some(now) => Err(unexpected(&self.folder, format!("{now} has taken it instead of {driver}"))),
            None => Err(unexpected(&self.folder, format!("{driver} has not taken it"))),
        });
        // A device that one driver has lost, and the other not taken, is nobody's.
        if bound.is_err() {
            // Nothing more can be done if that fails, too, and the first error says why.
            let _ = self.give_back();
        }
        bound
    }

    /// Takes it from the driver that was bound, and lets the kernel choose one again.
    ///
    /// # Errors
    /// [`Error::Os`]. That no driver takes it is no error.
    pub fn give_back(&self) -> Result<(), Error> {
        // An empty line is no name, and ends the override.
        system::store(&self.folder.join("driver_override"), "\n")?;
        self.unbind()?;
        self.probe()
    }

    fn unbind(&self) -> Result<(), Error> {
        match system::store(&self.folder.join("driver/unbind"), &self.address.to_string()) {
            // There is no driver, or it has gone by itself meanwhile.
            Err(Error::Os { source, .. })
                if source.kind() == io::ErrorKind::NotFound || Errno::from_io_error(&source) == Some(Errno::NODEV) =>
            {
                Ok(())
            }
            unbound => unbound,
        }
    }

    fn probe(&self) -> Result<(), Error> {
        system::store(&self.system.path("/sys/bus/pci/drivers_probe"), &self.address.to_string())
    }
}

/// The BARs of a `resource` file: on each line the first address, the last one, and flags.
fn bars(path: &Path) -> Result<Vec<Bar>, Error> {
    let text = text(path)?;
    let mut bars = Vec::new();
    for (index, line) in text.lines().take(BARS).enumerate() {
        let wrong = || unexpected(path, format!("line {} is {line:?}, not a range of addresses and flags", index + 1));
        let mut numbers = line.split_whitespace().map(system::parse::<u64>);
        let (Some(Some(first)), Some(Some(last)), Some(Some(flags)), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(wrong());
        };
        let kind = match flags & (IORESOURCE_IO | IORESOURCE_MEM) {
            0 => continue,
            IORESOURCE_IO => BarKind::Ports,
            _ => BarKind::Memory {
                bits: if flags & IORESOURCE_MEM_64 != 0 { 64 } else { 32 },
                prefetchable: flags & IORESOURCE_PREFETCH != 0,
            },
        };
        let len = last.checked_sub(first).and_then(|less| less.checked_add(1)).ok_or_else(wrong)?;
        let is_assigned = flags & (IORESOURCE_UNSET | IORESOURCE_DISABLED) == 0;
        bars.push(Bar { index, kind, addr: first, is_assigned, len });
    }
    Ok(bars)
}
