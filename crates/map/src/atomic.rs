//! Atomic integers in mapped memory: bytes through which threads and processes agree.
//!
//! `core::sync::atomic` can't be used on a mapping: it wants a reference or a valid pointer to memory that never goes
//! away, and a load of a file that was cut short would kill. Here are the same operations as guarded accesses of
//! `arch`.
//!
//! Invariant of [`AtomicView`], on which every `unsafe` block here rests, besides V1 and V2 of `view.rs`:
//! - V3: its view has exactly the bytes of one `T`, at an address that is a multiple of its size.
#![expect(unsafe_code, reason = "guarded atomic accesses")]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{BitAnd, BitOr, BitXor, Not};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::arch::FaultWord;
use crate::arch::atomic::Atomic;
use crate::fault::{Access, Fault, FaultKind};
use crate::options::MapMode;
use crate::sys::{self, Region, errno};
use crate::view::View;

/// An integer that an [`AtomicView`] may stand for: `u8`, `u16`, `u32` or `u64`.
///
/// The trait is sealed: these are what processors have atomic instructions for.
pub trait AtomicInteger:
    Atomic
    + fmt::Debug
    + Ord
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
    + Send
    + Sync
    + 'static
{
    #[doc(hidden)]
    fn negated(self) -> Self;
}

macro_rules! atomic_integer {
    ($($int:ty),+) => {$(
        impl AtomicInteger for $int {
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
        }
    )+};
}

atomic_integer!(u8, u16, u32, u64);

/// An atomic integer in a mapped file; made by [`View::atomic`].
///
/// The operations, and what they order, are those of `core::sync::atomic`; each also answers a [`Fault`] when the bytes
/// are not to be had. One that faults has changed nothing. None blocks except as a page fault does, for the disk.
///
/// An operation is atomic, and orders, between all threads of all processes that have the file mapped and use atomics
/// of the same width at the same bytes; of other languages too, as far as their compilers translate atomics as Rust's
/// does. How it goes together with other accesses to these bytes is not promised. The value is in the machine's byte
/// order. Who can open the file can store any value at any time: check what is loaded, and let no `unsafe` code rest on
/// it.
///
/// ```
/// use std::sync::atomic::Ordering::Relaxed;
/// # use mapio_map::MapOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, [0; 64])?;
/// let (mine, yours) = (MapOptions::read_write().open(&path)?, MapOptions::read_write().open(&path)?);
/// let visits = mine.view().atomic::<u64>(8)?;
/// assert_eq!(visits.fetch_add(1, Relaxed)?, 0);
/// assert_eq!(yours.view().atomic::<u64>(8)?.fetch_add(1, Relaxed)?, 1); // As another process would.
/// assert_eq!(visits.load(Relaxed)?, 2);
/// # Ok(())
/// # }
/// ```
///
/// # Crashes
/// A value that an operation has stored is in the page cache, unless the mapping is copy-on-write: every process sees
/// it from then on, and it survives the death of this one at any instruction. [`View::flush`] makes it survive the
/// death of the machine; without that, an older value may be found afterwards, even beside newer values of other words.
/// A file that is cut short loses the value: when it has grown again, it is 0.
///
/// # Errors
/// All operations have the same: any fault of a [`View`] except `OutOfBounds` and `Misaligned`, with the offset in the
/// view that this was made from. The access is `Read` for [`load`](Self::load), and `Write` for the others. In a
/// read-only mapping those answer [`Protection`](FaultKind::Protection), also an exchange whose comparison fails; only
/// [`fetch_update`](Self::fetch_update) may find that it has nothing to store.
///
/// # Platforms
/// Linux. On x86-64 and aarch64 an operation is one guarded instruction, or two. On other processors it is one of
/// core's, on the 8 bytes (4, where atomics are not wider) in which the value lies; and there:
/// - A fault that an operation meets poisons the mapping: a page of zeros takes the place of the one that is not to be
///   had, and from then on every access to this mapping, by whatever view and of whatever kind, answers that fault.
///   Mapping the file again makes a fresh start. What plain accesses meet poisons nothing.
/// - An operation that another thread's fault has poisoned the mapping under may answer the fault and have been done.
/// - The values of an [`AtomicMapping`](crate::AtomicMapping)'s views, and `u64` where the processor has no atomics of
///   that width, answer [`Unsupported`](FaultKind::Unsupported).
#[doc(alias = "AtomicU8")]
#[doc(alias = "AtomicU16")]
#[doc(alias = "AtomicU32")]
#[doc(alias = "AtomicU64")]
#[derive(Debug, Clone, Copy)]
pub struct AtomicView<'a, T> {
    /// The bytes of the value, and no others; see V3.
    bytes: View<'a>,
    /// Where they are in the view that this was made from, for faults.
    offset: usize,
    value: PhantomData<T>,
}

