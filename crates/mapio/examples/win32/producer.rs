//! CreateFileMapping, MapViewOfFile, a store, UnmapViewOfFile, CloseHandle.
#![expect(unsafe_code, reason = "the calls of Windows, which the program shows")]

use std::io::{self, BufRead};
use std::ptr;

use windows_sys::Win32::Foundation::{CloseHandle, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_ALL_ACCESS, MapViewOfFile, PAGE_READWRITE, UnmapViewOfFile,
};

use crate::calls::{LEN, NAME};

const MESSAGE: &[u8] = b"Shared memory message\0";

/// Leaves the message until a line comes on standard input.
pub(crate) fn run() -> io::Result<()> {
    // 1. A section of the page file, since there is no file, with a name.
    // SAFETY: the name is a constant, and there are no attributes.
    let section = unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, ptr::null(), PAGE_READWRITE, 0, LEN, NAME) };
    if section.is_null() {
        return Err(io::Error::last_os_error());
    }
    // 2. A view of all of it.
    // SAFETY: the handle is open, and the system chooses addresses that nothing else uses.
    let view = unsafe { MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, 0) };
    if view.Value.is_null() {
        return Err(io::Error::last_os_error());
    }
    // 3. A plain store. Nothing tells a reader when it is whole.
    // SAFETY: the view has `LEN` bytes, which are more; no reference to them exists.
    unsafe { ptr::copy_nonoverlapping(MESSAGE.as_ptr(), view.Value.cast(), MESSAGE.len()) };
    println!("written: {}", String::from_utf8_lossy(&MESSAGE[..MESSAGE.len() - 1]));
    io::stdin().lock().read_line(&mut String::new())?;
    // 4. The view, then the handle: with the last one goes the section.
    // SAFETY: the view is this one's, and is not used any more.
    unsafe { UnmapViewOfFile(view) };
    // SAFETY: the handle is open, and is not used any more.
    unsafe { CloseHandle(section) };
    Ok(())
}
