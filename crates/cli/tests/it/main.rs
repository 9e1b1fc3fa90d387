//! The command, run as a user runs it.

mod channel;
mod commands;
mod copy;
mod cp;
mod device;
mod docs;
mod log;
mod pages;
mod shared;
mod support;
