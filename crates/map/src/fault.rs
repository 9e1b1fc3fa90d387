//! What an access through a mapping answers when the bytes are not to be had, and whether faults are caught at all.
//!
//! How a fault becomes a value is written down in docs/design/fault.md.

use std::fmt;
use std::io;

use crate::sys;

/// Whether a fault in the calling thread would be caught now, and become an `Err`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The handlers of `SIGBUS` and `SIGSEGV` are ours. If not, either nothing was mapped yet, or somebody has put a
    /// handler in front; faults are then caught only if that handler passes on what it does not know. Where the
    /// plain accesses of views raise no signals, this is true until the first atomic is made, in a view or by an
    /// [`AtomicMapping`](crate::AtomicMapping).
    pub armed: bool,
    /// The calling thread blocks one of the two signals: the kernel kills a process that faults under a blocked signal.
    /// Where the plain accesses of views raise no signals, this is false until the first atomic is made, as above.
    pub blocked: bool,
}

/// Answers whether faults are caught in the calling thread. Does not block.
#[must_use]
pub fn status() -> Status {
    Status { armed: sys::is_armed(), blocked: sys::is_blocked() }
}

/// An access that touched no memory, or stopped at a byte that the kernel could not supply.
///
/// Everything before [`offset`](Fault::offset) was done: for a copy of `n` bytes that started at `start`, exactly
/// `fault.offset - start` bytes were transferred; [`copy_to`](crate::View::copy_to) between overlapping views is the
/// one exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The byte that could not be accessed, in bytes from the start of the view that the access was made through.
    pub offset: usize,
    /// Why.
    pub kind: FaultKind,
    /// Whether the byte was being read or written.
    pub access: Access,
}

/// The direction of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A load, or the source of a copy.
    Read,
    /// A store, or the destination of a copy.
    Write,
}

/// Why an access faulted.
///
/// The kernel says little more than "bus error"; the rest is found out by asking about the file after the fault, so a
/// file that changes quickly may be described as it was a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The range does not lie inside the view. No memory was touched.
    OutOfBounds {
        /// Length of the view, in bytes.
        view_len: usize,
    },
    /// The offset in the file is not a multiple of the value's size, as an atomic access wants it. No memory was
    /// touched.
    Misaligned {
        /// What the offset in the file must be a multiple of, in bytes.
        align: usize,
    },
    /// The byte belongs to atomics of another width, by which it was asked for earlier. No memory was touched.
    MixedWidth {
        /// The width that it has, in bytes.
        width_bytes: usize,
    },
    /// The file ended before this byte when it was touched: somebody cut it short.
    Truncated {
        /// Length of the file in bytes, as it was right after the fault; larger again if the file has grown back.
        file_len: u64,
    },
    /// The byte lies in a hole, and the file system has no space (or the owner no quota) left to fill it. A store needs
    /// the space everywhere; on tmpfs a load through a mapping needs it too, where pread(2) would answer zeros.
    NoSpace,
    /// The mapping does not allow this access, such as a write through a read-only mapping.
    Protection,
    /// The medium failed; the number is the `errno` that `pread(2)` or `fallocate(2)` gives for the same byte.
    Io(i32),
    /// The memory that held the page failed and the kernel has taken it out of use.
    HwPoison,
    /// An atomic access that this processor does not have, or not for this mapping; see
    /// [`AtomicView`](crate::AtomicView#platforms). No memory was touched, and trying again answers the same.
    Unsupported,
}

impl Fault {
    pub(crate) fn out_of_bounds(offset: usize, access: Access, view_len: usize) -> Self {
        Self { offset, kind: FaultKind::OutOfBounds { view_len }, access }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.access {
            Access::Read => "reading",
            Access::Write => "writing",
        };
        write!(f, "{verb} at offset {} of the view: {}", self.offset, self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfBounds { view_len } => write!(f, "outside the view of {view_len} bytes"),
            Self::Misaligned { align } => write!(f, "not at a multiple of {align} bytes in the file"),
            Self::MixedWidth { width_bytes } => write!(f, "it belongs to an atomic of {width_bytes} bytes"),
            Self::Truncated { file_len } => write!(f, "the file was cut short, it has {file_len} bytes now"),
            Self::NoSpace => write!(f, "No space left on device"),
            Self::Protection => write!(f, "the mapping does not allow it"),
            Self::Io(errno) => write!(f, "{}", io::Error::from_raw_os_error(errno)),
            Self::HwPoison => write!(f, "the memory that held the page has failed"),
            Self::Unsupported => {
                write!(f, "this processor has no atomic access for it")
            }
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for io::Error {
    /// Wraps the fault, under the `io::ErrorKind` that `read(2)` or `write(2)` would give for it.
    fn from(fault: Fault) -> Self {
        let kind = match fault.kind {
            FaultKind::OutOfBounds { .. } | FaultKind::Misaligned { .. } | FaultKind::MixedWidth { .. } => {
                io::ErrorKind::InvalidInput
            }
            FaultKind::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            FaultKind::NoSpace => io::ErrorKind::StorageFull,
            FaultKind::Protection => io::ErrorKind::PermissionDenied,
            FaultKind::Io(errno) => io::Error::from_raw_os_error(errno).kind(),
            FaultKind::HwPoison => io::ErrorKind::Other,
            FaultKind::Unsupported => io::ErrorKind::Unsupported,
        };
        io::Error::new(kind, fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_one_line_and_keeps_its_io_kind() {
        let cases = [
            (FaultKind::OutOfBounds { view_len: 7 }, "outside the view of 7 bytes", io::ErrorKind::InvalidInput),
            (
                FaultKind::Misaligned { align: 4 },
                "not at a multiple of 4 bytes in the file",
                io::ErrorKind::InvalidInput,
            ),
            (
                FaultKind::MixedWidth { width_bytes: 4 },
                "it belongs to an atomic of 4 bytes",
                io::ErrorKind::InvalidInput,
            ),
            (
                FaultKind::Truncated { file_len: 9 },
                "the file was cut short, it has 9 bytes now",
                io::ErrorKind::UnexpectedEof,
            ),
            (FaultKind::NoSpace, "No space left on device", io::ErrorKind::StorageFull),
            (FaultKind::Protection, "the mapping does not allow it", io::ErrorKind::PermissionDenied),
            (FaultKind::HwPoison, "the memory that held the page has failed", io::ErrorKind::Other),
            (FaultKind::Unsupported, "this processor has no atomic access for it", io::ErrorKind::Unsupported),
        ];
        for (kind, reason, io_kind) in cases {
            let fault = Fault { offset: 8, kind, access: Access::Write };
            assert_eq!(fault.to_string(), format!("writing at offset 8 of the view: {reason}"));
            assert_eq!(io::Error::from(fault).kind(), io_kind);
        }
        let eio = Fault { offset: 0, kind: FaultKind::Io(sys::errno::IO_FAILED), access: Access::Read };
        // The words are the system's.
        assert!(
            eio.to_string().starts_with("reading at offset 0 of the view: ")
                && eio.to_string().ends_with(&format!("(os error {})", sys::errno::IO_FAILED))
        );
    }
}