impl<'a, T: AtomicInteger> AtomicView<'a, T> {
    /// The integer that consists of `bytes`, which are as V3 says, at `offset` of the view that they were taken from.
    #[inline]
    pub(crate) fn new(bytes: View<'a>, offset: usize) -> Self {
        debug_assert!(bytes.len() == size_of::<T>() && bytes.address(0).addr().is_multiple_of(size_of::<T>()));
        Self { bytes, offset, value: PhantomData }
    }

    /// Loads the value.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    ///
    /// # Panics
    /// If `order` is `Release` or `AcqRel`.
    #[inline]
    #[track_caller]
    pub fn load(&self, order: Ordering) -> Result<T, Fault> {
        check_load(order);
        // SAFETY: the address is in a mapping (V1) and aligned (V3); V2.
        let loaded = unsafe { T::load(self.bytes.address(0), order) };
        loaded.map_err(|word| self.fault(word, Access::Read))
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    ///
    /// # Panics
    /// If `order` is `Acquire` or `AcqRel`.
    #[inline]
    #[track_caller]
    pub fn store(&self, value: T, order: Ordering) -> Result<(), Fault> {
        assert!(!matches!(order, Ordering::Acquire), "there is no such thing as an acquire store");
        assert!(!matches!(order, Ordering::AcqRel), "there is no such thing as an acquire-release store");
        self.check_writable()?;
        // SAFETY: as in `load`.
        let stored = unsafe { T::store(self.bytes.address(0), value, order) };
        stored.map_err(|word| self.fault(word, Access::Write))
    }

    /// Stores a value and answers the one before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[doc(alias = "exchange")]
    #[inline]
    pub fn swap(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.check_writable()?;
        // SAFETY: as in `load`.
        let before = unsafe { T::swap(self.bytes.address(0), value, order) };
        before.map_err(|word| self.fault(word, Access::Write))
    }

    /// Stores `new` if the value is `current`; answers the value before, as `Ok` if `new` was stored, else as `Err`.
    ///
    /// # Errors
    /// The outer error: those of the [type](Self#errors).
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[doc(alias = "compare_and_swap")]
    #[doc(alias = "cmpxchg")]
    #[inline]
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Result<T, T>, Fault> {
        assert!(!matches!(failure, Ordering::Release), "there is no such thing as a release failure ordering");
        assert!(!matches!(failure, Ordering::AcqRel), "there is no such thing as an acquire-release failure ordering");
        match self.exchange(current, new, success, failure) {
            Ok(found) if found == current => Ok(Ok(found)),
            // Where nothing is stored, not every processor finds out that nothing may be.
            Ok(_) if self.bytes.mapping().mode() == MapMode::ReadOnly => Err(self.protection()),
            Ok(found) => Ok(Err(found)),
            Err(word) => Err(self.fault(word, Access::Write)),
        }
    }

    /// Does what [`compare_exchange`](Self::compare_exchange) does, and may fail although the value is `current`.
    ///
    /// # Errors
    /// The outer error: those of the [type](Self#errors).
    ///
    /// # Panics
    /// If `failure` is `Release` or `AcqRel`.
    #[inline]
    #[track_caller]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Result<T, T>, Fault> {
        self.compare_exchange(current, new, success, failure)
    }

    /// Adds to the value, wrapping around; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[doc(alias = "xadd")]
    #[inline]
    pub fn fetch_add(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.check_writable()?;
        // SAFETY: as in `load`.
        let before = unsafe { T::fetch_add(self.bytes.address(0), value, order) };
        before.map_err(|word| self.fault(word, Access::Write))
    }

