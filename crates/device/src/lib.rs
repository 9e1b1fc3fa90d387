//! Device registers, ports, screens and interrupts: one driver for real and simulated hardware.
//!
//! A range of offsets stands for a device, and loads and stores there drive it.
//!
//! | I want to | look at |
//! |---|---|
//! | access registers at an address, or at ports | [`bus`], [`Mmio`], [`Ports`], [`PortFile`] |
//! | find a PCI device, and open it | [`pci`] |
//! | use a device that the kernel hands to programs | [`uio`], [`ppdev`] |
//! | see every access | [`Trace`] |
//! | give registers names and kinds | [`registers!`] |
//! | wait for a device | [`Polled`], or [`Driven`] by an [`Interrupt`] |
//! | print | [`parallel`] |
//! | show text or a picture | [`screen`] |
//! | let a device compute, and copy memory by DMA | [`edu`] |
//! | drive a serial port | [`serial`] |
//! | drive a device that is not there | [`model`] |
//!
//! Drivers are generic over the bus, so the one that runs on a simulated device in a test runs on the real one.
//!
//! ```
//! use mapio_device::model::{Memory, Simulated};
//! use mapio_device::{Error, bus};
//!
//! let device = Simulated::new(Memory::new(vec![0; 16])); // Or `Mmio`, `Ports`, a PCI device's BAR.
//! bus::write::<u32>(&device, 4, 0x1234_5678)?; // One store of 32 bits, at offset 4.
//! assert_eq!(bus::read::<u8>(&device, 4)?, 0x78); // One load of 8 bits.
//! # Ok::<(), Error>(())
//! ```
#![deny(clippy::print_stdout, clippy::print_stderr)]

// For the macro, in this crate's own modules.
extern crate self as mapio_device;

mod arch;
pub mod blocks;
pub mod bus;
pub mod edu;
mod error;
mod interrupt;
pub mod model;
pub mod parallel;
pub mod pci;
pub mod ppdev;
pub mod register;
mod registers;
pub mod screen;
pub mod serial;
mod system;
pub mod uio;
mod waiting;
mod width;

pub use bus::{Mmio, PortFile, Ports, RegisterIo, Trace};
pub use error::{Error, LineError, PrinterError};
pub use interrupt::Interrupt;
pub use system::System;
pub use waiting::{Driven, Polled, Waiting};
pub use width::{Value, Width};
