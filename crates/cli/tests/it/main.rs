//! The command, run as a user runs it.

mod commands;
mod copy;
mod cp;
mod docs;
mod pages;
mod shared;
mod support;
