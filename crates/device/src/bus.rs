//! The bus: what carries an access to a register.
//!
//! A bus is a range of offsets, in bytes, behind which a device is. Real ones are in the modules below, models in
//! [`model`](crate::model). A driver is generic over its bus, so that an access through [`Mmio`] is one instruction and
//! the same driver runs on all of them.
#![expect(unsafe_code, reason = "functions with duties elsewhere")]

mod mmio;
mod port_file;
mod ports;
mod strided;
pub mod trace;

use std::sync::Arc;

pub use mmio::Mmio;
pub use port_file::PortFile;
pub use ports::Ports;
pub use strided::Strided;
pub use trace::Trace;

use crate::error::Error;
use crate::width::{Value, Width};

/// Bytes of the widest access.
pub(crate) const WIDEST_BYTES: usize = Width::U64.bytes();

/// Carries accesses to the registers of a device.
///
/// An access has exactly the width that is asked for: it is never split, joined, repeated or left out. Accesses of one
/// thread through one bus reach the device in program order, a write reaches it after everything that the thread has
/// stored to ordinary memory before, and what comes behind a read is loaded after it: what Linux calls `readl` and
/// `writel` (Documentation/driver-api/device-io.rst). Before a write that gives back a buffer which was *read*, a fence
/// of all accesses is needed. The `relaxed` forms are ordered among themselves only.
///
/// Nothing blocks but the device itself. Another program that uses the same device is not kept away.
#[expect(clippy::len_without_is_empty, reason = "a device without registers is none")]
pub trait RegisterIo {
    /// Bytes that there are. Always the same for one bus.
    fn len(&self) -> usize;

    /// What errors call the device.
    fn name(&self) -> &str;

    /// What the address of offset 0 is a multiple of, in bytes; at most 8, which is enough for all widths. An access
    /// that is wider is refused as misaligned. Always the same for one bus.
    #[inline(always)]
    fn alignment(&self) -> usize {
        WIDEST_BYTES
    }

    /// Reads a register.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::Misaligned`]: nothing was read. [`Error::Fault`] where the hardware refuses,
    /// [`Error::Refused`] where a model does, or the bus has no accesses of this width; [`Error::Os`] where the
    /// kernel does them.
    fn read(&self, offset: usize, width: Width) -> Result<u64, Error>;

    /// Writes a register; bits that the width does not have are cut off.
    ///
    /// # Errors
    /// As [`read`](Self::read). A fault may come late, or never: many buses answer nothing to writes.
    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error>;

    /// The same as [`read`](Self::read), ordered among such accesses only.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    #[inline(always)]
    fn read_relaxed(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.read(offset, width)
    }

    /// The same as [`write`](Self::write), ordered among such accesses only.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    #[inline(always)]
    fn write_relaxed(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.write(offset, width, value)
    }

    /// Reads a register whose place was checked before. Who implements it relies on its own [`len`](Self::len) never
    /// changing, which is then a matter of safety.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for the place.
    ///
    /// # Safety
    /// 1. `offset` and the bytes of `width` together are at most what [`len`](Self::len) has answered for this bus.
    #[inline(always)]
    unsafe fn read_unchecked(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.read(offset, width)
    }

    /// Writes a register whose place was checked before.
    ///
    /// # Errors
    /// As [`write`](Self::write), but for the place.
    ///
    /// # Safety
    /// 1. As in [`read_unchecked`](Self::read_unchecked).
    #[inline(always)]
    unsafe fn write_unchecked(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.write(offset, width, value)
    }
}

/// Reads a value of the type's width.
///
/// # Errors
/// Those of [`RegisterIo::read`].
#[inline(always)]
pub fn read<T: Value>(bus: &(impl RegisterIo + ?Sized), offset: usize) -> Result<T, Error> {
    bus.read(offset, T::WIDTH).map(T::from_bits)
}

/// Writes a value of the type's width.
///
/// # Errors
/// Those of [`RegisterIo::write`].
#[inline(always)]
pub fn write<T: Value>(bus: &(impl RegisterIo + ?Sized), offset: usize, value: T) -> Result<(), Error> {
    bus.write(offset, T::WIDTH, value.to_bits())
}

/// What an address is a multiple of, in bytes; at most [`WIDEST_BYTES`].
pub(crate) fn alignment_of(addr: u64) -> usize {
    1 << addr.trailing_zeros().min(WIDEST_BYTES.trailing_zeros())
}

/// Checks the place of an access on a bus: inside, and at an address that is a multiple of its width.
#[inline(always)]
pub(crate) fn check(bus: &(impl RegisterIo + ?Sized), offset: usize, width: Width) -> Result<(), Error> {
    let inside = bus.len().checked_sub(width.bytes()).is_some_and(|last| offset <= last);
    let aligned = offset.is_multiple_of(width.bytes()) && width.bytes() <= bus.alignment();
    if inside && aligned { Ok(()) } else { Err(misplaced(bus.name(), bus.len(), offset, width)) }
}

#[cold]
fn misplaced(name: &str, len: usize, offset: usize, width: Width) -> Error {
    let object = name.to_owned();
    if len.checked_sub(width.bytes()).is_some_and(|last| offset <= last) {
        return Error::Misaligned { object, offset, width };
    }
    Error::OutOfBounds { object, offset, width, len }
}

/// The error for an access that a bus or a device does not have.
#[cold]
pub(crate) fn refused(bus: &(impl RegisterIo + ?Sized), offset: usize, width: Width, reason: &'static str) -> Error {
    Error::Refused { object: bus.name().to_owned(), offset, width, reason }
}

macro_rules! forward {
    ($($(#[$attribute:meta])* [$($generics:tt)*] $type:ty;)+) => {
        $(
            $(#[$attribute])*
            impl<$($generics)*> RegisterIo for $type {
                #[inline(always)]
                fn len(&self) -> usize {
                    (**self).len()
                }

                fn name(&self) -> &str {
                    (**self).name()
                }

                #[inline(always)]
                fn alignment(&self) -> usize {
                    (**self).alignment()
                }

                #[inline(always)]
                fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
                    (**self).read(offset, width)
                }

                #[inline(always)]
                fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
                    (**self).write(offset, width, value)
                }

                #[inline(always)]
                fn read_relaxed(&self, offset: usize, width: Width) -> Result<u64, Error> {
                    (**self).read_relaxed(offset, width)
                }

                #[inline(always)]
                fn write_relaxed(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
                    (**self).write_relaxed(offset, width, value)
                }

                #[inline(always)]
                unsafe fn read_unchecked(&self, offset: usize, width: Width) -> Result<u64, Error> {
                    // SAFETY: 1: by duty 1 of this function; `len` above is that of what is pointed to, which shared
                    // borrows can't exchange.
                    unsafe { (**self).read_unchecked(offset, width) }
                }

                #[inline(always)]
                unsafe fn write_unchecked(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
                    // SAFETY: as in `read_unchecked`.
                    unsafe { (**self).write_unchecked(offset, width, value) }
                }
            }
        )+
    };
}

forward! {
    [B: RegisterIo + ?Sized] &B;
    [B: RegisterIo + ?Sized] Box<B>;
    [B: RegisterIo + ?Sized] Arc<B>;
}
