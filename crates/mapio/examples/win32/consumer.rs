//! OpenFileMapping, MapViewOfFile, loads, UnmapViewOfFile, CloseHandle.
#![expect(unsafe_code, reason = "the calls of Windows, which the program shows")]

use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Memory::{FILE_MAP_READ, MapViewOfFile, OpenFileMappingW, UnmapViewOfFile};

use crate::calls::{LEN, NAME};

/// Prints the message.
pub(crate) fn run() -> io::Result<()> {
    // 1. The section that has the name.
    // SAFETY: the name is a constant.
    let section = unsafe { OpenFileMappingW(FILE_MAP_READ, 0, NAME) };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // 2. A view of all of it.
    // SAFETY: the handle is open, and the system chooses addresses that nothing else uses.
    let view = unsafe { MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) };
    if view.Value.is_null() {
        return Err(io::Error::last_os_error());
    }
    // 3. A copy of the bytes, whatever the other process is doing to them.
    let mut message = [0_u8; 256];
    const { assert!(256 <= LEN) };
    // SAFETY: the view has `LEN` bytes; a section without a file can't be cut, so the pages are there.
    unsafe { ptr::copy_nonoverlapping(view.Value.cast(), message.as_mut_ptr(), message.len()) };
    let len = message.iter().position(|byte| *byte == 0).unwrap_or(message.len());
    println!("{}", String::from_utf8_lossy(&message[..len]));
    // 4. The view, then the handle.
    // SAFETY: the view is this one's, and is not used any more.
    unsafe { UnmapViewOfFile(view) };
    // SAFETY: the handle is open, and is not used any more.
    unsafe { CloseHandle(section) };
    Ok(())
}
