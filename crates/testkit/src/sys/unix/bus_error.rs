//! Whether a bus error tells where it was.
#![expect(unsafe_code, reason = "fork(2), sigaction(2), a mapping whose page is gone")]
#![expect(clippy::as_conversions, reason = "handlers are integers in sigaction(2)")]

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::skip;

/// Bytes that are mapped: a page of the largest size.
const LEN: usize = 64 << 10;
/// Where the child's bus error is. Set before its handler is installed, which reads it.
static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// See `sys`.
pub(crate) fn bus_errors_tell_where(test: &str) -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    let told = *ANSWER.get_or_init(|| probe().expect("a page and a process"));
    if !told {
        skip(test, "a bus error does not tell its address here, as under an emulator");
    }
    told
}

/// Has a child process meet a bus error at a page that was cut off, and compare.
fn probe() -> io::Result<bool> {
    let file = tempfile::tempfile()?;
    file.set_len(1)?;
    // SAFETY: the kernel picks the range, which nothing else uses.
    let page = unsafe { mmap(ptr::null_mut(), LEN, ProtFlags::READ, MapFlags::SHARED, &file, 0) }?;
    file.set_len(0)?;
    // SAFETY: the child makes system calls and one load, and ends.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => meet(page.cast()),
        child => child,
    };
    let child = Pid::from_raw(child).ok_or_else(|| io::Error::other("fork(2) has answered no process"))?;
    let ended = waitpid(Some(child), WaitOptions::empty())?;
    // SAFETY: mapped above; only the child has used it.
    unsafe { munmap(page, LEN) }?;
    Ok(ended.is_some_and(|(_, status)| status.exit_status() == Some(0)))
}

/// The child: ends in its handler.
fn meet(page: *const u8) -> ! {
    EXPECTED.store(page.addr(), Ordering::Relaxed);
    // SAFETY: zeros are a sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_bus_error as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler is async-signal-safe.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
    // SAFETY: the range is mapped, and what the load meets is a signal, whose handler ends the process.
    unsafe { page.read_volatile() };
    // SAFETY: ends the process.
    unsafe { libc::_exit(2) }
}

extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo.
    let info = unsafe { *info };
    // SAFETY: a bus error sets si_addr.
    let addr = unsafe { info.si_addr() }.addr();
    // The address may be that of the page.
    let is_expected = addr & !0xfff == EXPECTED.load(Ordering::Relaxed);
    // SAFETY: ends the process.
    unsafe { libc::_exit(i32::from(!is_expected)) }
}
