//! Sections that are memory alone: made by CreateFileMapping without a file, or opened by OpenFileMapping.
//!
//! Their handles are taken wherever a file's is: they can be mapped, and have a length that never changes, of whole
//! pages. There is nothing behind them that could be read, flushed or cut.
#![expect(unsafe_code, reason = "NtQuerySection")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS};

use crate::nt;

/// Number of [`BasicInformation`] among what can be asked of a section.
const SECTION_BASIC_INFORMATION: i32 = 0;

/// `SECTION_BASIC_INFORMATION` ("Windows NT/2000 Native API Reference", NtQuerySection).
#[derive(Debug)]
#[repr(C)]
struct BasicInformation {
    base_address: *mut core::ffi::c_void,
    attributes: u32,
    size_bytes: i64,
}

// windows-sys does not have it.
#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    fn NtQuerySection(
        section: HANDLE,
        class: i32,
        information: *mut core::ffi::c_void,
        len: usize,
        returned_len: *mut usize,
    ) -> NTSTATUS;
}

/// Whether a handle is one of a section.
pub(super) fn is_section(handle: BorrowedHandle<'_>) -> bool {
    len(handle).is_ok()
}

/// Bytes of a section: whole pages. The handle must have been opened with `SECTION_QUERY`.
///
/// # Errors
/// What the system says: `ERROR_INVALID_HANDLE` of what is no section.
pub(super) fn len(section: BorrowedHandle<'_>) -> io::Result<u64> {
    let mut about = BasicInformation { base_address: ptr::null_mut(), attributes: 0, size_bytes: 0 };
    let (class, place) = (SECTION_BASIC_INFORMATION, (&raw mut about).cast());
    let bytes = size_of::<BasicInformation>();
    // SAFETY: the handle is open, and the result is a local of the size given.
    let answer = unsafe { NtQuerySection(section.as_raw_handle(), class, place, bytes, ptr::null_mut()) };
    if answer < 0 {
        return Err(nt::status_error(answer));
    }
    u64::try_from(about.size_bytes).map_err(io::Error::other)
}