    /// Subtracts from the value, wrapping around; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_sub(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.fetch_add(value.negated(), order)
    }

    /// Makes the value its bitwise "and" with `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_and(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| before & value)
    }

    /// Makes the value the complement of its bitwise "and" with `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_nand(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| !(before & value))
    }

    /// Makes the value its bitwise "or" with `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_or(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| before | value)
    }

    /// Makes the value its bitwise "exclusive or" with `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_xor(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| before ^ value)
    }

    /// Makes the value the greater of it and `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_max(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| before.max(value))
    }

    /// Makes the value the lesser of it and `value`; answers the value before.
    ///
    /// # Errors
    /// Those of the [type](Self#errors).
    #[inline]
    pub fn fetch_min(&self, value: T, order: Ordering) -> Result<T, Fault> {
        self.change(order, |before| before.min(value))
    }

    /// Stores what `update` makes of the value, unless that is `None`; answers the value before, as `Ok` if something
    /// was stored, else as `Err`.
    ///
    /// `update` is called again when somebody else has changed the value meanwhile. `set_order` is the ordering of the
    /// exchange that succeeds, `fetch_order` that of the loads before it.
    ///
    /// # Errors
    /// The outer error: those of the [type](Self#errors).
    ///
    /// # Panics
    /// If `fetch_order` is `Release` or `AcqRel`.
    #[doc(alias = "try_update")]
    #[inline]
    #[track_caller]
    pub fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        update: impl FnMut(T) -> Option<T>,
    ) -> Result<Result<T, T>, Fault> {
        check_load(fetch_order);
        self.update(set_order, fetch_order, update).map_err(|word| self.fault(word, Access::Write))
    }

    /// Stores what `change` makes of the value; answers the value before.
    #[inline]
    fn change(&self, order: Ordering, change: impl Fn(T) -> T) -> Result<T, Fault> {
        // The load only guesses, so it orders nothing: what counts is the exchange that succeeds. There is always
        // something to store, so there is always one.
        match self.update(order, Ordering::Relaxed, |before| Some(change(before))) {
            Ok(Ok(before) | Err(before)) => Ok(before),
            Err(word) => Err(self.fault(word, Access::Write)),
        }
    }

    /// Stores what `update` makes of the value, if anything; answers the value before. It is done again only when
    /// somebody else has changed the value meanwhile, so among all who do this at once, one always comes to its end.
    #[inline(always)]
    fn update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        mut update: impl FnMut(T) -> Option<T>,
    ) -> Result<Result<T, T>, FaultWord> {
        // SAFETY: as in `load`.
        let mut current = unsafe { T::load(self.bytes.address(0), fetch_order) }?;
        while let Some(new) = update(current) {
            let found = self.exchange(current, new, set_order, fetch_order)?;
            if found == current {
                return Ok(Ok(current));
            }
            current = found;
        }
        Ok(Err(current))
    }

    /// Stores `new` if the value is `current`; answers the value before.
    #[inline(always)]
    fn exchange(&self, current: T, new: T, success: Ordering, failure: Ordering) -> Result<T, FaultWord> {
        if self.check_writable().is_err() {
            return Err(FaultWord::new(self.bytes.address(0).addr(), None));
        }
        // SAFETY: as in `load`.
        unsafe { T::compare_exchange(self.bytes.address(0), current, new, success, failure) }
    }

    /// Refuses what stores into a read-only mapping, where such a fault would poison the mapping.
    #[inline(always)]
    fn check_writable(&self) -> Result<(), Fault> {
        if Region::ATOMICS_POISON && self.bytes.mapping().mode() == MapMode::ReadOnly {
            Err(self.protection())
        } else {
            Ok(())
        }
    }

    /// What a fault of the instruction means. It lies within one page, as V3 has it, so its first byte is meant.
    #[cold]
    fn fault(&self, word: FaultWord, access: Access) -> Fault {
        Fault { offset: self.offset, ..self.bytes.fault(word, 0, access) }
    }

    #[cold]
    fn protection(&self) -> Fault {
        Fault { offset: self.offset, kind: FaultKind::Protection, access: Access::Write }
    }
}

