//! The command, run as a user runs it.

mod channel;
mod commands;
mod copy;
mod cp;
mod docs;
mod pages;
mod support;
