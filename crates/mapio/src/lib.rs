//! Memory-mapped I/O for files, processes and devices.
//!
//! One idea runs through it: a range of addresses stands for something else, and loads and stores do the I/O.
//!
//! | you want to | look at |
//! |---|---|
//! | read or write a file through memory | [`MapOptions`], which makes a [`Mapping`], which has a [`View`] |
//! | use a mapped file like any other file | [`MappedFile`] |
//! | know why an access failed | [`Fault`], [`FaultKind`] |
//! | have memory of your own, or give sealed bytes to others | [`AnonMap`], [`SealedMap`] |
//! | change one import of a program that uses memmap2 | [`compat`] |
//! | copy or compare files | [`copy::CopyOptions`], [`copy::compare`] |
//! | share memory with other processes | [`shared::SharedObject`] |
//! | agree with them, whoever dies | [`shared::sync`] |
//! | send messages to other processes | [`shared::channel`] |
//! | keep messages, also when the machine stops | [`shared::log`] |
//! | drive a device by its registers | [`device`] |
//!
//! Everything is safe: a file that somebody else cuts short is an `Err`, never a dead process.
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
    // Windows lets no program reach the registers of devices.
    #[cfg(unix)]
    #[doc = include_str!("../../../docs/guide/devices.md")]
    struct Devices;
    #[doc = include_str!("../../../docs/guide/files.md")]
    struct Files;
    #[doc = include_str!("../../../docs/guide/processes.md")]
    struct Processes;
    #[doc = include_str!("../../../docs/guide/windows.md")]
    struct Windows;
}
