//! Windows, on x86-64.
#![expect(unsafe_code, reason = "GetSystemInfo, GetCurrentProcess")]

use std::sync::OnceLock;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

pub(crate) mod exception;
mod file;
mod parking;
mod region;
mod section;
mod times;
mod unsupported;

/// By the name of what it is for, as on Linux.
pub(crate) use exception as guard;
pub(crate) use exception::{fault_error, is_armed, is_blocked};
pub(crate) use file::*;
pub(crate) use parking::{futex_wait, futex_wake};
pub(crate) use region::{Region, has_advice, huge_page_bytes};
pub(crate) use times::{NARROWEST_SCOPE, usage};
pub(crate) use unsupported::*;

/// Bytes of a page: GetSystemInfo.
pub(crate) fn page_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| usize::try_from(system_info().dwPageSize).unwrap_or(4096))
}

/// Bytes of which the start of every range of addresses is a multiple: 64 KiB so far.
fn granularity_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| usize::try_from(system_info().dwAllocationGranularity).unwrap_or(64 << 10))
}

/// The handle that stands for this process: a constant.
fn this_process() -> HANDLE {
    // SAFETY: takes no arguments, and touches nothing.
    unsafe { GetCurrentProcess() }
}

fn system_info() -> SYSTEM_INFO {
    let mut info = SYSTEM_INFO::default();
    // SAFETY: the result is a local, of which the call fills all.
    unsafe { GetSystemInfo(&raw mut info) };
    info
}
