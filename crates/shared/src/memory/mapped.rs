//! The memory of mapped objects.
//!
//! Everything that is done once a message or a lock is inlined, whatever the compiler thinks of it: an access is one
//! instruction, and only its failure, which is not inlined, is long.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mapio_map::{AtomicInteger, AtomicView, Fault, Mapping, View, descriptor};

use super::Ordering;
use crate::error::Error;
use crate::sys::{self, ByteRange, Hold, Locks, Parking};

/// A part of a mapped object; clones are of the same bytes.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    mapping: Arc<Mapping>,
    /// By which the handle takes part.
    locks: Arc<Locks>,
    /// By which it sleeps and wakes others.
    parking: Arc<Parking>,
    /// What errors call the object.
    object: Arc<str>,
    /// First byte, from the start of the mapping, which has `start + len` bytes or more.
    start: usize,
    len: usize,
}

impl Memory {
    /// All of a mapping.
    pub(crate) fn new(mapping: Arc<Mapping>, object: Arc<str>) -> Self {
        let len = mapping.len();
        Self { mapping, locks: Arc::default(), parking: Arc::default(), object, start: 0, len }
    }

    /// The same memory, with other locks than those on its file's bytes.
    pub(crate) fn with_locks(self, locks: Locks) -> Self {
        Self { locks: Arc::new(locks), ..self }
    }

    /// The same memory, whose sleepers are found by a name in the kernel.
    pub(crate) fn with_names(self, full_name: &str) -> Self {
        Self { parking: Arc::new(Parking::of_section(full_name)), ..self }
    }

    /// Locks bytes for this handle; `false` if another's lock on some of them forbids it. Does not block.
    pub(crate) fn try_lock(&self, bytes: ByteRange, hold: Hold) -> io::Result<bool> {
        self.locks.try_lock(descriptor::of(&*self.mapping), bytes, hold)
    }

    /// Gives up what this handle holds of a range.
    pub(crate) fn unlock(&self, bytes: ByteRange) -> io::Result<()> {
        self.locks.unlock(descriptor::of(&*self.mapping), bytes)
    }

    /// Whether another handle has locked any byte of a range.
    pub(crate) fn has_other_locks(&self, bytes: ByteRange) -> io::Result<bool> {
        self.locks.has_others(descriptor::of(&*self.mapping), bytes)
    }

    /// The bytes of a range that other handles have locked, `most` at most, in no order.
    pub(crate) fn other_locks(&self, bytes: ByteRange, most: usize) -> io::Result<Vec<u64>> {
        self.locks.others(descriptor::of(&*self.mapping), bytes, most)
    }

    /// Whether the system ends it with its last handle, so that it can't be found without users.
    pub(crate) fn ends_by_itself(&self) -> bool {
        self.locks.are_of_section()
    }

    /// `len` bytes from `offset`.
    ///
    /// # Errors
    /// There are not as many.
    pub(crate) fn part(&self, offset: usize, len: usize) -> Result<Self, Error> {
        if self.len.checked_sub(len).is_none_or(|last| offset > last) {
            let reason = format!("{len} bytes at byte {offset} lie outside, it has {} bytes", self.len);
            return Err(Error::invalid(&*self.object, reason));
        }
        Ok(Self { start: self.start + offset, len, ..self.clone() })
    }

    /// Bytes in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What errors call the object.
    pub(crate) fn object(&self) -> &str {
        &self.object
    }

