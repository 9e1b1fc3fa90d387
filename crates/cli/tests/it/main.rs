//! The command, run as a user runs it.

mod channel;
mod commands;
mod copy;
mod cp;
mod device;
mod docs;
mod log;
mod pages;
mod serial;
mod shared;
mod support;
