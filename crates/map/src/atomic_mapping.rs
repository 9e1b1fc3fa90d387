//! Mappings that hold plain atomics: locks, counters, rings that processes share.
//!
//! A guarded access answers a fault, and has no read-modify-write. An object made of atomics wants core's own, and
//! these know nothing of faults. So here a page that faults is replaced by zeros that nobody else sees, the mapping is
//! marked as poisoned, and the access goes on; who uses it asks afterwards.
//!
//! Invariants, on which the `unsafe` blocks rest; docs/design/views.md has the argument:
//! - P1: the mapping's pages are readable and writable as long as the value lives, and faults there are repaired.
//! - P2: a byte is reached by references of one width only.
#![expect(unsafe_code, reason = "references to atomics in a mapping")]

use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

use crate::arch::FaultWord;
use crate::descriptor;
use crate::error::Error;
use crate::fault::{Access, Fault, FaultKind};
use crate::mapping::Mapping;
use crate::options::{MapMode, Protection};
use crate::page::PageRange;
use crate::sys::{self, Registration};
use crate::view::View;
use crate::widths::Widths;

/// A mapping whose bytes are used through core's atomics, and whose faults poison it instead of killing the process.
///
/// An access to a byte that is not to be had, because the file was cut or its file system is full, meets a page of
/// zeros instead, which is private to this mapping and stays until it is dropped. From then on the mapping is
/// [poisoned](Self::check). **What an operation has read may be such zeros, and what it has stored may have reached
/// nobody: ask [`check`](Self::check) after its last access and before its answer is believed.** Pages that have not
/// faulted go on being shared.
///
/// Whoever else has the file stores what he likes there. A value that is read is one to be checked, not to be trusted.
///
/// ```ignore-windows
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use mapio_map::{AtomicMapping, MapOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let file = tempfile::tempfile()?;
/// file.set_len(4096)?;
/// let shared = AtomicMapping::new(MapOptions::read_write().map(&file)?)?;
/// let counter = shared.get::<AtomicU32>(8)?;
/// counter.fetch_add(1, Ordering::Relaxed);
/// shared.check()?;
///
/// # #[cfg(not(miri))] {
/// file.set_len(0)?; // Somebody else cuts the file short.
/// assert_eq!(counter.fetch_add(1, Ordering::Relaxed), 0);
/// assert!(shared.check().is_err());
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # What it does not do
/// It repairs no system calls: futex(2) or read(2) on an address of a page that is gone answer `EFAULT`. A thread that
/// blocks `SIGBUS` dies at such a page; see [`fault::status`](crate::fault::status). A `SIGSEGV`, as after mprotect(2),
/// still kills. Each run of replaced pages splits the mapping in two, and the system limits their number
/// (`vm.max_map_count`): beyond it, the fault kills.
///
/// # Platforms
/// Linux, on every processor. On Windows [`new`](Self::new) answers `Unsupported`: no page of a view can be replaced.
pub struct AtomicMapping {
    /// Has faults repaired. The first field, since fields are dropped in this order, and it must go before the mapping.
    registration: Registration,
    mapping: Mapping,
    /// Who may have which byte; counts from the address of the first byte, rounded down to a multiple of 8.
    widths: Widths,
    /// The first fault, found out about once, so that it is always the same.
    fault: OnceLock<Fault>,
}

impl AtomicMapping {
    /// Takes a mapping that allows stores, to use its bytes through atomics.
    ///
    /// The first one of a process installs the fault handler where views have no need of it.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for a mapping of that mode. [`Error::Os`] when there is no memory for its table of widths, a
    /// quarter of its length, or the handler cannot be installed; or when an [`AtomicView`](crate::AtomicView) has
    /// poisoned the mapping.
    pub fn new(mut mapping: Mapping) -> Result<Self, Error> {
        let (offset, len) = (mapping.file_offset(), mapping.len());
        let is_poisoned = mapping.refuse_atomics();
        let object = || sys::path_of(descriptor::of(&mapping));
        if mapping.mode() == MapMode::ReadOnly {
            return Err(Error::ReadOnly { object: object(), offset, len });
        }
        let os_error = |source| Error::Os { operation: "using atomics in", object: object(), offset, len, source };
        if is_poisoned {
            return Err(os_error(io::Error::other("a page of it was replaced by zeros after a fault")));
        }
        // Views survive pages that were protected by `Mapping::protect`; plain atomics would not (P1).
        mapping.on_pages("using atomics in", 0..len, |region, pages| region.protect(pages, Protection::ReadWrite))?;
        let addr = mapping.base().addr();
        let widths = Widths::new(addr % Widths::GROUP_BYTES + len);
        let widths = widths.ok_or_else(|| os_error(io::ErrorKind::OutOfMemory.into()))?;
        // SAFETY: duties 1 to 4 of `Registration::new`.
        // 1. The pages that hold a mapping's bytes are its pages, of its size; they may be
        //    read and written, by the call above.
        // 2. Accesses without a guard are made through references from `get` and `slice`, which borrow the value that
        //    holds the registration.
        // 3. It is the field before the mapping, and the mapping never leaves the value.
        // 4. Those references are to atomics, and every value of theirs is valid.
        let registration = unsafe { Registration::new(PageRange::around(addr, len, mapping.page_bytes())) };
        let registration = registration.map_err(os_error)?;
        Ok(Self { registration, mapping, widths, fault: OnceLock::new() })
    }

    /// The mapping.
    #[must_use]
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// A window on all of it, for data beside the atomics.
    ///
    /// An access through it that meets a fault answers that, and does not poison. A page that was replaced before is
    /// there: it reads as zeros, and nobody else sees what is stored. Bytes that are also used through atomics have,
    /// for each of these, one of the values stored, or a mixture where the widths differ. Where atomics of views are
    /// not guarded, there are none here; see [`AtomicView`](crate::AtomicView#platforms).
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.mapping.view()
    }

    /// Whether a page was ever replaced, so that what was read may be zeros, and what was stored lost.
    ///
    /// Who has accessed such a page and then asks is told. It costs a full memory fence.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.registration.fault().is_some()
    }

    /// Answers the first fault there was, if any: call this after the last access of an operation.
    ///
    /// It costs a full memory fence. After a fault, the first call asks about the file, which may block on its disk;
    /// later ones answer the same.
    ///
    /// # Errors
    /// What [`FaultKind`] says of faults, with the offset of the page that was replaced first (0 if the
    /// mapping starts in it). Whether it was read or written is not known: `access` is always `Write`.
    pub fn check(&self) -> Result<(), Fault> {
        match self.registration.fault() {
            None => Ok(()),
            Some(word) => Err(self.first_fault(word)),
        }
    }

    /// The atomic at `offset`, in bytes from the start of the mapping.
    ///
    /// A byte has the width by which it was first asked for, as long as the mapping lives: Rust does not allow
    /// atomics of different widths that overlap and are used at the same time.
    ///
    /// # Errors
    /// [`OutOfBounds`](FaultKind::OutOfBounds); [`Misaligned`](FaultKind::Misaligned) if the offset in the file is not
    /// a multiple of the width; [`MixedWidth`](FaultKind::MixedWidth).
    #[inline]
    pub fn get<A: PlainAtomic>(&self, offset: usize) -> Result<&A, Fault> {
        let base = self.place::<A>(offset, 1)?;
        // SAFETY: `place` has found one `A` there, aligned, and of this width alone (P2), in memory that stays readable
        // and writable as long as `self` is borrowed (P1); every byte is initialised, and any bytes are a valid value.
        Ok(unsafe { &*base })
    }

    /// `count` atomics side by side, the first at `offset`, in bytes from the start of the mapping.
    ///
    /// It takes a look at each 8 bytes, to find out whether they have another width. No atomics are always to be had.
    ///
    /// # Errors
    /// As [`get`](Self::get). With `MixedWidth`, those before the fault's offset may have got this width.
    pub fn slice<A: PlainAtomic>(&self, offset: usize, count: usize) -> Result<&[A], Fault> {
        let base = self.place::<A>(offset, count)?;
        if count == 0 {
            return Ok(&[]);
        }
        // SAFETY: as in `get`, for `count` values side by side. They lie inside a mapping, so they are no more than
        // `isize::MAX` bytes (`PageSpan`) and do not wrap.
        Ok(unsafe { std::slice::from_raw_parts(base, count) })
    }

    /// Where the first of `count` atomics is, if all of them lie inside, are aligned, and have this width: P2.
    #[inline]
    fn place<A: PlainAtomic>(&self, offset: usize, count: usize) -> Result<*const A, Fault> {
        let len = self.mapping.len();
        let inside = count.checked_mul(size_of::<A>()).and_then(|bytes| len.checked_sub(bytes));
        if inside.is_none_or(|last| offset > last) {
            return Err(Fault::out_of_bounds(offset, Access::Write, len));
        }
        let base = self.mapping.base();
        let place = base.wrapping_add(offset).cast::<A>();
        if count == 0 {
            return Ok(place);
        }
        // Mappings keep the place in the page, so this is what the offset in the file has, too.
        if !place.is_aligned() {
            return Err(refused(offset, FaultKind::Misaligned { align: align_of::<A>() }));
        }
        let lead = base.addr() % Widths::GROUP_BYTES;
        match self.widths.claim(lead + offset, count, size_of::<A>()) {
            Ok(()) => Ok(place),
            Err((at, width_bytes)) => Err(refused(at - lead, FaultKind::MixedWidth { width_bytes })),
        }
    }

    /// What the first fault means, from what the handler has noted.
    #[cold]
    fn first_fault(&self, word: FaultWord) -> Fault {
        *self.fault.get_or_init(|| {
            let page = word.page_addr() - word.page_addr() % self.mapping.page_bytes();
            let offset = page.saturating_sub(self.mapping.base().addr());
            // As a write, which fails for every reason that a read has, and for more.
            Fault { offset, kind: self.mapping.diagnose(word, offset, Access::Write), access: Access::Write }
        })
    }
}

