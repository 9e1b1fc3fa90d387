//! Sleeping until a word changes, in any process of the session.
//!
//! Windows wakes who sleeps on an address in the same process (WaitOnAddress), and by kernel objects in others. So each
//! object that somebody sleeps on has a table in the page file, of [`SLOTS`] slots, and each slot an event: both are
//! named after the object, a section by its name, a file by its volume and number.
//!
//! ```text
//! slot     bits 0 to 31    hash of the word's offset in the object, not 0
//!          bits 32 to 63   the process of who sleeps; 0: nobody's
//! wait     slot: 0 -> mine | fence | the word is as expected? | sleep on the slot's event | slot: 0
//! wake     (the word was changed) | fence | each slot that is of this word: set its event
//! ```
//! No wake is lost. The fences F1 in `wait` and F1' in `wake` order, on each side, a store before a load: the slot
//! before the word, and the word before the slots. Without one of them, both loads could see the old values. So of the
//! two, either the one who wakes sees the slot, or the one who sleeps sees the change. In the first case he sets an
//! event on which nobody else waits: it belongs to the slot, the slot to one thread until that takes it back to 0, and
//! an event stays set until a wait takes it. What remains set, because the thread had seen the change as well, wakes
//! the slot's next owner for no reason, as sleepers may be.
//!
//! All are woken who sleep on the word, or on one with the same hash: a slot whose owner was killed stays as it is, and
//! nobody must be overlooked because of it. Such slots are taken back when no other is free.
//!
//! Table and events are for the user alone who has made them, whatever the object is. Who may not open them, or finds
//! no slot free, sleeps for a moment instead of being woken, and tries again later to open them. He also wakes nobody,
//! and neither does who is in another session. Nobody who sleeps can know of such a waker, so everybody looks at the
//! word again every 20 ms: a wake that does not reach him costs as much at most.

use std::os::windows::io::BorrowedHandle;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::nt::identity;
use mapio_map::{AtomicView, Fault, MapOptions, Mapping};

use super::OWN;
use super::event::{Kernel, KernelKind};
use super::process::is_ended;
use super::section::open_or_create;
use super::security::PRIVATE;
use super::wait::Waited;
use crate::sys::Spot;

/// How many may sleep on the words of one object at once.
const SLOTS: usize = 128;
/// Bytes of a slot.
const SLOT_BYTES: usize = 8;
/// How long one sleeps who can't be woken.
const NAP: Duration = Duration::from_millis(1);
/// How long one sleeps at a time who can be woken, but maybe not by everybody.
const SLICE: Duration = Duration::from_millis(20);
/// How long nothing is opened again that was refused.
const REFUSED: Duration = Duration::from_millis(100);

/// See `sys`.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    /// What the names begin with, if that is not told by the file.
    names: Option<String>,
    table: Patient<Table>,
}

/// What is opened once, and if it is refused, tried again from time to time.
#[derive(Debug)]
struct Patient<T> {
    opened: OnceLock<T>,
    refused: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Table {
    names: String,
    slots: Mapping,
    events: Vec<Patient<Kernel>>,
}

impl<T> Default for Patient<T> {
    fn default() -> Self {
        Self { opened: OnceLock::new(), refused: Mutex::new(None) }
    }
}

impl<T> Patient<T> {
    /// What was opened, or is now by `open`; `None` if that is refused now, or was a moment ago.
    fn get(&self, open: impl FnOnce() -> Option<T>) -> Option<&T> {
        if let Some(opened) = self.opened.get() {
            return Some(opened);
        }
        // Nothing panics under the lock but what `open` does, which leaves the moment as it was.
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_some_and(|at| at.elapsed() < REFUSED) {
            return None;
        }
        match open() {
            Some(opened) => Some(self.opened.get_or_init(|| opened)),
            None => {
                *refused = Some(Instant::now());
                None
            }
        }
    }
}

impl Parking {
    pub(crate) fn of_section(full_name: &str) -> Self {
        Self { names: Some(format!("{full_name}{OWN}sleep-")), table: Patient::default() }
    }

