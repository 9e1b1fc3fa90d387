//! A place for one mapping in the registry of those whose faults are repaired.
//!
//! A signal handler reads the slots while other threads change them. It cannot wait for these, and it must not be
//! wrong: a range put together from two mappings might cover memory of somebody else, over which the handler would map
//! a page. Hence the version, as in a sequence lock: a reader that meets a change takes the slot for vacant. This is
//! right, because the range of a mapping changes only when nobody may access it any more, or not yet; so the fault that
//! is looked up is not one of that mapping. docs/design/fault.md has the whole argument.
//!
//! ```text
//! holder    version = odd | F1 | address, length, page = new | version = even (R1)
//! handler   version, even (A1) | address, length, page | A2 | version, the same
//! ```
//!
//! Invariant: what [`Slot::range`] answers was given to one call of [`Slot::put`].

use crate::page::PageRange;
use crate::primitive::{AtomicUsize, Ordering, fence};

/// A range of addresses, and the first fault in it.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Odd while the range is being changed; higher by 2 after each change. Written by the slot's holder, read by
    /// signal handlers. Publishes the three fields below. It wraps: on 32-bit processors a handler would be fooled if
    /// it were stopped between two loads for exactly 2^31 changes.
    version: AtomicUsize,
    /// First address. Written by the holder, read by handlers, as the next two.
    addr: AtomicUsize,
    /// Bytes; zero when the slot is vacant.
    len: AtomicUsize,
    /// Bytes of a page of the mapping.
    page_bytes: AtomicUsize,
    /// What the first fault in the range said; zero when there was none. Set from zero by handlers and to zero by the
    /// holder, read by everybody who uses the mapping. It publishes nothing but itself.
    fault: AtomicUsize,
}

impl Slot {
    /// A vacant slot.
    pub(crate) fn new() -> Self {
        let zero = || AtomicUsize::new(0);
        Self { version: zero(), addr: zero(), len: zero(), page_bytes: zero(), fault: zero() }
    }

    /// Registers a range, in which there was no fault yet. Only the slot's holder calls this.
    pub(crate) fn put(&self, range: PageRange) {
        // Handlers write it only for faults in the slot's range, and this one is not there yet; R1 publishes it with
        // the range.
        self.fault.store(0, Ordering::Relaxed);
        self.change(range);
    }

    /// Registers a range once more, after [`clear`](Self::clear), with the fault that there was: the same mapping at
    /// another place. Only the slot's holder calls this.
    #[allow(dead_code, reason = "for processors without guarded instructions")]
    pub(crate) fn put_again(&self, range: PageRange) {
        self.change(range);
    }

    /// Makes the slot vacant. Only its holder calls this, when nobody may access the range any more, and before
    /// its addresses are given back to the system.
    pub(crate) fn clear(&self) {
        self.change(PageRange { addr: 0, len: 0, page_bytes: 0 });
    }

