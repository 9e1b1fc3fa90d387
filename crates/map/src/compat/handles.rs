//! The three handles: a slice to read, a slice to write, and a pointer.
//!
//! Invariant of [`Mmap`] and [`MmapMut`], by their constructors: the range can be read, and by `MmapMut` written to;
//! its bytes are a file's about which the caller of an `unsafe fn` has promised that they hold still and stay there, or
//! that the kernel keeps so, or private memory.
#![expect(unsafe_code, reason = "slices of mapped files, on the word of who has made the handle")]

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::slice;

use super::advice::{Advice, UncheckedAdvice};
use super::descriptor::MmapAsRawDesc;
use super::options::MmapOptions;
use super::range::MappedRange;
use super::refusal::MapIfSafeError;
use crate::options::Protection;
use crate::sys::Moving;

/// Options of `remap`: whether the mapping may move.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemapOptions {
    may_move: bool,
}

impl RemapOptions {
    /// Starts with a mapping that stays where it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether the mapping may go to another address, which it does where it has no room to grow.
    ///
    /// With the feature `stable_deref_trait`, slices may be kept elsewhere and would be left behind; see `remap`.
    pub fn may_move(mut self, may_move: bool) -> Self {
        self.may_move = may_move;
        self
    }

    fn moving(self) -> Moving {
        if self.may_move { Moving::Allowed } else { Moving::Forbidden }
    }
}

/// The verbs that each of the three handles has.
macro_rules! verbs_of_all {
    () => {
        pub(super) fn new(range: MappedRange) -> Self {
            Self { range }
        }

        /// Tells the kernel how the mapping is going to be used: madvise(2). [`View::advise`](crate::View::advise) does
        /// the same.
        ///
        /// # Errors
        /// As madvise(2): `EINVAL` for advice that the kernel does not know or that does not fit the mapping.
        pub fn advise(&self, advice: Advice) -> io::Result<()> {
            self.range.region().madvise(self.range.whole(), advice.number())
        }

        /// Gives advice that changes what the mapping's bytes are: madvise(2). [`View::advise`](crate::View::advise)
        /// does it without `unsafe`.
        ///
        /// # Errors
        /// As [`advise`](Self::advise).
        ///
        /// # Safety
        /// 1. No slice of the bytes is in use, here or in another mapping that shares them, while they change: that is
        ///    now, and for [`UncheckedAdvice::Free`] until they are written to.
        /// 2. What is left is what the program expects of its bytes.
        pub unsafe fn unchecked_advise(&self, advice: UncheckedAdvice) -> io::Result<()> {
            self.range.region().madvise(self.range.whole(), advice.number())
        }

        /// Tells the kernel how `len` bytes from byte `offset` on are going to be used. A [`View`](crate::View) of a
        /// part does the same.
        ///
        /// # Errors
        /// As [`advise`](Self::advise); `InvalidInput` for a range that ends after the mapping.
        pub fn advise_range(&self, advice: Advice, offset: usize, len: usize) -> io::Result<()> {
            self.range.region().madvise(self.range.part(offset, len)?, advice.number())
        }

        /// Gives advice that changes what the pages of `len` bytes from byte `offset` on hold. A [`View`](crate::View)
        /// of a part does it without `unsafe`.
        ///
        /// # Errors
        /// As [`advise_range`](Self::advise_range).
        ///
        /// # Safety
        /// As for [`unchecked_advise`](Self::unchecked_advise), duties 1 and 2, of all bytes of the pages concerned.
        pub unsafe fn unchecked_advise_range(
            &self,
            advice: UncheckedAdvice,
            offset: usize,
            len: usize,
        ) -> io::Result<()> {
            self.range.region().madvise(self.range.part(offset, len)?, advice.number())
        }

        /// Brings the pages in and keeps them in memory: mlock(2). [`View::lock`](crate::View::lock) does the same.
        ///
        /// # Errors
        /// As mlock(2): `ENOMEM` beyond `RLIMIT_MEMLOCK`, `EPERM` without the right to lock any.
        pub fn lock(&self) -> io::Result<()> {
            self.range.region().lock(self.range.whole())
        }

        /// Allows the pages to leave memory again: munlock(2). [`View::unlock`](crate::View::unlock) does the same.
        ///
        /// # Errors
        /// As munlock(2).
        pub fn unlock(&self) -> io::Result<()> {
            self.range.region().unlock(self.range.whole())
        }

        /// Changes the length of the mapping, from the same first byte: mremap(2).
        /// [`Mapping::resize`](crate::Mapping::resize) does it without `unsafe`.
        ///
        /// # Errors
        /// As mremap(2): `ENOMEM` where there is no room and the mapping may not move. `InvalidData` for a length above
        /// `isize::MAX`. The mapping is then as it was.
        ///
        /// # Safety
        /// 1. The file has `new_len` bytes from the mapping's first on, and what was promised when it was mapped holds
        ///    for them.
        /// 2. Nobody uses an address of the mapping that was taken before and is no longer part of it.
        pub unsafe fn remap(&mut self, new_len: usize, options: RemapOptions) -> io::Result<()> {
            self.range.resize(new_len, options.moving())
        }
    };
}