    pub(crate) fn wait(
        &self,
        word: &AtomicView<'_, u32>,
        spot: Spot<'_>,
        expected: u32,
        timeout: Duration,
    ) -> Result<bool, Fault> {
        let claimed = self.table(spot.file).and_then(|table| table.claim(hash(spot.offset)));
        let Some(slot) = claimed else {
            if word.load(Ordering::SeqCst)? == expected {
                thread::sleep(timeout.min(NAP));
            }
            return Ok(true);
        };
        // F1: the slot before the word; see above.
        fence(Ordering::SeqCst);
        if word.load(Ordering::SeqCst)? != expected {
            return Ok(true);
        }
        let end = Instant::now().checked_add(timeout);
        let mut left = timeout;
        // What can't be waited for is looked at again.
        while slot.event.wait(Some(left.min(SLICE))).unwrap_or(Waited::Signalled(0)) == Waited::TimedOut {
            // A change whose wake did not come, from one who can't wake.
            if word.load(Ordering::SeqCst)? != expected {
                return Ok(true);
            }
            left = end.map_or(SLICE, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn wake(&self, _: &AtomicView<'_, u32>, spot: Spot<'_>, count: u32) -> Result<u32, Fault> {
        // F1': the change of the word before the slots; see above.
        fence(Ordering::SeqCst);
        let Some(table) = self.table(spot.file) else { return Ok(0) };
        let mut woken = 0;
        for index in 0..SLOTS {
            let is_set = || table.event(index).is_some_and(|event| event.set().is_ok());
            if table.load(index) & u64::from(u32::MAX) == hash(spot.offset) && is_set() {
                woken += 1;
            }
        }
        Ok(woken.min(count))
    }

    fn table(&self, file: BorrowedHandle<'_>) -> Option<&Table> {
        let open = || {
            let names = match &self.names {
                Some(names) => names.clone(),
                None => {
                    let id = identity(file).ok()?;
                    format!(r"Local\file-{:x}-{:x}{OWN}sleep-", id.volume, id.file)
                }
            };
            Table::open(names)
        };
        self.table.get(open)
    }
}

/// A slot that belongs to this thread until it is dropped.
struct Claimed<'a> {
    table: &'a Table,
    index: usize,
    /// What stands in the slot as long as it is this thread's.
    mine: u64,
    event: &'a Kernel,
}

impl Table {
    fn open(names: String) -> Option<Self> {
        let section = open_or_create(&format!("{names}table"), u64::try_from(SLOTS * SLOT_BYTES).ok()?).ok()?;
        let slots = MapOptions::read_write().len(SLOTS * SLOT_BYTES).map(&section).ok()?;
        Some(Self { names, slots, events: (0..SLOTS).map(|_| Patient::default()).collect() })
    }

    /// The event of a slot; `None` if it can't be had.
    fn event(&self, index: usize) -> Option<&Kernel> {
        let open = || {
            let name = format!("{}{index}", self.names);
            Kernel::create(KernelKind::AutoEvent, Some((&name, PRIVATE))).ok().map(|(event, _)| event)
        };
        self.events[index].get(open)
    }

    /// The value of a slot; nobody's, should the page file fail.
    fn load(&self, index: usize) -> u64 {
        let slot = self.slots.view().atomic::<u64>(index * SLOT_BYTES);
        slot.and_then(|slot| slot.load(Ordering::SeqCst)).unwrap_or(0)
    }

    /// Puts another value in a slot that has this one.
    fn exchange(&self, index: usize, from: u64, to: u64) -> bool {
        let slot = self.slots.view().atomic::<u64>(index * SLOT_BYTES);
        let exchanged = slot.and_then(|slot| slot.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed));
        matches!(exchanged, Ok(Ok(_)))
    }

    /// A slot for a sleeper on a word of this hash.
    fn claim(&self, hash: u64) -> Option<Claimed<'_>> {
        /// Where the search begins, so that threads and processes do not meet.
        static FIRST: AtomicUsize = AtomicUsize::new(0);
        let process = std::process::id();
        let mine = u64::from(process) << 32 | hash;
        let first = FIRST.fetch_add(1, Ordering::Relaxed).wrapping_add(usize::try_from(process / 4).unwrap_or(0));
        let indices = || (0..SLOTS).map(|step| first.wrapping_add(step) % SLOTS);
        let free = indices().find(|index| self.exchange(*index, 0, mine));
        let of_dead = |index: &usize| {
            let found = self.load(*index);
            u32::try_from(found >> 32).is_ok_and(is_ended) && self.exchange(*index, found, mine)
        };
        let index = free.or_else(|| indices().find(of_dead))?;
        match self.event(index) {
            Some(event) => Some(Claimed { table: self, index, mine, event }),
            None => {
                self.exchange(index, mine, 0);
                None
            }
        }
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        // Not what another has put there who took this process for dead.
        self.table.exchange(self.index, self.mine, 0);
    }
}

/// The low half of a slot: never 0, which is a slot that nobody has. Offsets of words are multiples of 4.
fn hash(offset: u64) -> u64 {
    (offset ^ offset >> 32 | 1) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::windows::io::AsHandle;

    use super::*;

    #[test]
    fn what_was_refused_is_opened_later_and_then_kept() {
        let (patient, tries) = (Patient::default(), Cell::new(0));
        let open = || {
            tries.set(tries.get() + 1);
            (tries.get() > 2).then_some(7)
        };
        assert_eq!((patient.get(open), patient.get(open), tries.get()), (None, None, 1));
        while patient.get(open).is_none() {
            thread::yield_now();
        }
        assert_eq!((patient.get(open), patient.get(open), tries.get()), (Some(&7), Some(&7), 3));
    }

    #[test]
    fn a_change_is_seen_though_who_made_it_wakes_nobody() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapping = MapOptions::read_write().map(&file).unwrap();
        let (parking, spot) = (Parking::default(), Spot { file: file.as_handle(), offset: 8 });
        let word = mapping.view().atomic::<u32>(8).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let table = parking.table(file.as_handle()).unwrap();
                while (0..SLOTS).all(|index| table.load(index) == 0) {
                    thread::yield_now();
                }
                word.store(1, Ordering::SeqCst).unwrap();
            });
            assert!(parking.wait(&word, spot, 0, Duration::from_secs(3600)).unwrap());
        });
        assert!(!parking.wait(&word, spot, 1, Duration::from_millis(50)).unwrap());
        // And without a word about it if the change was there before.
        assert!(parking.wait(&word, spot, 0, Duration::from_secs(3600)).unwrap());
    }

    #[test]
    fn who_leaves_a_slot_that_another_has_by_now_leaves_it_to_him() {
        let parking = Parking::default();
        let file = tempfile::NamedTempFile::new().unwrap();
        let table = parking.table(file.as_file().as_handle()).unwrap();
        let claimed = table.claim(hash(8)).unwrap();
        let (index, mine) = (claimed.index, claimed.mine);
        assert!(table.exchange(index, mine, mine ^ 1 << 40));
        drop(claimed);
        assert_eq!(table.load(index), mine ^ 1 << 40);
        drop(table.claim(hash(8)).unwrap());
        assert!(table.exchange(index, mine ^ 1 << 40, 0));
    }
}