    fn change(&self, range: PageRange) {
        // The holder is alone in writing it, so it reads what it, or the holder before it, has written last.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        // F1: orders the odd version before the new fields; pairs with A2 in `range`. Without it a handler could read a
        // new field between two loads of the old version.
        fence(Ordering::Release);
        self.addr.store(range.addr, Ordering::Relaxed);
        self.len.store(range.len, Ordering::Relaxed);
        self.page_bytes.store(range.page_bytes, Ordering::Relaxed);
        // R1: publishes the fields.
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The range that is registered; `None` if there is none, or if it is just being changed. Does not wait, allocate
    /// or panic: signal handlers call it.
    pub(crate) fn range(&self) -> Option<PageRange> {
        // A1: pairs with R1 in `change`: the fields are those of this version or of a later one.
        let version = self.version.load(Ordering::Acquire);
        let addr = self.addr.load(Ordering::Relaxed);
        let len = self.len.load(Ordering::Relaxed);
        let page_bytes = self.page_bytes.load(Ordering::Relaxed);
        // A2: pairs with F1 in `change`: if a field was of a later change, the version below is that change's odd one,
        // or later still.
        fence(Ordering::Acquire);
        let unchanged = self.version.load(Ordering::Relaxed) == version;
        (unchanged && version.is_multiple_of(2) && len > 0).then_some(PageRange { addr, len, page_bytes })
    }

    /// Notes a fault, which is not zero, unless there was one before. Called by signal handlers, before they replace
    /// the page.
    pub(crate) fn poison(&self, fault: usize) {
        // The first one stays. That it is there already is no error.
        let _ = self.fault.compare_exchange(0, fault, Ordering::Relaxed, Ordering::Relaxed);
        // F2: orders the fault before everything that makes the new page visible; pairs with F3 in `fault`. Without it
        // another thread could read zeros from the new page and no fault from here.
        fence(Ordering::SeqCst);
    }

    /// The first fault that the calling thread knows of already; zero if it knows of none. It orders nothing.
    #[allow(dead_code, reason = "for processors without guarded instructions")]
    pub(crate) fn known_fault(&self) -> usize {
        self.fault.load(Ordering::Relaxed)
    }

    /// The first fault; zero if there was none. Whoever has accessed a page that was replaced, and then asks, is told.
    pub(crate) fn fault(&self) -> usize {
        // F3: orders every earlier access to the mapping before the load; pairs with F2 in `poison`. What such an
        // access has read is the page table, by which it has met the new page. For a store the processor does that
        // early or late as it likes, and only a full fence keeps a later load behind it: hence SeqCst where Acquire
        // would do for loads.
        fence(Ordering::SeqCst);
        self.fault.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn range(addr: usize) -> PageRange {
        PageRange { addr, len: addr, page_bytes: addr }
    }

    #[test]
    fn a_slot_holds_what_was_put_last_and_forgets_its_fault() {
        let slot = Slot::new();
        assert_eq!((slot.range(), slot.fault()), (None, 0));
        slot.put(range(4096));
        slot.poison(7);
        slot.poison(8);
        assert_eq!((slot.range(), slot.fault()), (Some(range(4096)), 7));
        slot.clear();
        assert_eq!(slot.range(), None);
        slot.put_again(range(4096));
        assert_eq!((slot.range(), slot.fault(), slot.known_fault()), (Some(range(4096)), 7, 7));
        slot.clear();
        slot.put(range(8192));
        assert_eq!((slot.range(), slot.fault()), (Some(range(8192)), 0));
    }

    #[test]
    fn a_slot_that_changes_is_never_read_in_part() {
        let rounds = if cfg!(miri) { 200 } else { 200_000 };
        let slot = Slot::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..rounds).for_each(|round| slot.put(range(round))));
            scope.spawn(|| {
                for _ in 0..rounds {
                    let Some(seen) = slot.range() else { continue };
                    assert_eq!(seen, range(seen.addr));
                }
            });
        });
    }
}

/// Interleavings, and every value that the memory model allows in them:
/// `RUSTFLAGS="--cfg loom" cargo test -p mapio-map --lib slot`.
#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn range(addr: usize) -> PageRange {
        PageRange { addr, len: addr, page_bytes: addr }
    }

    /// Runs two threads in every way in which they take turns up to three times against their will. Both are new ones:
    /// of the loads of the main one, loom delays not every one.
    fn model(left: fn(&Slot, &AtomicUsize), right: fn(&Slot, &AtomicUsize)) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let shared = Arc::new((Slot::new(), AtomicUsize::new(0)));
            let threads = [left, right].map(|body| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || body(&shared.0, &shared.1))
            });
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
    }

    #[test]
    fn a_range_is_never_put_together_from_two() {
        let holder = |slot: &Slot, _: &AtomicUsize| {
            slot.put(range(1));
            slot.put(range(2));
        };
        model(holder, |slot, _| {
            if let Some(seen) = slot.range() {
                assert_eq!(seen, range(seen.addr));
            }
        });
    }

    #[test]
    fn a_range_whose_addresses_were_given_back_is_not_found_by_their_next_owner() {
        // The number stands for the kernel's lock on the address space: munmap(2), then the mmap(2) that reuses the
        // addresses.
        let holder = |slot: &Slot, given_back: &AtomicUsize| {
            slot.put(range(1));
            slot.clear();
            given_back.store(1, Ordering::Release);
            slot.put(range(2));
        };
        model(holder, |slot, given_back| {
            if given_back.load(Ordering::Acquire) == 1 {
                assert_ne!(slot.range(), Some(range(1)));
            }
        });
    }

    #[test]
    fn who_has_met_the_new_page_is_told_of_the_fault() {
        // The number stands for the page table's entry: 1 is the new page. A processor reads it in any order that it
        // likes.
        let handler = |slot: &Slot, entry: &AtomicUsize| {
            slot.poison(7);
            entry.store(1, Ordering::Relaxed);
        };
        model(handler, |slot, entry| {
            if entry.load(Ordering::Relaxed) == 1 {
                assert_eq!(slot.fault(), 7);
            }
        });
    }
}