impl AtomicView<'_, u32> {
    /// Sleeps while the value is `expected`, until [`wake`](Self::wake) is called on the same word by anybody, or
    /// `timeout` is over; `None` waits as long as it takes. Answers `false` if the time was over.
    ///
    /// It also comes back, with `true`, when the value is another one already, when a signal was handled, and for no
    /// reason at all: load the value again. The kernel compares and falls asleep in one step, so a waker that changes
    /// the value first is never missed. One that dies before it wakes is: who must survive that passes a `timeout`.
    /// On Windows, which finds sleepers by their address in one process, only a wake of this process ends the wait: who
    /// waits for another process passes a short `timeout`, and looks again.
    ///
    /// A read-only mapping is enough. In a copy-on-write mapping the kernel makes the page the process's own, as a
    /// store does, so that nothing of others is seen from then on: don't wait there.
    ///
    /// # Errors
    /// Any fault of a load: the word is not to be had. `Io` where the system has no such call.
    #[doc(alias = "futex")]
    pub fn wait(&self, expected: u32, timeout: Option<Duration>) -> Result<bool, Fault> {
        // SAFETY: in a mapping (V1), and aligned (V3).
        let waited = unsafe { sys::futex_wait(self.bytes.address(0).cast(), expected, timeout) };
        waited.map_err(|error| self.futex_fault(&error, Access::Read))
    }

    /// Wakes up to `count` of those who [`wait`](Self::wait) on this word, in any process; answers how many.
    ///
    /// On Windows only threads of this process are woken, those at another mapping of the same file included, all of
    /// them; a thread may then be woken that sleeps on another word.
    ///
    /// It costs a system call, even where nobody waits. It orders nothing: change the value first, atomically.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    #[doc(alias = "futex")]
    pub fn wake(&self, count: u32) -> Result<u32, Fault> {
        // SAFETY: as in `wait`.
        let woken = unsafe { sys::futex_wake(self.bytes.address(0).cast(), count) };
        woken.map_err(|error| self.futex_fault(&error, Access::Read))
    }

    /// What a refusal means: a word that is not there faults in the kernel as it does here.
    #[cold]
    fn futex_fault(&self, error: &io::Error, access: Access) -> Fault {
        if errno::is_bad_address(error) {
            return self.fault(FaultWord::new(self.bytes.address(0).addr(), None), access);
        }
        let number = error.raw_os_error().unwrap_or(errno::NO_CALL);
        Fault { offset: self.offset, kind: FaultKind::Io(number), access }
    }
}

/// Refuses what is not an ordering of loads.
#[inline(always)]
#[track_caller]
fn check_load(order: Ordering) {
    assert!(!matches!(order, Ordering::Release), "there is no such thing as a release load");
    assert!(!matches!(order, Ordering::AcqRel), "there is no such thing as an acquire-release load");
}

/// For Miri, which has atomics of `core` below this file and checks bounds, alignment and what the orderings publish.
/// The whole contract, on real mappings, is in `tests/it`.
#[cfg(test)]
mod tests {
    use std::cell::UnsafeCell;
    use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

    use crate::{MapOptions, Mapping};

    /// A mapping of a page of zeros.
    fn mapping() -> Mapping {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        MapOptions::read_write().map(&file).unwrap()
    }

