//! Locks, conditions, permits, events and values between processes, which survive the death of any of them.
//!
//! | | what it is | when somebody dies |
//! |---|---|---|
//! | [`Mutex`] | a value that one changes at a time | the next owner finds what was committed last, and is told |
//! | [`Condvar`] | waiting until somebody has changed it | nobody waits for ever |
//! | [`Semaphore`] | permits | his are found and taken |
//! | [`Event`] | something that has happened | it has or it has not |
//! | [`Latest`] | a value that one stores and all read, without waiting | readers have the last whole value |
//!
//! Each stands at an offset of a [`SharedObject`](crate::SharedObject)'s contents, a multiple of 8, and needs as many
//! bytes there as its `LEN` says. Zeros are its first state, so there is nothing to initialise, and whoever comes first
//! may begin. All processes must agree on what stands where: `SharedOptions::layout` and
//! `contents` check it. Two things that overlap destroy each other's values, and no more than that.
//!
//! Each way to wait has three forms: `x` waits as long as it takes, `x_timeout` for some time, and `try_x` not at all.
//! What is free is taken without a system call. Who waits looks a hundred times, then sleeps, and looks again at least
//! every 20 ms: as long as that somebody's death can go unnoticed, and no longer. None of them is fair: who comes at
//! the right time is served before those who sleep. A process that is stopped is not dead, and keeps what it has.
//!
//! Whoever can write to the object can store anything in it. Then locks may be held by nobody's friend, values may be
//! any of their type, and calls answer [`Error::Corrupt`](crate::Error::Corrupt); but what was copied out stays as it
//! was, nothing outside of the object is accessed, and the timed forms keep their time.
//!
//! docs/design/mutex.md has the argument.

mod bell;
mod committed;
#[cfg(not(loom))]
mod condvar;
#[cfg(not(loom))]
mod event;
mod flag;
// The objects of the kernel that have names.
#[cfg(all(windows, not(loom)))]
mod kernel;
#[cfg(not(loom))]
mod latest;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
mod mutex;
mod permits;
#[cfg(not(loom))]
mod place;
#[cfg(not(loom))]
mod semaphore;
#[cfg(all(test, not(loom)))]
mod tests;
mod versions;

#[cfg(not(loom))]
pub use condvar::Condvar;
#[cfg(not(loom))]
pub use event::Event;
#[cfg(all(windows, not(loom)))]
pub use kernel::{NamedEvent, NamedMutex, NamedMutexGuard, NamedSemaphore, Reset};
#[cfg(not(loom))]
pub use latest::Latest;
#[cfg(not(loom))]
pub use mutex::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub use semaphore::{Permit, Semaphore};
