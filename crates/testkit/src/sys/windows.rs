//! Windows.
#![expect(unsafe_code, reason = "FreeConsole, AttachConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler")]

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::Command;

use windows_sys::Win32::System::Console::{
    AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
};
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW};

/// Under Wine a call on a file takes some tens of microseconds, as it goes through another process.
pub(crate) const SLOWER: usize = 3;

/// Has the child live in a process group of its own, which Ctrl+C on the console does not reach.
pub(crate) fn apart_from_the_terminal(command: &mut Command) {
    command.creation_flags(CREATE_NEW_PROCESS_GROUP);
}

/// An exception has the address (`EXCEPTION_RECORD`, Microsoft's documentation).
pub(crate) fn bus_errors_tell_where(_: &str) -> bool {
    true
}

/// Wine's own settings are a program among those of the system.
pub(crate) fn is_wine() -> bool {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\windows".into());
    Path::new(&root).join("system32").join("winecfg.exe").exists()
}

/// Gives the child a console without a window, which is its alone.
pub(crate) fn own_console(command: &mut Command) {
    command.creation_flags(CREATE_NO_WINDOW);
}

/// Sends Ctrl-C to all processes of another one's console. This process leaves its own for that one, and ignores Ctrl-C
/// from then on, as those do that it starts.
pub(crate) fn interrupt(pid: u32) -> io::Result<()> {
    let is_done = |answer: i32| if answer == 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: takes no arguments. It fails where there is no console to leave.
    let _ = unsafe { FreeConsole() };
    // SAFETY: takes a number, and fails for one that is no process's.
    is_done(unsafe { AttachConsole(pid) })?;
    // SAFETY: without a handler, it ignores Ctrl-C.
    is_done(unsafe { SetConsoleCtrlHandler(None, 1) })?;
    // SAFETY: takes numbers; 0 is all of the console.
    let sent = is_done(unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) });
    // SAFETY: as above.
    let _ = unsafe { FreeConsole() };
    sent
}

pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(bytes, offset)
}

pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}
