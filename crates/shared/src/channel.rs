//! Channels: messages between processes, in memory that they share.
//!
//! ```text
//!   Sender --claim, fill, publish--> slots, buffer --find, read, release--> Receiver
//!               \--- wakes, if anybody sleeps ---/
//! ```
//! A channel is a [shared object](crate::SharedObject). Its messages lie in a ring of slots, longer ones in a ring of
//! bytes beside it. A message that was sent is there whatever becomes of its sender, and one that was not sent as a
//! whole is not there at all. Nobody waits for the dead: who waits asks the kernel from time to time who is alive, and
//! finishes or clears away what the dead have begun. docs/design/channel.md has the layout, the orderings, and what
//! happens at each instruction at which somebody may die.
//!
//! `ring.rs` has the slots, `writer.rs` and `reader.rs` the two ends, `places.rs` who has them, `pause.rs` how is
//! waited.

#[cfg(all(test, loom))]
mod models;
pub(crate) mod options;
mod pause;
mod places;
mod reader;
mod ring;
mod shape;
mod writer;

#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod message;
#[cfg(not(loom))]
mod notifier;
#[cfg(not(loom))]
mod receiver;
#[cfg(not(loom))]
mod sender;
#[cfg(not(loom))]
mod stat;

#[cfg(not(loom))]
pub use handle::Channel;
#[cfg(not(loom))]
use handle::{close, timeout, would_block};
#[cfg(not(loom))]
pub use message::Message;
#[cfg(not(loom))]
pub use notifier::Notifier;
#[cfg(not(loom))]
pub use options::{CONTENTS, ChannelOptions};
pub use options::{Full, History, Kind, Wait};
#[cfg(not(loom))]
pub use receiver::{Lent, Receiver};
#[cfg(not(loom))]
pub use sender::{Loan, Sender};
#[cfg(not(loom))]
pub use stat::{ChannelStat, Party};
