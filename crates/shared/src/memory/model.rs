//! The memory of loom's models: a cell for each word.
//!
//! Data is cells of 8 bytes, loaded and stored relaxed: that is how
//! loom can tell data that was handed over from data that was merely there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, AtomicU64};
use loom::sync::{Arc, Condvar, Mutex};

use super::Ordering;
use crate::error::Error;

/// A part of a model's memory; clones are of the same bytes.
#[derive(Clone)]
pub(crate) struct Memory {
    cells: Arc<Cells>,
    start: usize,
    len: usize,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("start", &self.start).field("len", &self.len).finish_non_exhaustive()
    }
}

struct Cells {
    narrow: BTreeMap<usize, AtomicU32>,
    wide: BTreeMap<usize, AtomicU64>,
    /// The kernel's queue of sleepers, one for all words.
    queue: Mutex<()>,
    woken: Condvar,
}

impl Memory {
    /// `len` bytes of zeros: words of 4 bytes at the offsets given, words of 8 bytes and data wherever else.
    ///
    /// All cells come into being here, since loom takes that for an access that others must come after.
    pub(crate) fn zeros(len: usize, narrow: &[usize]) -> Self {
        let is_wide = |offset: &usize| !narrow.iter().any(|word| word / 8 == offset / 8);
        let cells = Cells {
            narrow: narrow.iter().map(|offset| (*offset, AtomicU32::new(0))).collect(),
            wide: (0..len).step_by(8).filter(is_wide).map(|offset| (offset, AtomicU64::new(0))).collect(),
            queue: Mutex::new(()),
            woken: Condvar::new(),
        };
        Self { cells: Arc::new(cells), start: 0, len }
    }

    pub(crate) fn part(&self, offset: usize, len: usize) -> Result<Self, Error> {
        assert!(offset + len <= self.len, "a part outside");
        Ok(Self { start: self.start + offset, len, ..self.clone() })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn object(&self) -> &str {
        "model"
    }

    pub(crate) fn u32(&self, offset: usize) -> Result<Word<'_, u32>, Error> {
        Ok(Word { cell: self.cells.narrow.get(&(self.start + offset)).expect("a word of 4 bytes"), memory: self })
    }

    pub(crate) fn u64(&self, offset: usize) -> Result<Word<'_, u64>, Error> {
        Ok(Word { cell: self.cells.wide.get(&(self.start + offset)).expect("a word of 8 bytes"), memory: self })
    }

    pub(crate) fn read(&self, offset: usize, buf: &mut [u8]) -> Result<(), Error> {
        for (i, bytes) in buf.chunks_mut(8).enumerate() {
            let value = self.u64(offset + 8 * i)?.load(Ordering::Relaxed)?;
            bytes.copy_from_slice(&value.to_ne_bytes()[..bytes.len()]);
        }
        Ok(())
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        for (i, bytes) in bytes.chunks(8).enumerate() {
            let mut value = [0; 8];
            value[..bytes.len()].copy_from_slice(bytes);
            self.u64(offset + 8 * i)?.store(u64::from_ne_bytes(value), Ordering::Relaxed)?;
        }
        Ok(())
    }

    pub(crate) fn corrupt(&self, offset: usize, reason: &'static str) -> Error {
        panic!("no model is damaged, but at {}: {reason}", self.start + offset);
    }
}

pub(crate) struct Word<'a, T: Cell> {
    cell: &'a T::Atomic,
    memory: &'a Memory,
}

/// An integer that has an atomic in loom.
pub(crate) trait Cell {
    type Atomic: 'static;
}

macro_rules! word {
    ($int:ty, $atomic:ty) => {
        impl Cell for $int {
            type Atomic = $atomic;
        }

        impl Word<'_, $int> {
            pub(crate) fn load(&self, order: Ordering) -> Result<$int, Error> {
                Ok(self.cell.load(order))
            }

            pub(crate) fn store(&self, value: $int, order: Ordering) -> Result<(), Error> {
                Ok(self.cell.store(value, order))
            }

            pub(crate) fn swap(&self, value: $int, order: Ordering) -> Result<$int, Error> {
                Ok(self.cell.swap(value, order))
            }

            pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> Result<$int, Error> {
                Ok(self.cell.fetch_add(value, order))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Result<$int, $int>, Error> {
                Ok(self.cell.compare_exchange(current, new, success, failure))
            }
        }
    };
}

word!(u32, AtomicU32);
word!(u64, AtomicU64);

impl Word<'_, u32> {
    /// Sleeps until woken: time does not pass in a model, so whoever is never woken is a deadlock that loom reports.
    pub(crate) fn wait(&self, expected: u32, _: Duration) -> Result<bool, Error> {
        let cells = &self.memory.cells;
        let queue = cells.queue.lock().expect("no model goes on after a panic");
        if self.cell.load(Ordering::SeqCst) == expected {
            drop(cells.woken.wait(queue));
        }
        Ok(true)
    }

    /// Wakes all, as a wait may end for no reason.
    pub(crate) fn wake(&self, _: u32) -> Result<(), Error> {
        drop(self.memory.cells.queue.lock());
        self.memory.cells.woken.notify_all();
        Ok(())
    }
}