    /// The mapping that it is a part of.
    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// A window on all of it.
    #[inline(always)]
    pub(crate) fn view(&self) -> View<'_> {
        let part = self.mapping.view().slice(self.start..self.start + self.len);
        part.unwrap_or_else(|_| unreachable!("inside the mapping, which does not shrink"))
    }

    /// `len` bytes from `offset`, for as long as something is done there: cheaper than as many accesses of their own.
    #[inline(always)]
    pub(crate) fn window(&self, offset: usize, len: usize) -> Result<Window<'_>, Error> {
        let start = self.start + offset;
        match self.mapping.view().slice(start..start.saturating_add(len)) {
            Ok(view) if offset.saturating_add(len) <= self.len => Ok(Window { view, start, memory: self }),
            Ok(_) => Err(self.corrupt(offset, "a part lies outside")),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    /// The word of 4 bytes at `offset`, a multiple of 4.
    #[inline(always)]
    pub(crate) fn u32(&self, offset: usize) -> Result<Word<'_, u32>, Error> {
        self.word(offset)
    }

    /// The word of 8 bytes at `offset`, a multiple of 8.
    #[inline(always)]
    pub(crate) fn u64(&self, offset: usize) -> Result<Word<'_, u64>, Error> {
        self.word(offset)
    }

    #[inline(always)]
    fn word<T: AtomicInteger>(&self, offset: usize) -> Result<Word<'_, T>, Error> {
        match self.mapping.view().atomic(self.start + offset) {
            Ok(view) if offset + size_of::<T>() <= self.len => Ok(Word { view, start: 0, at: self.start + offset, memory: self }),
            Ok(_) => Err(self.corrupt(offset, "a word lies outside")),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    /// Copies bytes out.
    #[inline(always)]
    pub(crate) fn read(&self, offset: usize, buf: &mut [u8]) -> Result<(), Error> {
        self.view().read_exact_at(offset, buf).map_err(|fault| self.fault(fault))
    }

    /// Copies bytes in.
    #[inline(always)]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.view().write_all_at(offset, bytes).map_err(|fault| self.fault(fault))
    }

    /// Where a byte of the mapping is in the object, by which its sleepers are known to all who have it mapped.
    fn place(&self, at: usize) -> sys::Spot<'_> {
        sys::Spot { file: descriptor::of(&*self.mapping), offset: self.mapping.file_offset_of(at) }
    }

    /// The error for a value at `offset` that breaks the rules.
    #[cold]
    #[inline(never)]
    pub(crate) fn corrupt(&self, offset: usize, reason: &'static str) -> Error {
        let offset = self.mapping.file_offset_of(self.start + offset);
        Error::Corrupt { object: self.object.to_string(), offset, reason }
    }

    /// The error for bytes that are not to be had.
    #[cold]
    #[inline(never)]
    pub(crate) fn fault(&self, fault: Fault) -> Error {
        self.fault_from(0, fault)
    }

    /// The same for a fault that is counted from byte `start` of the mapping.
    #[cold]
    #[inline(never)]
    fn fault_from(&self, start: usize, fault: Fault) -> Error {
        let mut source = fault;
        source.offset += start;
        Error::Fault { object: self.object.to_string(), source }
    }
}

/// A part of a [`Memory`] that was looked up once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    view: View<'a>,
    /// Where it begins in the mapping, from which faults are counted.
    start: usize,
    memory: &'a Memory,
}

impl<'a> Window<'a> {
    /// The word of 8 bytes at `offset`, a multiple of 8.
    #[inline(always)]
    pub(crate) fn u64(&self, offset: usize) -> Result<Word<'a, u64>, Error> {
        match self.view.atomic(offset) {
            Ok(view) => Ok(Word { view, start: self.start, at: self.start + offset, memory: self.memory }),
            Err(fault) => Err(self.memory.fault_from(self.start, fault)),
        }
    }

    /// Copies bytes out.
    #[inline(always)]
    pub(crate) fn read(&self, offset: usize, buf: &mut [u8]) -> Result<(), Error> {
        self.view.read_exact_at(offset, buf).map_err(|fault| self.memory.fault_from(self.start, fault))
    }

    /// Copies bytes in.
    #[inline(always)]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.view.write_all_at(offset, bytes).map_err(|fault| self.memory.fault_from(self.start, fault))
    }
}

/// An integer on which processes agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word<'a, T> {
    view: AtomicView<'a, T>,
    /// What the view counts from, in the mapping.
    start: usize,
    /// Where it is in the mapping.
    at: usize,
    memory: &'a Memory,
}

impl<T: AtomicInteger> Word<'_, T> {
    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> Result<T, Error> {
        self.view.load(order).map_err(|fault| self.memory.fault_from(self.start, fault))
    }

    #[inline(always)]
    pub(crate) fn store(&self, value: T, order: Ordering) -> Result<(), Error> {
        self.view.store(value, order).map_err(|fault| self.memory.fault_from(self.start, fault))
    }

    #[inline(always)]
    pub(crate) fn fetch_add(&self, value: T, order: Ordering) -> Result<T, Error> {
        self.view.fetch_add(value, order).map_err(|fault| self.memory.fault_from(self.start, fault))
    }

    /// The outer error is the object's; the inner result is that of `core`.
    #[inline(always)]
    pub(crate) fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Result<T, T>, Error> {
        self.view.compare_exchange(current, new, success, failure).map_err(|fault| self.memory.fault_from(self.start, fault))
    }
}

impl Word<'_, u32> {
    /// Sleeps while the value is `expected`; `false` if the time was over.
    pub(crate) fn wait(&self, expected: u32, timeout: Duration) -> Result<bool, Error> {
        let waited = self.memory.parking.wait(&self.view, self.memory.place(self.at), expected, timeout);
        waited.map_err(|fault| self.memory.fault_from(self.start, fault))
    }

    /// Wakes up to `count` who sleep on it.
    pub(crate) fn wake(&self, count: u32) -> Result<(), Error> {
        self.wake_and_count(count).map(drop)
    }

    /// Wakes up to `count` who sleep on it; answers how many.
    pub(crate) fn wake_and_count(&self, count: u32) -> Result<u32, Error> {
        let woken = self.memory.parking.wake(&self.view, self.memory.place(self.at), count);
        woken.map_err(|fault| self.memory.fault_from(self.start, fault))
    }
}
