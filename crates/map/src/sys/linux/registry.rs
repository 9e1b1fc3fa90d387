//! The mappings whose pages are replaced when an access without a guard faults: those that hold plain atomics, and, on
//! processors without guarded instructions, those of which views make atomics.
//!
//! ```text
//! first --> slot --> slot --> slot --> nothing      all slots that ever were: a handler walks along
//!            ^                 ^
//!            Registration      vacant               under a lock, which no handler takes: who may take which slot
//! ```
//!
//! There are two such lists, since whose faults are repaired differs: a `SIGBUS` in either, a `SIGSEGV` in a mapping of
//! views alone, which asks after each access and may therefore meet protected pages.
//!
//! Slots are leaked, since a handler may be reading one at any time, and used again: there are as many as there were
//! mappings at once. docs/design/fault.md has the argument why the page that is replaced is never somebody else's.
//!
//! Invariant: a range that a slot answers belongs to a live [`Registration`], and its addresses to a live mapping.
#![expect(unsafe_code, reason = "mmap over a page of a registered mapping")]

use std::io;
use std::ptr;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::mm::{MapFlags, ProtFlags};

use super::signal;
use crate::arch::{FaultWord, Signal};
use crate::page::PageRange;
use crate::slot::Slot;

/// A slot in a list.
#[derive(Debug)]
struct Node {
    slot: Slot,
    /// The next one; set once, by who holds the lock of the list, and read by handlers. Publishes that node.
    next: OnceLock<&'static Node>,
}

/// A list of slots.
#[derive(Debug)]
struct Registry {
    /// The first node. As [`Node::next`].
    first: OnceLock<&'static Node>,
    /// Who may take which slot.
    places: Mutex<Places>,
}

#[derive(Debug)]
struct Places {
    /// Slots that nobody holds. It has room for all of them, so that giving one back needs no memory.
    vacant: Vec<&'static Node>,
    /// Nodes in the list.
    count: usize,
    /// The last node, behind which the next one goes.
    last: Option<&'static Node>,
}

/// Mappings of plain atomics.
static ATOMICS: Registry = Registry::new();

/// Mappings of which views make atomics, on processors without guarded instructions.
static VIEWS: Registry = Registry::new();

/// A mapping's place in a list; given back when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: &'static Registry,
    /// Held by this value alone.
    node: &'static Node,
}

impl Registration {
    /// Has the pages of a range replaced by zeros when an access without a guard meets a `SIGBUS` there. Installs the
    /// handler, if this is the first one.
    ///
    /// # Safety
    /// 1. The range is pages of one mapping, of the size that it consists of, readable and writable; or empty.
    /// 2. No access without a guard is made to the range before this has answered, or after the value is dropped.
    /// 3. The value is dropped before the range is unmapped.
    /// 4. Every access to the range can do with a page that turns to zeros at any time: no Rust object other than
    ///    atomics lives there.
    ///
    /// # Errors
    /// sigaction(2) failed.
    pub(crate) unsafe fn new(range: PageRange) -> io::Result<Self> {
        // SAFETY: the same duties.
        unsafe { Self::in_list(&ATOMICS, range) }
    }

    /// The same for a mapping of views, and for a `SIGSEGV`, too.
    ///
    /// # Safety
    /// Those of [`new`](Self::new), except that the range need be neither readable nor writable.
    ///
    /// # Errors
    /// sigaction(2) failed.
    #[allow(dead_code, reason = "for processors without guarded instructions")]
    pub(super) unsafe fn of_views(range: PageRange) -> io::Result<Self> {
        // SAFETY: the same duties.
        unsafe { Self::in_list(&VIEWS, range) }
    }

    /// # Safety
    /// Those of [`new`](Self::new), or of [`of_views`](Self::of_views) for that list.
    unsafe fn in_list(registry: &'static Registry, range: PageRange) -> io::Result<Self> {
        signal::install()?;
        let node = registry.take();
        node.slot.put(range);
        Ok(Self { registry, node })
    }

    /// The first fault in the range, if there was one. Whoever has met a replaced page, and then asks, is told.
    pub(crate) fn fault(&self) -> Option<FaultWord> {
        FaultWord::from_register(self.node.slot.fault())
    }

    /// Has nothing replaced for now, so that the range may be unmapped or moved.
    #[allow(dead_code, reason = "for processors without guarded instructions")]
    pub(super) fn pause(&mut self) {
        self.node.slot.clear();
    }

    /// Goes on after [`pause`](Self::pause), with the range that the mapping has now, and the fault that there was.
    ///
    /// # Safety
    /// Those of [`of_views`](Self::of_views).
    #[allow(dead_code, reason = "for processors without guarded instructions")]
    pub(super) unsafe fn go_on(&mut self, range: PageRange) {
        self.node.slot.put_again(range);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.node.slot.clear();
        self.registry.places().vacant.push(self.node);
    }
}

