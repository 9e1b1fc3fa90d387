//! Memory-mapped I/O for files, processes and devices.
//!
//! One idea runs through it: a range of addresses stands for something else, and loads and stores do the I/O.
//!
//! Everything but [`compat`] is safe: a file that somebody else cuts short, a peer that is killed, a device that does not
//! answer is an `Err`, never a dead process or one that waits for ever.
//!
//! # Files
//! | I want to | look at |
//! |---|---|
//! | read or write a file through memory, here and there | [`MapOptions`], which makes a [`Mapping`], which has a [`View`] |
//! | go through a large file, search it, count its lines | [`View::chunks`], [`View::find`], [`View::lines`] |
//! | use a mapped file like any other file, and let it grow | [`MappedFile`] |
//! | know why an access failed | [`Fault`], [`FaultKind`] |
//! | see and steer which pages are in memory | [`View::residency`], [`View::populate`], [`View::advise`], [`View::lock`] |
//! | have memory of my own, or give bytes away that nobody can change | [`AnonMap`], [`SealedMap`] |
//! | change one import of a program that uses memmap2 | [`compat`] |
//! | copy or compare files | [`copy::CopyOptions`], [`copy::compare`] |
//!
//! ```
//! use mapio::{FaultKind, MapOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("numbers");
//! std::fs::write(&path, [1, 2, 3, 4])?;
//! let mapping = MapOptions::read_only().open(&path)?;
//! assert_eq!(mapping.view().load::<u8>(2)?, 3);
//!
//! let beyond = mapping.view().load::<u8>(4).unwrap_err();
//! assert_eq!(beyond.kind, FaultKind::OutOfBounds { view_len: 4 });
//! # Ok(())
//! # }
//! ```
//!
//! # Processes
//! | I want to | look at |
//! |---|---|
//! | share memory under a name | [`shared::SharedOptions`], which makes a [`shared::SharedObject`] |
//! | share memory with C, Python or Boost | the same with [`raw`](shared::SharedOptions::raw) |
//! | change a value that one process at a time may change | [`shared::sync::Mutex`] |
//! | publish a value that others only read | [`shared::sync::Latest`] |
//! | wait for others | [`shared::sync::Event`], [`shared::sync::Semaphore`], [`shared::sync::Condvar`] |
//! | send messages, without copying them if they are large | [`shared::channel::Channel`] |
//! | keep messages, also when the machine stops | [`shared::log::Log`], written by [`shared::log::Options`] |
//! | know who is alive, and clean up after the dead | [`shared::Watch`], [`shared::clean`] |
//!
//! ```
//! use mapio::shared::SharedOptions;
//! use mapio::shared::sync::Mutex;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name = &format!("mapio-front-{}", std::process::id());
//! let object = SharedOptions::new().len(4096).open_or_create(name)?;
//! let balance = Mutex::<u64>::at(&object, 0)?;
//! *balance.lock()? += 1; // Whoever dies here leaves the old value, and nobody waits for him.
//! assert_eq!(*balance.lock()?, 1);
//! # mapio::shared::SharedObject::remove(name)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Devices
//! | I want to | look at |
//! |---|---|
//! | access registers at an address, or ports | [`device::Mmio`], [`device::Ports`] |
//! | give registers names, and only the accesses they can stand | [`device::registers!`] |
//! | find a PCI device, or use one that the kernel hands to programs | [`device::pci`], [`device::uio`] |
//! | drive a serial port, a printer, a screen | [`device::serial`], [`device::parallel`], [`device::screen`] |
//! | wait by asking, or for an interrupt | [`device::Polled`], [`device::Driven`] |
//! | see each access | [`device::Trace`] |
//! | do all of it without hardware | [`device::model`] |
//!
//! ```
//! # #[cfg(unix)]
//! # fn main() -> Result<(), mapio::device::Error> {
//! use mapio::device::model::{Simulated, parallel::Printer};
//! use mapio::device::parallel::ParallelPort;
//! use mapio::device::{Driven, Polled};
//!
//! let bus = Simulated::new(Printer::new(std::time::Duration::ZERO)); // Or real ports, by `Ports`.
//! let mut port = ParallelPort::new(&bus, Polled)?;
//! port.send(b"Dear reader")?;
//! port.drain()?;
//! assert_eq!(bus.model().received(), b"Dear reader");
//! # Ok(())
//! # }
//! # #[cfg(not(unix))]
//! # fn main() {}
//! ```
//!
//! # Examples
//! Programs to read first are in `examples/`: `read_write.rs` copies a file through a buffer, `memmap.rs` through two
//! mappings; `producer.rs` leaves a message in shared memory, which `consumer.rs` reads, and
//! `win32_producer.rs` and `win32_consumer.rs` do by the calls of Windows themselves; `channel_tokio.rs`
//! receives messages of another process beside other things. `serial_polled.rs` and `serial_interrupt.rs` drive a serial
//! port in the two ways there are, `screen.rs` and `parallel.rs` a screen and a printer: simulated ones, or real ones by an
//! argument. Those of devices, and `channel_tokio.rs`, are on Windows programs that only say why they are not there.
//!
//! # Platforms
//! Linux; Windows on x86-64, without `device`. Each crate says what is different there, and docs/guide/windows.md what
//! stands for which call.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub use mapio_copy as copy;
// Windows lets no program reach the registers of devices.
#[cfg(unix)]
pub use mapio_device as device;
pub use mapio_map as map;
pub use mapio_map::compat;
pub use mapio_shared as shared;

pub use mapio_map::{Access, AnonMap, Fault, FaultKind, MapMode, MapOptions, MappedFile, Mapping, SealedMap, View};

/// The guides' snippets, as documentation tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../../docs/guide/benchmarks.md")]
    struct Benchmarks;
    #[doc = include_str!("../../../docs/guide/copy.md")]
    struct Copy;
    // Windows lets no program reach the registers of devices.
    #[cfg(unix)]
    #[doc = include_str!("../../../docs/guide/devices.md")]
    struct Devices;
    #[doc = include_str!("../../../docs/guide/README.md")]
    struct Index;
    #[doc = include_str!("../../../docs/guide/files.md")]
    struct Files;
    #[doc = include_str!("../../../docs/guide/processes.md")]
    struct Processes;
    #[doc = include_str!("../../../docs/guide/tour.md")]
    struct Tour;
    #[doc = include_str!("../../../docs/guide/windows.md")]
    struct Windows;
}