/// A fault of an atomic that was not handed out; it would have allowed stores.
#[cold]
fn refused(offset: usize, kind: FaultKind) -> Fault {
    Fault { offset, kind, access: Access::Write }
}

impl fmt::Debug for AtomicMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicMapping")
            .field("mapping", &self.mapping)
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

/// An atomic of core that may lie in a mapping: `AtomicU8`, `AtomicU16`, `AtomicU32`, and `AtomicU64` where there is
/// one.
///
/// The others may not: any bytes must be a valid value, and mean the same to every process.
pub trait PlainAtomic: sealed::Sealed {}

mod sealed {
    /// Implemented for atomics of unsigned integers, whose alignment is their size.
    pub trait Sealed: Sync + Sized + 'static {}
}

macro_rules! atomics {
    ($($atomic:ty),*) => {
        $(
            impl $crate::atomic_mapping::sealed::Sealed for $atomic {}
            impl $crate::atomic_mapping::PlainAtomic for $atomic {}
            const _: () = assert!(align_of::<$atomic>() == size_of::<$atomic>());
        )*
    };
}

atomics!(AtomicU8, AtomicU16, AtomicU32);

#[cfg(target_has_atomic = "64")]
mod wide {
    atomics!(std::sync::atomic::AtomicU64);
}

