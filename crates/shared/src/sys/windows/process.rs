//! What identifies a process to people.
#![expect(unsafe_code, reason = "calls of kernel32.dll on processes")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::time::Duration;

use mapio_map::nt::check;
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, FILETIME};
use windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;
use windows_sys::Win32::System::RemoteDesktop::ProcessIdToSessionId;
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::is;
use super::wait::{Waited, wait};

/// Opens a process to be asked about and waited for.
pub(super) fn open_process(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: takes numbers.
    let process = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, 0, pid) };
    if process.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a handle that was made just now, and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(process) })
}

/// When this process was started, in units of 100 ns since 1601.
pub(crate) fn start_time() -> io::Result<u64> {
    start_time_of(std::process::id())
}

/// The same of any process.
pub(crate) fn start_time_of(pid: u32) -> io::Result<u64> {
    started(&open_process(pid)?)
}

/// The same of an open one.
pub(super) fn started(process: &OwnedHandle) -> io::Result<u64> {
    let [mut created, mut exited, mut system, mut user] = [FILETIME::default(); 4];
    let process = process.as_raw_handle();
    // SAFETY: the handle is open, and the four results are locals.
    check(unsafe { GetProcessTimes(process, &raw mut created, &raw mut exited, &raw mut system, &raw mut user) })?;
    Ok(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}

/// Whether a process has ended.
pub(crate) fn is_ended(pid: u32) -> bool {
    match open_process(pid) {
        // Its number is nobody's any more.
        Err(error) => is(&error, ERROR_INVALID_PARAMETER),
        Ok(process) => has_ended(&process),
    }
}

pub(super) fn has_ended(process: &OwnedHandle) -> bool {
    matches!(wait(&[process.as_handle()], Some(Duration::ZERO)), Ok(Waited::Signalled(_)))
}

/// The session of this process: numbers of processes mean the same in all, but most objects are a session's.
pub(crate) fn pid_namespace() -> io::Result<u64> {
    session().map(u64::from)
}

/// The session of this process.
pub(super) fn session() -> io::Result<u32> {
    let mut session = 0;
    // SAFETY: the result is a local.
    check(unsafe { ProcessIdToSessionId(std::process::id(), &raw mut session) })?;
    Ok(session)
}

/// The name of this process: its program's file, without the ending.
pub(crate) fn process_name() -> io::Result<String> {
    name_of(std::process::id())
}

/// The name of a process.
pub(crate) fn name_of(pid: u32) -> io::Result<String> {
    let process = open_process(pid)?;
    let mut path = [0_u16; 1024];
    let mut units = u32::try_from(path.len()).map_err(io::Error::other)?;
    let (process, place) = (process.as_raw_handle(), path.as_mut_ptr());
    // SAFETY: the handle is open, and the buffer has so many units.
    check(unsafe { QueryFullProcessImageNameW(process, PROCESS_NAME_WIN32, place, &raw mut units) })?;
    let path = String::from_utf16_lossy(&path[..usize::try_from(units).map_err(io::Error::other)?]);
    Ok(Path::new(&path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default())
}