/// The verbs that the handles have through which bytes can be written.
macro_rules! verbs_of_writers {
    () => {
        /// Writes what was changed to the disk, and waits for it: msync(2). [`View::flush`](crate::View::flush) does
        /// the same.
        ///
        /// # Errors
        /// As msync(2): `EIO` from the medium.
        pub fn flush(&self) -> io::Result<()> {
            self.range.region().flush(self.range.whole())
        }

        /// Says that what was changed may be written to the disk, and does not wait: msync(2) with `MS_ASYNC`, which
        /// Linux does nothing for. [`View::flush_async`](crate::View::flush_async) does start to write.
        ///
        /// # Errors
        /// As msync(2).
        pub fn flush_async(&self) -> io::Result<()> {
            self.range.region().flush_async(self.range.whole())
        }

        /// Writes what was changed in the pages of `len` bytes from byte `offset` on to the disk, and waits for it.
        ///
        /// # Errors
        /// As [`flush`](Self::flush); `InvalidInput` for a range that ends after the mapping.
        pub fn flush_range(&self, offset: usize, len: usize) -> io::Result<()> {
            self.range.region().flush(self.range.part(offset, len)?)
        }

        /// Says that what was changed in the pages of `len` bytes from byte `offset` on may be written to the disk.
        ///
        /// # Errors
        /// As [`flush_async`](Self::flush_async); `InvalidInput` for a range that ends after the mapping.
        pub fn flush_async_range(&self, offset: usize, len: usize) -> io::Result<()> {
            self.range.region().flush_async(self.range.part(offset, len)?)
        }
    };
}

/// Mapped bytes as a `&[u8]`; unmapped when dropped. Needs the file no longer once it is made.
///
/// An access where the file has no byte any more kills the process. A [`View`](crate::View) of a
/// [`Mapping`](crate::Mapping) answers an error, and needs no promise that the file holds still.
pub struct Mmap {
    range: MappedRange,
}

impl Mmap {
    /// Maps all of a file for reading. [`MapOptions::read_only`](crate::MapOptions::read_only) needs no promise.
    ///
    /// # Errors
    /// As [`MmapOptions::map`].
    ///
    /// # Safety
    /// The duties 1 and 2 of [`MmapOptions::map`].
    pub unsafe fn map<T: MmapAsRawDesc>(file: T) -> io::Result<Self> {
        // SAFETY: duties 1 and 2 are our caller's.
        unsafe { MmapOptions::new().map(file) }
    }

    /// Maps all of a file for reading if the kernel keeps it from changing; see [`MmapOptions::map_if_safe`].
    ///
    /// # Errors
    /// As [`MmapOptions::map_if_safe`].
    pub fn map_if_safe<T: MmapAsRawDesc>(file: T) -> Result<Self, MapIfSafeError> {
        MmapOptions::new().map_if_safe(file)
    }

