//! What the tour does as a program in C would: accesses that nobody has checked, and the signals that come of them.
#![expect(unsafe_code, reason = "accesses that are to fail, mmap(2), unshare(2), a signal handler")]

use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, c_void, siginfo_t};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `si_code` of a segmentation fault, which libc has no names for (asm-generic/siginfo.h).
const SEGV_MAPERR: c_int = 1;
/// The same.
const SEGV_ACCERR: c_int = 2;

/// Loads the byte at address 0.
///
/// # Safety
/// No page is mapped there, and the process may be killed.
pub(super) unsafe fn load_from_null() -> u8 {
    let null: *const c_void = black_box(ptr::null());
    let mut byte = 0u8;
    // SAFETY: none. No page is mapped at address 0, the processor refuses,
    // and the kernel ends the process here: nothing behind this runs.
    unsafe { libc::memcpy((&raw mut byte).cast(), null, 1) };
    byte
}

/// A shared mapping of a file, as mmap(2) gives it: nobody has checked that the file has these bytes.
pub(super) struct Mapped {
    /// The first of `len` addresses that are this value's until it is dropped.
    start: *mut c_void,
    len: usize,
}

/// The file's bytes may be loaded and stored.
pub(super) const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Maps the first bytes of a file, at an address that the kernel chooses.
///
/// # Errors
/// What mmap(2) says.
pub(super) fn map(file: &File, len: usize, may: ProtFlags) -> io::Result<Mapped> {
    let (anywhere, shared) = (ptr::null_mut(), MapFlags::SHARED);
    // SAFETY: the kernel picks a range that nobody uses.
    let start = unsafe { mmap(anywhere, len, may, shared, file, 0)? };
    Ok(Mapped { start, len })
}

/// Stores a byte. If the file does not have it, or has no space for it, the process is killed.
///
/// # Panics
/// The offset is outside of the mapping.
pub(super) fn store(mapped: &Mapped, offset: usize, byte: u8) {
    assert!(offset < mapped.len);
    let address = mapped.start.cast::<u8>().wrapping_add(offset);
    // SAFETY: the address is in the mapping, as was checked, and no Rust
    // object's. What the file does not have ends the process here.
    unsafe { address.write_volatile(byte) }
}

/// Copies the bytes of a mapping to another one as long. If a file does not have them, or has no space for them, the
/// process is killed.
///
/// # Panics
/// It is not as long, or the same.
pub(super) fn memcpy(to: &Mapped, from: &Mapped) {
    assert!(to.len == from.len && to.start != from.start);
    // SAFETY: both ranges are mapped and as long as that, and lie apart.
    // What a file does not have ends the process here.
    unsafe { libc::memcpy(to.start, from.start, to.len) };
}

impl Mapped {
    /// The address of its first byte.
    pub(super) fn addr(&self) -> usize {
        self.start.addr()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the range came from mmap(2) with this length, and nobody uses it once its owner is dropped. That a
        // range stays mapped for lack of memory would be no error here.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// Gives this process namespaces of its own, which has one thread.
///
/// # Errors
/// What unshare(2) says.
pub(super) fn leave_namespaces(which: UnshareFlags) -> io::Result<()> {
    let which = which - UnshareFlags::FILES;
    // SAFETY: the table of descriptors stays shared.
    Ok(unsafe { unshare_unsafe(which) }?)
}

/// What the kernel tells a process of a fault before it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FaultReport {
    pub(super) signal: i32,
    /// Why: `si_code` in sigaction(2).
    pub(super) code: i32,
    /// Where: `si_addr`.
    pub(super) addr: u64,
}

impl FaultReport {
    const BYTES: usize = 16;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.signal.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.code.to_le_bytes());
        bytes[8..].copy_from_slice(&self.addr.to_le_bytes());
        bytes
    }

    /// The report that a process has written as its last words.
    pub(super) fn from_end_of(output: &[u8]) -> Option<Self> {
        let bytes = output.last_chunk::<{ Self::BYTES }>()?;
        let (signal, rest) = bytes.split_first_chunk()?;
        let (code, addr) = rest.split_first_chunk()?;
        let addr = u64::from_le_bytes(*addr.first_chunk()?);
        Some(Self { signal: i32::from_le_bytes(*signal), code: i32::from_le_bytes(*code), addr })
    }
}

impl fmt::Display for FaultReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            (libc::SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR: nothing is mapped there"),
            (libc::SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR: the mapping forbids it"),
            (libc::SIGBUS, libc::BUS_ADRALN, "BUS_ADRALN: the address is not aligned"),
            (libc::SIGBUS, libc::BUS_ADRERR, "BUS_ADRERR: there is no such byte"),
            (libc::SIGBUS, libc::BUS_OBJERR, "BUS_OBJERR: the hardware failed"),
        ];
        let text = known.iter().find(|(signal, code, _)| (*signal, *code) == (self.signal, self.code));
        write!(f, "si_addr {:#x}, si_code {}", self.addr, self.code)?;
        text.map_or(Ok(()), |(.., text)| write!(f, " ({text})"))
    }
}

/// Has this process report a segmentation fault or a bus error to standard error before it dies of it; it leaves no
/// core dump.
///
/// # Errors
/// The system refuses the handler, or to leave no dump.
pub(super) fn report_faults() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeros are a value of each of its fields: integers, a set of bits, and no function.
    let action = unsafe { action.assume_init_mut() };
    #[expect(clippy::as_conversions, reason = "sigaction(2) takes a function as a number")]
    let handler = report as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    action.sa_sigaction = handler;
    // The default action is back when the handler runs: the access is made again behind it, and kills.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the handler has the signature that `SA_SIGINFO` asks for, and makes one system call, write(2), which
        // signal-safety(7) lists; what was there before is not asked for.
        let set = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Writes what the kernel tells of the fault to standard error.
extern "C" fn report(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel gives a handler of `SA_SIGINFO` a siginfo of its own.
    let Some(info) = (unsafe { info.as_ref() }) else { return };
    // SAFETY: the handler is installed for faults alone, whose siginfo has an address.
    let addr = unsafe { info.si_addr() }.addr();
    let report = FaultReport { signal, code: info.si_code, addr: u64::try_from(addr).unwrap_or(u64::MAX) };
    let bytes = report.to_bytes();
    // SAFETY: the bytes are a local's. That nobody reads them would change nothing.
    unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_comes_through_as_it_was() {
        let report = FaultReport { signal: libc::SIGBUS, code: libc::BUS_ADRERR, addr: 0x7fff_1234_5678 };
        let output = [b"words before it".as_slice(), &report.to_bytes()].concat();
        assert_eq!(FaultReport::from_end_of(&output), Some(report));
        assert_eq!(FaultReport::from_end_of(b"too short"), None);
        assert_eq!(report.to_string(), "si_addr 0x7fff12345678, si_code 2 (BUS_ADRERR: there is no such byte)");
    }
}
