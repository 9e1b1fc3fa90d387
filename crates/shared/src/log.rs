//! An append-only log in mapped files: one writer, any number of readers, in any processes.
//!
//! A log is a folder of segment files. The [`Writer`] stores a record's bytes behind the last record and publishes them
//! by one atomic store; a [`Reader`] in any process sees it at once. Neither makes a system call for it. A writer that
//! is killed at any instruction loses no record that was appended and leaves no half one; the next one takes over.
//! docs/design/log.md has the layout and the analysis of every crash.
//!
//! ```text
//! folder/lock                           locked by the writer
//! folder/00000000000000000000.segment   header page | record | record | ... | end
//! folder/00000000000000000000.index     where some of its records are: a hint
//! folder/00000000000000004711.segment   header page | record | zeros
//! ```
//!
//! ```
//! use mapio_shared::log::{Log, Options, Position};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("events");
//! let mut writer = Options::new().open_or_create(&path)?;
//! assert_eq!(writer.append(b"started")?, 0);
//! assert_eq!(writer.append_batch(&["one", "two"])?, 1..3);
//!
//! let mut reader = Log::open(&path)?.reader(Position::Sequence(1))?; // In any process.
//! let record = reader.try_next()?.expect("it was appended");
//! assert_eq!((record.sequence(), record.to_vec()?), (1, b"one".to_vec()));
//! # Ok(())
//! # }
//! ```
//!
//! # Platforms
//! Linux, and Windows on x86-64. The files are the same. On Windows a file that a reader has mapped is neither cut nor
//! removed: a segment that retention removes is gone from the log at once, and from the disk when its last reader has
//! gone on and a writer removes another one or opens the log. The log's folder can't be removed while it has readers.
//!
//! # What it does not do
//! It has one writer: who wants several lets them send to one. It keeps no readers' positions: each knows its own
//! sequence number. It does not repair bytes that the medium has lost; it says which.

mod audit;
mod directory;
mod flusher;
mod index;
mod layout;
mod options;
mod reader;
mod recovery;
mod segment;
mod wait;
mod writer;

pub use audit::{Damage, Info, Repair, RepairMode, SegmentInfo, Verification};
pub use options::{Durability, Options};
pub use reader::{Entry, Log, Position, Reader, Record, Records};
pub use recovery::{Cut, Recovery};
pub use writer::Writer;
