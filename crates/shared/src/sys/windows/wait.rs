//! Waiting for kernel objects.
#![expect(unsafe_code, reason = "WaitForMultipleObjects")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{WAIT_ABANDONED_0, WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{INFINITE, WaitForMultipleObjects};

/// As many as one call takes, less one.
pub(super) const MOST_AT_ONCE: usize = 63;

/// What a wait has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// That handle is signalled, counted from 0.
    Signalled(usize),
    /// That handle is a mutex which its owner has left by dying; it is the caller's now.
    Abandoned(usize),
    TimedOut,
}

/// Waits until one of up to 63 handles is signalled; `None` is no limit. Of several, the first is told.
pub(super) fn wait(handles: &[BorrowedHandle<'_>], timeout: Option<Duration>) -> io::Result<Waited> {
    let raw: Vec<_> = handles.iter().take(MOST_AT_ONCE).map(AsRawHandle::as_raw_handle).collect();
    let count = u32::try_from(raw.len()).map_err(io::Error::other)?;
    // SAFETY: so many handles, which are open; the call only reads them.
    let answer = unsafe { WaitForMultipleObjects(count, raw.as_ptr(), 0, timeout.map_or(INFINITE, milliseconds)) };
    match answer {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        WAIT_TIMEOUT => Ok(Waited::TimedOut),
        // `WAIT_OBJECT_0` is 0.
        signalled if signalled < count => Ok(Waited::Signalled(index(signalled))),
        abandoned => Ok(Waited::Abandoned(index(abandoned.wrapping_sub(WAIT_ABANDONED_0)))),
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Not less than the duration, and never "no limit".
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u32::MAX).min(INFINITE - 1)
}
