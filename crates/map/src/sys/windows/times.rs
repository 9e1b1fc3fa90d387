//! What the process has used so far: GetProcessTimes, GetProcessMemoryInfo.
#![expect(unsafe_code, reason = "GetProcessTimes, GetProcessMemoryInfo")]

use std::io;
use std::time::Duration;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::GetProcessTimes;

use super::this_process;
use crate::sys::Scope;
use crate::usage::Usage;

/// Of whom `Usage::during` tells: Windows counts page faults by process.
pub(crate) const NARROWEST_SCOPE: Scope = Scope::Process;

/// Times and page faults of the process. Windows counts all page faults in one number, whether the disk was needed or
/// not: they are the minor ones here.
pub(crate) fn usage(scope: Scope) -> io::Result<Usage> {
    if scope == Scope::Thread {
        let reason = "Windows counts page faults by process, not by thread";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let [mut created, mut exited, mut system, mut user] = [FILETIME::default(); 4];
    let process = this_process();
    // SAFETY: the handle is valid, and the four results are locals.
    let told = unsafe { GetProcessTimes(process, &raw mut created, &raw mut exited, &raw mut system, &raw mut user) };
    if told == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut memory = PROCESS_MEMORY_COUNTERS::default();
    let bytes = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).map_err(io::Error::other)?;
    // SAFETY: the handle is valid, and the result is a local of that size.
    if unsafe { K32GetProcessMemoryInfo(process, &raw mut memory, bytes) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let minor_faults = u64::from(memory.PageFaultCount);
    Ok(Usage { user: duration(user), system: duration(system), minor_faults, major_faults: 0 })
}

/// A time in units of 100 ns ("FILETIME structure", Microsoft's documentation).
fn duration(time: FILETIME) -> Duration {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::new(units / 10_000_000, u32::try_from(units % 10_000_000).unwrap_or(0) * 100)
}