// Windows has none: what is answered there is in `tests/it/windows.rs`.
#[cfg(all(test, not(windows)))]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::MapOptions;

    fn shared(offset: u64, len: usize) -> AtomicMapping {
        let file = tempfile::tempfile().unwrap();
        file.set_len(20_000).unwrap();
        AtomicMapping::new(MapOptions::read_write().offset(offset).len(len).map(&file).unwrap()).unwrap()
    }

    fn kind<T>(answer: Result<T, Fault>) -> Option<FaultKind> {
        answer.err().map(|fault| fault.kind)
    }

    #[test]
    fn atomics_inside_of_the_mapping_are_handed_out_and_no_others() {
        let shared = shared(0, 10_000);
        let outside = Some(FaultKind::OutOfBounds { view_len: 10_000 });
        assert_eq!(kind(shared.get::<AtomicU8>(9_999)), None);
        assert_eq!(kind(shared.get::<AtomicU64>(9_984)), None);
        for (offset, count) in [(9_992, 2), (10_000, 1), (10_001, 0), (0, 1251), (8, usize::MAX), (usize::MAX, 1)] {
            assert_eq!(kind(shared.slice::<AtomicU64>(offset, count)), outside, "{offset} {count}");
        }
        assert_eq!(kind(shared.get::<AtomicU32>(9_997)), outside);
        assert_eq!(kind(shared.get::<AtomicU32>(usize::MAX)), outside);
        assert_eq!(shared.slice::<AtomicU64>(16, 1000).unwrap().len(), 1000);
        assert_eq!(shared.slice::<AtomicU64>(10_000, 0).unwrap().len(), 0);
    }

    #[test]
    fn atomics_are_aligned_in_the_file() {
        let shared = shared(4097, 100);
        assert_eq!(kind(shared.get::<AtomicU8>(0)), None);
        assert_eq!(kind(shared.get::<AtomicU16>(1)), None);
        assert_eq!(kind(shared.get::<AtomicU32>(3)), None);
        assert_eq!(kind(shared.slice::<AtomicU64>(7, 2)), None);
        assert_eq!(kind(shared.get::<AtomicU16>(0)), Some(FaultKind::Misaligned { align: 2 }));
        assert_eq!(kind(shared.get::<AtomicU32>(4)), Some(FaultKind::Misaligned { align: 4 }));
        assert_eq!(kind(shared.slice::<AtomicU64>(8, 2)), Some(FaultKind::Misaligned { align: 8 }));
        assert!(shared.slice::<AtomicU64>(8, 0).unwrap().is_empty());
    }

    #[test]
    fn a_byte_keeps_the_width_by_which_it_was_asked_for_first() {
        let shared = shared(4, 100);
        shared.get::<AtomicU32>(4).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(shared.get::<AtomicU32>(4).unwrap().load(Ordering::Relaxed), 7);
        for (fault, offset) in [(shared.get::<AtomicU64>(4).err(), 4), (shared.slice::<AtomicU8>(0, 6).err(), 4)] {
            let fault = fault.unwrap();
            assert_eq!((fault.offset, fault.kind), (offset, FaultKind::MixedWidth { width_bytes: 4 }));
        }
        assert_eq!(kind(shared.get::<AtomicU16>(8)), None);
        assert_eq!(kind(shared.slice::<AtomicU32>(4, 2)), Some(FaultKind::MixedWidth { width_bytes: 2 }));
    }

    #[test]
    fn an_empty_mapping_holds_no_atomics() {
        let shared = shared(3, 0);
        assert_eq!(kind(shared.get::<AtomicU8>(0)), Some(FaultKind::OutOfBounds { view_len: 0 }));
        assert!(shared.slice::<AtomicU32>(0, 0).unwrap().is_empty());
        assert_eq!((shared.is_poisoned(), shared.check()), (false, Ok(())));
    }

    #[test]
    fn atomics_and_views_are_of_the_same_bytes() {
        let shared = shared(0, 4096);
        shared.view().store(8, 5u64).unwrap();
        let atomic = shared.get::<AtomicU64>(8).unwrap();
        assert_eq!(atomic.fetch_add(1, Ordering::Relaxed), 5);
        assert_eq!(shared.view().load::<u64>(8), Ok(6));
        assert_eq!(shared.check(), Ok(()));
    }

    #[test]
    fn a_read_only_mapping_is_refused_in_one_line() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64).unwrap();
        let refused = AtomicMapping::new(MapOptions::read_only().offset(8).map(&file).unwrap()).unwrap_err();
        assert!(matches!(refused, Error::ReadOnly { offset: 8, len: 56, .. }), "{refused:?}");
        assert!(refused.to_string().ends_with("(offset 0x8, 56 bytes): the mapping is read-only"), "{refused}");
        assert_eq!(io::Error::from(refused).kind(), io::ErrorKind::PermissionDenied);
        let own = AtomicMapping::new(MapOptions::copy_on_write().map(&file).unwrap()).unwrap();
        assert_eq!(own.get::<AtomicU8>(63).unwrap().swap(1, Ordering::Relaxed), 0);
    }
}