    /// Allows stores: mprotect(2). [`Mapping::protect`](crate::Mapping::protect) does the same.
    ///
    /// Who has promised about the bytes has promised about these stores, too: duties 1 and 3 of
    /// [`MmapOptions::map_mut`].
    ///
    /// # Errors
    /// As mprotect(2): `EACCES` for a shared mapping of a file that was not opened for writing. The mapping is then
    /// gone.
    pub fn make_mut(self) -> io::Result<MmapMut> {
        self.range.protect(Protection::ReadWrite)?;
        Ok(MmapMut { range: self.range })
    }

    verbs_of_all!();
}

/// Mapped bytes as a `&mut [u8]`; unmapped when dropped, without waiting for the disk.
///
/// An access where the file has no byte any more, or the disk no room, kills the process. A [`View`](crate::View) of a
/// [`Mapping`](crate::Mapping) answers an error, and needs no promise; for memory without a file see
/// [`AnonMap`](crate::AnonMap).
pub struct MmapMut {
    range: MappedRange,
}

impl MmapMut {
    /// Maps all of a file for reading and writing. [`MapOptions::read_write`](crate::MapOptions::read_write) needs no
    /// promise.
    ///
    /// # Errors
    /// As [`MmapOptions::map_mut`].
    ///
    /// # Safety
    /// The duties 1 to 3 of [`MmapOptions::map_mut`].
    pub unsafe fn map_mut<T: MmapAsRawDesc>(file: T) -> io::Result<Self> {
        // SAFETY: duties 1 to 3 are our caller's.
        unsafe { MmapOptions::new().map_mut(file) }
    }

    /// Makes `length` bytes of memory of this process alone, full of zeros. [`AnonMap::new`](crate::AnonMap::new) does
    /// the same.
    ///
    /// # Errors
    /// As [`MmapOptions::map_anon`].
    pub fn map_anon(length: usize) -> io::Result<Self> {
        MmapOptions::new().len(length).map_anon()
    }

    /// Forbids stores: mprotect(2). [`Mapping::protect`](crate::Mapping::protect) does the same.
    ///
    /// # Errors
    /// As mprotect(2). The mapping is then gone.
    pub fn make_read_only(self) -> io::Result<Mmap> {
        self.range.protect(Protection::ReadOnly)?;
        Ok(Mmap { range: self.range })
    }

    /// Forbids stores and allows to run the bytes as code: mprotect(2). [`Protection::ReadExecute`] of a
    /// [`Mapping`](crate::Mapping) is the same.
    ///
    /// On processors that keep instructions in a cache of their own, such as aarch64, that cache has to be told.
    ///
    /// # Errors
    /// As mprotect(2): `EACCES` where the system or the file system allows no such code. The mapping is then gone.
    pub fn make_exec(self) -> io::Result<Mmap> {
        self.range.protect(Protection::ReadExecute)?;
        Ok(Mmap { range: self.range })
    }

    verbs_of_writers!();
    verbs_of_all!();
}

/// Mapped bytes as a pointer: what is done with it is the business, and the `unsafe`, of who does it.
///
/// A [`View`](crate::View) reads and writes the same bytes by safe accesses that answer an error where there is no
/// byte.
pub struct MmapRaw {
    range: MappedRange,
}

impl MmapRaw {
    /// Maps all of a file for reading and writing; see [`MmapOptions::map_raw`].
    ///
    /// # Errors
    /// As [`MmapOptions::map_raw`].
    pub fn map_raw<T: MmapAsRawDesc>(file: T) -> io::Result<Self> {
        MmapOptions::new().map_raw(file)
    }

    /// Answers the address of the first byte, for reading.
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.range.first()
    }

    /// Answers the address of the first byte, for writing as well, if the mapping allows it.
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.range.first()
    }

    /// Counts the bytes mapped.
    #[inline]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Tells whether no bytes are mapped.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    verbs_of_writers!();
    verbs_of_all!();
}

