//! Device registers, ports, screens and interrupts: one driver for real and simulated hardware.
//!
//! A range of offsets stands for a device, and loads and stores there drive it.
//!
//! | you want to | look at |
//! |---|---|
//! | access registers at an address | [`bus`], [`Mmio`] |
//! | give registers names and kinds | [`registers!`] |
//! | wait for a device | [`Interrupt`] |
//! | drive a serial port | [`serial`] |
//! | drive a device that is not there | [`model`] |
//!
//! Drivers are generic over the bus, so the one that runs on a simulated device in a test runs on the real one.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// For the macro, in this crate's own modules.
extern crate self as mapio_device;

mod arch;
pub mod blocks;
pub mod bus;
mod error;
mod interrupt;
pub mod model;
pub mod register;
mod registers;
pub mod serial;
mod width;

pub use bus::{Mmio, RegisterIo};
pub use error::{Error, LineError};
pub use interrupt::Interrupt;
pub use width::{Value, Width};
