//! What can be mapped: anything with a descriptor, or the bare number of one.
#![expect(unsafe_code, reason = "a descriptor is borrowed by its number")]

use std::io;

use crate::descriptor::{self, AsRawDescriptor, BorrowedDescriptor, RawDescriptor};
use crate::sys::errno;

/// A descriptor's number, on its way from a file to a mapping.
pub struct MmapRawDescriptor(RawDescriptor);

/// Names the file that is to be mapped.
///
/// [`MapOptions::map`](crate::MapOptions::map) takes [`AsDescriptor`](crate::descriptor::AsDescriptor) instead, which
/// cannot name a closed file.
pub trait MmapAsRawDesc {
    /// Hands out the descriptor's number. It stays with its owner.
    fn as_raw_desc(&self) -> MmapRawDescriptor;
}

impl MmapAsRawDesc for RawDescriptor {
    fn as_raw_desc(&self) -> MmapRawDescriptor {
        MmapRawDescriptor(*self)
    }
}

impl<T: AsRawDescriptor> MmapAsRawDesc for &T {
    fn as_raw_desc(&self) -> MmapRawDescriptor {
        MmapRawDescriptor(descriptor::raw_of(*self))
    }
}

impl MmapRawDescriptor {
    /// Borrows the descriptor, if it can be one. Whether it is open, the kernel says at each use (`EBADF`).
    pub(super) fn borrow(&self) -> io::Result<BorrowedDescriptor<'_>> {
        if !descriptor::can_be_open(self.0) {
            return Err(io::Error::from_raw_os_error(errno::NOT_OPEN));
        }
        // SAFETY: the number is not -1, the one value that the type may not hold (on Windows it may hold any). That it
        // stays open is up to its owner. If it does not, the kernel refuses it or takes another file, which is no
        // matter of memory: what is mapped as a slice is what the constructor's caller promises about, or a duplicate
        // of our own that has been checked (`map_if_safe`).
        Ok(unsafe { BorrowedDescriptor::borrow_raw(self.0) })
    }
}
