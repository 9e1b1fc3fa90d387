//! Sleeping until a word changes: futex(2), on words that several processes have mapped.
//!
//! rustix has it for `&AtomicU32` only, which a word in a file can't be.
#![expect(unsafe_code, reason = "futex(2) on foreign memory")]

use std::io;
use std::ptr;
use std::time::Duration;

use rustix::io::Errno;

use super::guard;

/// Sleeps while the word is `expected`, until it is woken or the time is over; `false` if the time is over.
///
/// Also comes back for no reason: when a signal was handled, or when the word had another value. `EFAULT` when the word
/// is not to be had.
///
/// # Safety
/// `word` is a multiple of 4, in an address range that stays reserved for a mapping of ours.
pub(crate) unsafe fn futex_wait(word: *const u32, expected: u32, timeout: Option<Duration>) -> io::Result<bool> {
    // SAFETY: by the same duties.
    guard::checked(word.addr(), || unsafe { wait(word, expected, timeout) })
}

/// # Safety
/// As [`futex_wait`].
unsafe fn wait(word: *const u32, expected: u32, timeout: Option<Duration>) -> io::Result<bool> {
    let timeout = timeout.map(|timeout| libc::timespec {
        // As many seconds as fit; i32 or i64.
        tv_sec: timeout.as_secs().try_into().unwrap_or(i32::MAX.into()),
        // At most 999,999,999, and i32 or i64.
        tv_nsec: timeout.subsec_nanos().cast_signed().into(),
    });
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // Not `FUTEX_PRIVATE_FLAG`: the kernel has to find the word by its place in the file.
    // SAFETY: the kernel reads the timespec, which lives until the call is over, and the word, which it checks.
    if unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, timeout) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN | Errno::INTR) => Ok(true),
        Some(Errno::TIMEDOUT) => Ok(false),
        // EFAULT, and what can't be: EINVAL, ENOSYS.
        _ => Err(error),
    }
}

/// Wakes up to `count` of those who sleep on the word, in the order in which they came; answers how many.
///
/// # Safety
/// As [`futex_wait`].
pub(crate) unsafe fn futex_wake(word: *const u32, count: u32) -> io::Result<u32> {
    let most = i32::try_from(count).unwrap_or(i32::MAX);
    guard::checked(word.addr(), || {
        // SAFETY: the kernel only looks where the word is, and checks that.
        let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, most) };
        u32::try_from(woken).map_err(|_| io::Error::last_os_error())
    })
}
