//! Copying and comparing files.
//!
//! [`CopyOptions`] says how a file is to be copied; [`CopyOptions::copy`] does it and answers a [`Report`]. A copy is
//! all or nothing: the destination is the old one until the new one is whole, whatever fails in between.
//!
//! ```
//! use mapio_copy::{CopyOptions, Engine};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (source, destination) = (dir.path().join("a"), dir.path().join("b"));
//! std::fs::write(&source, b"some bytes")?;
//! let report = CopyOptions::new().engine(Engine::Mapped).verify().copy(&source, &destination)?;
//! assert_eq!(report.bytes, 10);
//! assert_eq!(std::fs::read(&destination)?, b"some bytes");
//! # Ok(())
//! # }
//! ```
//!
//! # How a copy is made
//! 1. The source is opened and looked at; the destination is resolved, and refused if it is the source itself.
//! 2. [`Plan::new`], which touches nothing, turns the options and the facts into an engine, a buffer and a number of threads.
//! 3. The engine ([`transfer`]) fills a temporary file beside the destination.
//! 4. The source is looked at again: a source that has changed meanwhile is an error.
//! 5. The temporary file gets the destination's name, in one step.
//!
//! # What it does not do
//! Folders, links as links, devices, holes, extended attributes, times and ownership (unless the destination exists,
//! whose mode and owner are kept) are not copied. A destination that exists is replaced by a new file: its other hard
//! links keep the old bytes, and its access control list is gone. Where the new file can't be given to the old one's
//! owner, or the destination is a mount point, the copy is refused.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod attributes;
mod backup;
mod cache;
mod compare;
mod contents;
mod destination;
mod engine;
mod entry;
mod error;
mod file_system;
mod job;
mod links;
mod meter;
mod observer;
mod options;
mod place;
mod plan;
mod quote;
mod report;
mod session;
mod source;
mod special;
mod status;
mod tree;

pub use compare::{Comparison, compare};
pub use engine::{Fallback, NamedFile, Transferred, Workspace, transfer, transfer_stream};
pub use error::{Error, Refusal, Version};
pub use file_system::FileSystem;
pub use job::Target;
pub use meter::Meter;
pub use observer::{Event, Observer, Question};
pub use options::{Attribute, Backup, CopyOptions, Existing, Follow, Method, ModeFrom, Placement, Preserve, Sync};
pub use plan::{Engine, Facts, Holes, Plan, Reflink, Request, Sparse};
pub use quote::Quoted;
pub use report::{Placed, Report, Summary, Verified, VerifiedFrom};
pub use source::open_regular;
