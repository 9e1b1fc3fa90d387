//! The command, run as a user runs it.

mod commands;
mod docs;
mod pages;
mod support;
