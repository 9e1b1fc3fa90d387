//! Copying and comparing files.
//!
//! [`CopyOptions`] says how files are to be copied. [`CopyOptions::copy`] copies one and answers a [`Report`];
//! [`CopyOptions::copy_all`] does all that cp(1) does, and tells an [`Observer`] of it. A file that is named, and one that
//! replaces another, is copied all or nothing: the destination is the old one until the new one is whole, whatever fails
//! in between.
//!
//! ```
//! use mapio_copy::{CopyOptions, Engine};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (source, destination) = (dir.path().join("a"), dir.path().join("b"));
//! std::fs::write(&source, b"some bytes")?;
//! let report = CopyOptions::new().engine(Engine::Mapped).verify().copy(&source, &destination)?;
//! assert_eq!(report.transferred.bytes, 10);
//! assert_eq!(std::fs::read(&destination)?, b"some bytes");
//! # Ok(())
//! # }
//! ```
//!
//! | I want to | look at |
//! |---|---|
//! | copy a file, and know how it went | [`CopyOptions::copy`], [`Report`] |
//! | copy trees and many files, as cp does | [`CopyOptions::copy_all`], [`Target`], [`Summary`] |
//! | be told of each file, and be asked | [`Observer`], [`Event`], [`Question`] |
//! | see how far it is, slow it down, stop it | [`Meter`] |
//! | check the copy | [`CopyOptions::verify`], [`Verified`] |
//! | choose how the bytes are moved, or know why | [`Engine`], [`Plan`] |
//! | only move bytes between two open files | [`transfer`], [`transfer_stream`] |
//! | compare two files | [`compare`](compare()) |
//!
//! # How a file is copied
//! 1. The source is looked at, and so is whatever has the destination's name; what would destroy something is refused.
//! 2. The source is opened, and a file for the contents: one without a name, unless the old file must stay the same.
//! 3. [`Plan::new`], which touches nothing, turns the options and the facts into an engine, a buffer, a number of threads.
//! 4. The engine ([`transfer`]) moves the bytes.
//! 5. The source is looked at again: a source that has changed meanwhile is an error.
//! 6. Attributes are copied, and the file gets the destination's name, in one step.
//!
//! # Platforms
//! Linux, and Windows 10 and later, where it means what it means on Linux as far as Windows has it: names are looked up
//! in open folders, files are told apart by their numbers, a copy gets its name when it is whole. What is different
//! there: a new file has a temporary name until it has its own; attributes, streams beside the contents and the time of
//! the last write are always copied, as by CopyFileEx; permissions are access control lists; holes are those of sparse
//! files; [`Engine::Reflink`] shares blocks on ReFS, [`Engine::CopyFileRange`], [`Engine::Splice`] and
//! [`Engine::Uring`] are refused; nothing can be dropped from the page cache.
//!
//! # What it does not do
//! Copies between machines, snapshots of a source that others write to, and the inode attributes of chattr(1).
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg_attr(windows, path = "sys/windows/attributes.rs")]
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
mod sys;
mod tree;

pub use compare::{Comparison, compare};
pub use engine::{Fallback, NamedFile, Transferred, Workspace, transfer, transfer_stream};
pub use error::{Error, Refusal, Version};
pub use file_system::FileSystem;
pub use job::{Target, path_of_bytes};
pub use meter::Meter;
pub use observer::{Event, Observer, Question};
pub use options::{Attribute, Backup, CopyOptions, Existing, Follow, Method, ModeFrom, Placement, Preserve, Sync};
pub use plan::{Engine, Facts, Holes, Plan, Reflink, Request, Sparse};
pub use quote::Quoted;
pub use report::{Placed, Report, Summary, Verified, VerifiedFrom};
pub use source::open_regular;
