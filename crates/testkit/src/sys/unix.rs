//! Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

mod bus_error;

pub(crate) use bus_error::bus_errors_tell_where;

pub(crate) const SLOWER: usize = 1;

/// Has the child live in a process group of its own, which no signal from the terminal reaches.
pub(crate) fn apart_from_the_terminal(command: &mut Command) {
    command.process_group(0);
}

/// See `sys`.
pub(crate) fn is_wine() -> bool {
    false
}

/// A signal goes to one process, wherever its terminal is.
pub(crate) fn own_console(_command: &mut Command) {}

/// Sends SIGINT, by kill(1).
pub(crate) fn interrupt(pid: u32) -> io::Result<()> {
    let status = Command::new("kill").args(["-INT", &pid.to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("kill(1) has failed")) }
}

pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    FileExt::read_at(file, bytes, offset)
}

pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    FileExt::write_at(file, bytes, offset)
}