    #[test]
    fn every_operation_stays_inside_its_bytes() {
        let mapping = mapping();
        let view = mapping.view().slice(8..24).unwrap();
        macro_rules! width {
            ($int:ty) => {
                view.fill(.., 0xee).unwrap();
                let word = view.atomic::<$int>(8).unwrap();
                word.store(3, Release).unwrap();
                assert_eq!(word.load(Acquire), Ok(3));
                assert_eq!(word.swap(4, AcqRel), Ok(3));
                assert_eq!(word.compare_exchange(4, 5, SeqCst, Relaxed), Ok(Ok(4)));
                assert_eq!(word.compare_exchange_weak(4, 6, Release, Acquire), Ok(Err(5)));
                assert_eq!(word.fetch_add(<$int>::MAX, Relaxed), Ok(5));
                assert_eq!(word.fetch_sub(1, Acquire), Ok(4));
                assert_eq!(word.fetch_or(8, Release), Ok(3));
                assert_eq!(word.fetch_and(9, AcqRel), Ok(11));
                assert_eq!(word.fetch_xor(1, SeqCst), Ok(9));
                assert_eq!(word.fetch_nand(8, Relaxed), Ok(8));
                assert_eq!(word.fetch_min(7, Relaxed), Ok(!8));
                assert_eq!(word.fetch_max(9, Relaxed), Ok(7));
                assert_eq!(word.fetch_update(AcqRel, Acquire, |value| value.checked_add(1)), Ok(Ok(9)));
                assert_eq!(word.fetch_update(AcqRel, Acquire, |_| None), Ok(Err(10)));
                let mut expected = [0xee; 16];
                expected[8..8 + size_of::<$int>()].copy_from_slice(&(10 as $int).to_ne_bytes());
                assert_eq!(view.load::<[u8; 16]>(0), Ok(expected));
                assert!(view.atomic::<$int>(16 - size_of::<$int>() + 1).is_err());
                assert_eq!(view.atomic::<$int>(1).is_err(), size_of::<$int>() > 1);
            };
        }
        width!(u8);
        width!(u16);
        width!(u32);
        width!(u64);
    }

    /// Memory of Rust's that is handed from thread to thread by a word in a mapping.
    struct Handed(UnsafeCell<u32>);

    // SAFETY: the tests access it only while they own it by the word.
    unsafe impl Sync for Handed {}

    impl Handed {
        fn add(&self, value: u32) -> u32 {
            let cell = self.0.get();
            // SAFETY: valid, and nobody else accesses it now.
            let before = unsafe { cell.read() };
            // SAFETY: as above.
            unsafe { cell.write(before + value) };
            before
        }
    }

    #[test]
    fn what_came_before_a_release_is_seen_after_the_acquire() {
        let mapping = mapping();
        let flag = mapping.view().atomic::<u32>(0).unwrap();
        let data = Handed(UnsafeCell::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                data.add(7);
                // R1: publishes `data`.
                flag.store(1, Release).unwrap();
            });
            // A1: pairs with R1 above.
            while flag.load(Acquire) != Ok(1) {
                std::thread::yield_now();
            }
            assert_eq!(data.add(0), 7);
        });
    }

    #[test]
    fn a_lock_taken_by_compare_exchange_excludes() {
        let mapping = mapping();
        let turns = if cfg!(miri) { 20 } else { 20_000 };
        let lock = mapping.view().atomic::<u8>(5).unwrap();
        let data = Handed(UnsafeCell::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..turns {
                        // A2: pairs with R2 of the owner before.
                        while lock.compare_exchange(0, 1, Acquire, Relaxed).unwrap().is_err() {
                            std::thread::yield_now();
                        }
                        data.add(1);
                        // R2: publishes `data` to the next owner.
                        lock.store(0, Release).unwrap();
                    }
                });
            }
        });
        assert_eq!(data.0.into_inner(), 3 * turns);
    }

    #[test]
    fn orderings_that_core_refuses_are_refused() {
        let mapping = mapping();
        let word = mapping.view().atomic::<u32>(0).unwrap();
        let refused: [(&str, &dyn Fn()); 8] = [
            ("release load", &|| _ = word.load(Release)),
            ("acquire-release load", &|| _ = word.load(AcqRel)),
            ("acquire store", &|| _ = word.store(1, Acquire)),
            ("acquire-release store", &|| _ = word.store(1, AcqRel)),
            ("release failure ordering", &|| _ = word.compare_exchange(0, 1, SeqCst, Release)),
            ("acquire-release failure ordering", &|| _ = word.compare_exchange_weak(0, 1, SeqCst, AcqRel)),
            ("release load", &|| _ = word.fetch_update(SeqCst, Release, Some)),
            ("acquire-release load", &|| _ = word.fetch_update(SeqCst, AcqRel, Some)),
        ];
        for (name, access) in refused {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(access)).unwrap_err();
            let message = panic.downcast_ref::<&str>().unwrap();
            assert!(message.starts_with("there is no such thing as a") && message.ends_with(name), "{message}");
        }
        assert_eq!(word.load(SeqCst), Ok(0));
    }
}