impl Deref for Mmap {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range is mapped as long as `self` lives, can be read, and has `len` initialised bytes, at most
        // `isize::MAX` (invariant of `MappedRange`). They hold still and stay there while the slice is used by the
        // invariant at the top: duties 1 and 2 of the constructor, or the kernel's word (`map_if_safe`), or because
        // they are private.
        unsafe { slice::from_raw_parts(self.range.first(), self.range.len()) }
    }
}

impl Deref for MmapMut {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: as for `Mmap`; through `self` nobody writes while it is borrowed.
        unsafe { slice::from_raw_parts(self.range.first(), self.range.len()) }
    }
}

impl DerefMut for MmapMut {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the range can be written to, `&mut self` is the only way in through this handle, and
        // duty 3 of `map_mut` rules out others.
        unsafe { slice::from_raw_parts_mut(self.range.first(), self.range.len()) }
    }
}

impl AsRef<[u8]> for Mmap {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for MmapMut {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for MmapMut {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl From<Mmap> for MmapRaw {
    fn from(map: Mmap) -> Self {
        Self { range: map.range }
    }
}

impl From<MmapMut> for MmapRaw {
    fn from(map: MmapMut) -> Self {
        Self { range: map.range }
    }
}

/// Shows a handle by its address and length, never by its bytes.
macro_rules! debug_by_address {
    ($($handle:ident)*) => {$(
        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($handle))
                    .field("ptr", &self.range.first().cast_const())
                    .field("len", &self.range.len())
                    .finish()
            }
        }
    )*};
}

debug_by_address!(Mmap MmapMut MmapRaw);

#[cfg(test)]
mod tests {
    use std::fs::File;

    use mapio_testkit::FileAt;

    use super::*;

    /// The borrows here are what Miri looks at.
    #[test]
    fn slices_pointers_and_verbs_take_turns_on_the_same_bytes() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 100], 0).unwrap();
        // SAFETY: the file has no name and is written to here alone, while no slice is in use; it has all the bytes.
        let mut map = unsafe { MmapOptions::new().offset(10).len(20).map_mut(&file) }.unwrap();
        map[19] = 8;
        let first = map.as_mut_ptr();
        // SAFETY: the first byte of a mapping that can be written to, which no slice is in use of.
        unsafe { first.write(9) };
        assert_eq!((map[0], map[1], map[19]), (9, 7, 8));
        map.flush_range(0, 20).unwrap();
        let mut raw = MmapRaw::from(map.make_read_only().unwrap().make_mut().unwrap());
        // SAFETY: the file has the bytes, and no address is used afterwards.
        unsafe { raw.remap(90, RemapOptions::new().may_move(true)) }.unwrap();
        // SAFETY: the last byte of a mapping that can be read.
        assert_eq!((raw.len(), unsafe { raw.as_ptr().wrapping_add(89).read() }), (90, 7));
        drop(raw);
        assert_eq!(bytes(&file, 9..11), [7, 9]);
        assert_eq!(bytes(&file, 28..31), [7, 8, 7]);
    }

    fn bytes(file: &File, range: std::ops::Range<u64>) -> Vec<u8> {
        range
            .map(|at| {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                byte[0]
            })
            .collect()
    }

    #[test]
    fn anonymous_memory_of_no_bytes_can_grow() {
        let mut memory = MmapMut::map_anon(0).unwrap();
        assert!(memory.is_empty());
        // SAFETY: private memory has any byte, and no address is kept.
        unsafe { memory.remap(5000, RemapOptions::new().may_move(true)) }.unwrap();
        memory.fill(3);
        let memory = memory.make_read_only().unwrap();
        assert_eq!(memory[..], [3; 5000]);
        memory.lock().unwrap();
        assert!(memory.advise_range(Advice::Normal, 4999, 2).is_err());
    }
}