/// A mapping of views that was found by an address of it.
#[allow(dead_code, reason = "for processors without guarded instructions")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    node: &'static Node,
}

#[allow(dead_code, reason = "for processors without guarded instructions")]
impl Watched {
    /// The mapping of views that holds `addr`, if it is registered. Takes no lock; it takes as long as there were such
    /// mappings at once.
    ///
    /// A registered mapping is always found by who keeps it mapped and from being resized, since its slot is not being
    /// changed then; and what is found stays that mapping's as long.
    pub(crate) fn at(addr: usize) -> Option<Self> {
        Some(Self { node: VIEWS.find(addr)?.0 })
    }

    /// The first fault that this thread knows of already. It costs no fence.
    pub(crate) fn known_fault(self) -> Option<FaultWord> {
        FaultWord::from_register(self.node.slot.known_fault())
    }

    /// The first fault, if there was one. Whoever has met a replaced page, and then asks, is told.
    pub(crate) fn fault(self) -> Option<FaultWord> {
        FaultWord::from_register(self.node.slot.fault())
    }

    /// The first fault of the mapping that holds `addr`, for who has found `before` there before an access, and asks
    /// after it: the mapping may have been registered meanwhile, and poisoned.
    pub(crate) fn fault_since(before: Option<Self>, addr: usize) -> Option<FaultWord> {
        match before {
            Some(watched) => watched.fault(),
            None => {
                // F4: as F3 in `slot.rs`, for the list, too: the registration comes before the access that has met the
                // fault, and so before F2. Without it a replaced page could be read, and no mapping be found.
                fence(Ordering::SeqCst);
                Self::at(addr)?.known_fault()
            }
        }
    }
}

impl Registry {
    const fn new() -> Self {
        Self { first: OnceLock::new(), places: Mutex::new(Places { vacant: Vec::new(), count: 0, last: None }) }
    }

    /// A slot for the caller alone: a vacant one, or a new one at the end of the list.
    fn take(&self) -> &'static Node {
        let mut places = self.places();
        if let Some(node) = places.vacant.pop() {
            return node;
        }
        let node: &'static Node = Box::leak(Box::new(Node { slot: Slot::new(), next: OnceLock::new() }));
        places.count += 1;
        // None is vacant, so this makes room for all.
        let count = places.count;
        places.vacant.reserve(count);
        // Set here only, under the lock, and each time another one: so it was not set.
        let _ = places.last.map_or(&self.first, |last| &last.next).set(node);
        places.last = Some(node);
        node
    }

    /// Nothing panics under the lock, and if it did, every state that it passes through is whole.
    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node whose slot answers a range that holds `addr`, and that range. For signal handlers, too: it takes no
    /// lock, allocates nothing and does not panic.
    fn find(&self, addr: usize) -> Option<(&'static Node, PageRange)> {
        let mut next = self.first.get();
        while let Some(node) = next {
            if let Some(range) = node.slot.range()
                && range.page_of(addr).is_some()
            {
                return Some((node, range));
            }
            next = node.next.get();
        }
        None
    }
}

/// Replaces the page of a registered mapping that holds `addr` by zeros, for a fault of that signal, and answers
/// whether there was one. Called by the signal handler: it takes no lock, allocates nothing and does not panic.
pub(super) fn repair(addr: usize, signal: Signal) -> bool {
    let atomics = if signal.segv { None } else { ATOMICS.find(addr) };
    let Some((node, range)) = atomics.or_else(|| VIEWS.find(addr)) else { return false };
    let Some(page) = range.page_of(addr) else { return false };
    // Before the page, so that who sees zeros finds the fault; F2 in there keeps the order.
    node.slot.poison(FaultWord::new(addr, Some(signal)).bits());
    // SAFETY: duties 1 and 2 of `replace`: the page is inside a registered range. The faulting access is made
    // under duty 2 of `Registration::new`, so that registration lasts until the access is done, which waits for
    // this handler; and by duty 3 so does the mapping. Duty 3 of `replace` is duty 4 there.
    unsafe { replace(page, range.page_bytes) }
}

/// Maps zeros over a page: mmap(2), which signal handlers may call. It fails when the process has as many mappings as
/// the system allows, or no memory is left.
///
/// # Safety
/// 1. The page is one of a live mapping of ours, aligned to its size.
/// 2. The mapping stays until this has answered.
/// 3. Its users expect that a page turns to zeros at any time.
unsafe fn replace(page: usize, page_bytes: usize) -> bool {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
    let page = ptr::without_provenance_mut(page);
    // SAFETY: MAP_FIXED discards what was mapped there, which by duty 1 is a page of ours, by duty 2 still, and by duty
    // 3 without a value that anybody counts on.
    unsafe { rustix::mm::mmap_anonymous(page, page_bytes, protection, flags) }.is_ok()
}
