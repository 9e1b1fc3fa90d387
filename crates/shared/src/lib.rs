//! Memory that processes share: named objects, locks, channels and a log, which outlive anybody's death.
//!
//! A [`SharedObject`] is a range of bytes with a name, mapped by whoever opens it. On it stand the ways to agree
//! ([`sync`]) and to pass messages ([`channel`]); a [`log`] keeps them in files that survive the machine. A process may
//! be killed after any of its instructions: the others neither wait for it for ever nor see half of what it was writing.
//!
//! | I want to | look at |
//! |---|---|
//! | make or open memory under a name | [`SharedOptions`], which makes a [`SharedObject`] |
//! | share it with programs that know nothing of this crate | [`SharedOptions::raw`] |
//! | let one process at a time change a value | [`sync::Mutex`] |
//! | publish a value to any number of readers | [`sync::Latest`] |
//! | wait for others | [`sync::Condvar`], [`sync::Event`], [`sync::Semaphore`] |
//! | send messages | [`channel::Channel`], made by [`channel::ChannelOptions`] |
//! | keep messages in files | [`log::Options`] to write, [`log::Log`] to read |
//! | know who uses an object, and when one of them dies | [`SharedObject::users`], [`Watch`] |
//! | see what there is, and remove what the dead have left | [`list_all`], [`inspect`], [`clean`](clean()) |
//!
//! ```
//! use mapio_shared::SharedOptions;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let name = &format!("mapio-shared-front-{}", std::process::id());
//! let mine = SharedOptions::new().len(4096).create(name)?;
//! let yours = SharedOptions::new().open(name)?; // In another process, usually.
//! mine.view().store(0, 42u64)?;
//! assert_eq!(yours.view().load::<u64>(0)?, 42);
//! # mapio_shared::SharedObject::remove(name)?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//! It does not share between machines. It hides no bytes from whoever may open an object: processes that may write to
//! one can destroy its contents for each other, but not make each other crash, hang or access memory outside.
//!
//! # Platforms
//! Linux; Windows on x86-64, without System V and memory files. On processors other than x86-64 and aarch64 a handle
//! whose object is cut short answers errors from then on, even when the object has grown again: open it anew. Objects
//! need atomics of 8 bytes, and are for processes of one byte order; a log can be read on any machine.
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "models use a part of it"))]

pub mod channel;
#[cfg(not(loom))]
mod clean;
#[cfg(not(loom))]
mod clock;
mod error;
#[cfg(not(loom))]
mod header;
mod layout;
mod life;
#[cfg(not(loom))]
mod list;
mod lock;
#[cfg(not(loom))]
pub mod log;
mod memory;
#[cfg(not(loom))]
mod name;
#[cfg(all(not(loom), target_os = "linux"))]
mod new_file;
#[cfg(not(loom))]
mod object;
#[cfg(not(loom))]
mod participant;
pub mod sync;
mod sys;
#[cfg(not(loom))]
mod watch;

#[cfg(not(loom))]
pub use clean::{Cause, Cleaning, Leftover, Outcome, clean, clean_all};
pub use error::Error;
#[cfg(not(loom))]
pub use header::Lifetime;
pub use layout::{Layout, hash_basis, hash_name, hash_number, number};
#[cfg(not(loom))]
pub use list::{Evidence, ObjectInfo, inspect, list_all};
#[cfg(not(loom))]
pub use name::ObjectName;
#[cfg(not(loom))]
pub use object::{ObjectKind, SharedObject, SharedOptions};
#[cfg(not(loom))]
pub use participant::User;
#[cfg(not(loom))]
pub use watch::Watch;
