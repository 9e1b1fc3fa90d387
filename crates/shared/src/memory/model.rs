//! The memory of loom's models: a cell for each word.
//!
//! Data is cells of 8 bytes, loaded and stored relaxed: that is how
//! loom can tell data that was handed over from data that was merely there.

use std::cell::Cell as Counter;
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
    /// How many operations are left to who has this handle, if it is known when he dies.
    left: Counter<Option<usize>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("start", &self.start).field("len", &self.len).finish_non_exhaustive()
    }
}

struct Cells {
    narrow: BTreeMap<usize, AtomicU32>,
    wide: BTreeMap<usize, AtomicU64>,
    /// The kernel's queue, one for all words: how many sleep.
    queue: Mutex<u32>,
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
            queue: Mutex::new(0),
            woken: Condvar::new(),
        };
        Self { cells: Arc::new(cells), start: 0, len, left: Counter::new(None) }
    }

    /// The same bytes, for one who is killed after so many operations on words: those that follow have no effect and
    /// answer an error.
    pub(crate) fn dying_after(&self, operations: usize) -> Self {
        Self { left: Counter::new(Some(operations)), ..self.clone() }
    }

    /// Whether the one who has this handle has come to the operation before which he is killed.
    pub(crate) fn is_dead(&self) -> bool {
        self.left.get() == Some(0)
    }

    fn live(&self) -> Result<(), Error> {
        match self.left.get() {
            None => Ok(()),
            Some(0) => Err(Error::invalid("model", "killed")),
            Some(left) => Ok(self.left.set(Some(left - 1))),
        }
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

    pub(crate) fn window(&self, offset: usize, len: usize) -> Result<Window<'_>, Error> {
        assert!(offset + len <= self.len, "a part outside");
        Ok(Window { memory: self, start: offset })
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

#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    memory: &'a Memory,
    start: usize,
}

impl<'a> Window<'a> {
    pub(crate) fn u64(&self, offset: usize) -> Result<Word<'a, u64>, Error> {
        self.memory.u64(self.start + offset)
    }

    pub(crate) fn read(&self, offset: usize, buf: &mut [u8]) -> Result<(), Error> {
        self.memory.read(self.start + offset, buf)
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.memory.write(self.start + offset, bytes)
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
                self.memory.live()?;
                Ok(self.cell.load(order))
            }

            pub(crate) fn store(&self, value: $int, order: Ordering) -> Result<(), Error> {
                self.memory.live()?;
                Ok(self.cell.store(value, order))
            }

            pub(crate) fn fetch_add(&self, value: $int, order: Ordering) -> Result<$int, Error> {
                self.memory.live()?;
                Ok(self.cell.fetch_add(value, order))
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Result<$int, $int>, Error> {
                self.memory.live()?;
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
        self.memory.live()?;
        let cells = &self.memory.cells;
        let mut asleep = cells.queue.lock().expect("no model goes on after a panic");
        if self.cell.load(Ordering::SeqCst) == expected {
            *asleep += 1;
            drop(cells.woken.wait(asleep));
        }
        Ok(true)
    }

    /// Wakes all, as a wait may end for no reason.
    pub(crate) fn wake(&self, count: u32) -> Result<(), Error> {
        self.wake_and_count(count).map(drop)
    }

    /// As [`wake`](Self::wake); answers how many.
    pub(crate) fn wake_and_count(&self, _: u32) -> Result<u32, Error> {
        self.memory.live()?;
        let mut asleep = self.memory.cells.queue.lock().expect("no model goes on after a panic");
        self.memory.cells.woken.notify_all();
        Ok(std::mem::take(&mut *asleep))
    }
}
