//! x86-64: registers are mapped uncached, and the processor keeps such accesses in order among themselves and with
//! ordinary ones (Intel SDM volume 3, 13.3 "Methods of caching available"); only the compiler is held back.
#![expect(unsafe_code, reason = "inline assembly")]

use std::arch::asm;
use std::io;
use std::ops::Range;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::width::Width;

/// Whether an access to mapped memory is one instruction, whose fault is an error.
pub(crate) const HAS_MMIO: bool = true;

/// Orders a read of a register before everything behind it.
#[inline(always)]
pub(crate) fn after_read() {
    compiler_fence(Ordering::SeqCst);
}

/// Orders everything before it before a write to a register.
#[inline(always)]
pub(crate) fn before_write() {
    compiler_fence(Ordering::SeqCst);
}

/// Waits until stores, those to write-combining memory too, have left the processor.
pub(crate) fn flush_writes() {
    // SAFETY: an instruction without operands, which orders stores and does nothing else.
    unsafe { asm!("sfence", options(nostack, preserves_flags)) };
}

/// Allows the calling thread these ports, below 0x10000, by ioperm(2).
pub(crate) fn allow_ports(ports: &Range<u32>) -> io::Result<()> {
    let (first, count) = (u64::from(ports.start), u64::from(ports.end.saturating_sub(ports.start)));
    // SAFETY: ioperm(2) takes three numbers, touches no memory of this process, and checks them itself.
    match unsafe { libc::syscall(libc::SYS_ioperm, first, count, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a port.
///
/// # Safety
/// 1. ioperm(2) has allowed this thread all ports of the access; else it dies of a signal.
/// 2. What the device does about it touches no memory of this process.
#[inline(always)]
pub(crate) unsafe fn port_read(port: u16, width: Width) -> u64 {
    match width {
        Width::U8 => {
            let value: u8;
            // SAFETY: by duties 1 and 2; the instruction changes nothing but its output.
            unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) };
            u64::from(value)
        }
        Width::U16 => {
            let value: u16;
            // SAFETY: as above.
            unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) };
            u64::from(value)
        }
        Width::U32 | Width::U64 => {
            let value: u32;
            // SAFETY: as above.
            unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags)) };
            u64::from(value)
        }
    }
}

/// Writes a port.
///
/// # Safety
/// As of [`port_read`].
#[inline(always)]
#[expect(clippy::as_conversions, reason = "what the width does not hold is cut off")]
pub(crate) unsafe fn port_write(port: u16, width: Width, value: u64) {
    match width {
        // SAFETY: by duties 1 and 2; the instruction changes nothing of this process.
        Width::U8 => unsafe {
            asm!("out dx, al", in("dx") port, in("al") value as u8, options(nostack, preserves_flags));
        },
        // SAFETY: as above.
        Width::U16 => unsafe {
            asm!("out dx, ax", in("dx") port, in("ax") value as u16, options(nostack, preserves_flags));
        },
        // SAFETY: as above.
        Width::U32 | Width::U64 => unsafe {
            asm!("out dx, eax", in("dx") port, in("eax") value as u32, options(nostack, preserves_flags));
        },
    }
}
