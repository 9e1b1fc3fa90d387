//! Memory-mapped files in safe Rust.
//!
//! A [`Mapping`] makes a range of addresses stand for the bytes of a file. A [`View`] is a bounds-checked
//! window on it, at any byte offset and of any length, through which the bytes are read and written. A file that
//! somebody else cuts short, a full disk or a bad sector is an `Err(`[`Fault`]`)` from the access that met it: never a
//! dead process, and an access costs what a raw load or store costs.
//!
//! ```
//! use mapio_map::MapOptions;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("greeting");
//! std::fs::write(&path, b"hello, page cache")?;
//!
//! let mapping = MapOptions::read_write().open(&path)?;
//! let view = mapping.view();
//! view.store(0, *b"HELLO")?;
//! let mut name = [0; 10];
//! view.read_exact_at(7, &mut name)?;
//! assert_eq!(&name, b"page cache");
//! assert_eq!(std::fs::read(&path)?, b"HELLO, page cache");
//! # Ok(())
//! # }
//! ```
//!
//! | I want to | look at |
//! |---|---|
//! | map a file, all of it or a part | [`MapOptions`], which makes a [`Mapping`] |
//! | read, write, fill, search, copy what is mapped | [`View`]: [`Mapping::view`], [`View::slice`] |
//! | hand a view to another thread, or keep it | [`OwnedView`] |
//! | go through it, piece by piece, or as a stream | [`Chunks`], [`Lines`], [`Cursor`] |
//! | a file with a position that grows as it is written | [`MappedFile`] |
//! | atomics, and sleeping until one changes | [`AtomicView`], [`AtomicMapping`] |
//! | know why an access failed | [`Fault`], [`FaultKind`] |
//! | know what is in memory, and what faults something took | [`Residency`], [`CacheCounts`], [`Usage`] |
//! | memory of my own | [`AnonMap`] |
//! | bytes that nobody can change, as a slice | [`SealedMap`] |
//! | memmap2's names | [`compat`] |
//! | the types of bytes, bytemuck, vm-memory | [`interop`] |
//!
//! # What it does not do
//! It never hands out a `&[u8]` into a file that others can change: such a reference would be undefined behaviour as
//! soon as they do. Bytes are copied in and out instead. A mapping is also not the fastest way to copy a whole file;
//! see the crate `mapio-copy` for that.
//!
//! # Platforms
//! Linux. x86-64 and aarch64 use guarded machine instructions; other processors use `process_vm_readv(2)`, which is as
//! safe, and slower (a system call an access), and core's atomics, whose first fault poisons the mapping
//! ([`AtomicView`]).
//!
//! Windows on x86-64, with the same guarded instructions. What is different there: a file that is mapped can't be made
//! shorter; a mapping has the bytes that its file had when it was mapped, until [`Mapping::resize`] maps it again,
//! elsewhere; [`MapOptions::memfd`] makes a temporary file; [`AtomicView::wait`] sees wakes of this process alone. There
//! are no seals, files in huge pages, System V segments, counts of cached pages, plain atomics ([`AtomicMapping`]): each answers an
//! error of the kind `Unsupported` that says so.
//!
//! Elsewhere [`MapOptions::map`] answers `Unsupported`. Programs for several systems name open files by [`descriptor`].
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod anon;
mod arch;
mod atomic;
mod atomic_mapping;
mod chunks;
pub mod compat;
mod cursor;
pub mod descriptor;
mod error;
pub mod fault;
pub mod interop;
mod mapped_file;
mod mapping;
#[cfg(windows)]
#[doc(hidden)]
pub mod nt;
mod options;
mod owned_view;
mod page;
mod paging;
// What these two hold is needed where faults are signals; the tests of it run under Miri and loom too.
#[cfg(any(test, all(target_os = "linux", not(miri))))]
mod primitive;
mod read_buffer;
mod residency;
mod sealed;
mod search;
#[cfg(any(test, all(target_os = "linux", not(miri))))]
mod slot;
mod sys;
mod transfer;
mod usage;
mod view;
mod widths;

pub use anon::{AnonMap, AnonOptions};
pub use atomic::{AtomicInteger, AtomicView};
pub use atomic_mapping::{AtomicMapping, PlainAtomic};
pub use chunks::Chunks;
pub use cursor::Cursor;
pub use error::Error;
pub use fault::{Access, Fault, FaultKind};
pub use mapped_file::MappedFile;
pub use mapping::Mapping;
pub use options::{HugePages, MapMode, MapOptions, Protection};
pub use owned_view::OwnedView;
pub use page::page_bytes;
pub use paging::{Advice, CacheCounts};
pub use residency::Residency;
pub use sealed::SealedMap;
pub use search::Lines;
pub use usage::Usage;
pub use view::View;
