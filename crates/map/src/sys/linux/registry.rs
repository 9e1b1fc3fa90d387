//! The mappings whose pages are replaced when an access without a guard faults: those that hold plain atomics.
//!
//! ```text
//! FIRST --> slot --> slot --> slot --> nothing      all slots that ever were: a handler walks along
//!            ^                 ^
//!            Registration      vacant               under a lock, which no handler takes: who may take which slot
//! ```
//!
//! Slots are leaked, since a handler may be reading one at any time, and used again: there are as many as there were
//! mappings at once. docs/design/fault.md has the argument why the page that is replaced is never somebody else's.
//!
//! Invariant: a range that a slot answers belongs to a live [`Registration`], and its addresses to a live mapping.
#![expect(unsafe_code, reason = "mmap over a page of a registered mapping")]

use std::io;
use std::ptr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libc::c_int;
use rustix::mm::{MapFlags, ProtFlags};

use super::signal;
use crate::arch::{FaultWord, Signal};
use crate::page::PageRange;
use crate::slot::Slot;

/// A slot in the list.
#[derive(Debug)]
struct Node {
    slot: Slot,
    /// The next one; set once, by who holds the lock of [`PLACES`], and read by handlers. Publishes that node.
    next: OnceLock<&'static Node>,
}

/// The first node. As [`Node::next`].
static FIRST: OnceLock<&'static Node> = OnceLock::new();

/// Who may take which slot.
static PLACES: Mutex<Places> = Mutex::new(Places { vacant: Vec::new(), count: 0, last: &FIRST });

struct Places {
    /// Slots that nobody holds. It has room for all of them, so that giving one back needs no memory.
    vacant: Vec<&'static Node>,
    /// Nodes in the list.
    count: usize,
    /// Where the next node goes; not set.
    last: &'static OnceLock<&'static Node>,
}

/// A mapping's place in the registry; given back when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
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
    /// 4. Every access to the range can do with a page that turns to zeros at any time: no Rust object other than atomics
    ///    lives there.
    ///
    /// # Errors
    /// sigaction(2) failed.
    pub(crate) unsafe fn new(range: PageRange) -> io::Result<Self> {
        signal::install()?;
        let node = take();
        node.slot.put(range);
        Ok(Self { node })
    }

    /// The first fault in the range, if there was one. Whoever has met a replaced page, and then asks, is told.
    pub(crate) fn fault(&self) -> Option<FaultWord> {
        FaultWord::from_register(self.node.slot.fault())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.node.slot.clear();
        places().vacant.push(self.node);
    }
}

/// A slot for the caller alone: a vacant one, or a new one at the end of the list.
fn take() -> &'static Node {
    let mut places = places();
    if let Some(node) = places.vacant.pop() {
        return node;
    }
    let node: &'static Node = Box::leak(Box::new(Node { slot: Slot::new(), next: OnceLock::new() }));
    places.count += 1;
    // None is vacant, so this makes room for all.
    let count = places.count;
    places.vacant.reserve(count);
    // Set here only, under the lock, and each time another one: so it was not set.
    let _ = places.last.set(node);
    places.last = &node.next;
    node
}

/// Nothing panics under the lock, and if it did, every state that it passes through is whole.
fn places() -> MutexGuard<'static, Places> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces the page of a registered mapping that holds `addr` by zeros, for a bus error of that code, and answers
/// whether there was one. Called by the signal handler: it takes no lock, allocates nothing and does not panic.
pub(super) fn repair(addr: usize, code: c_int) -> bool {
    let mut next = FIRST.get();
    while let Some(node) = next {
        if let Some(range) = node.slot.range()
            && let Some(page) = range.page_of(addr)
        {
            let signal = Signal { segv: false, code: usize::try_from(code).unwrap_or(0) };
            // Before the page, so that who sees zeros finds the fault; F2 in there keeps the order.
            node.slot.poison(FaultWord::new(addr, Some(signal)).bits());
            // SAFETY: duties 1 and 2 of `replace`: the page is inside a registered range. The faulting access is made
            // under duty 2 of `Registration::new`, so that registration lasts until the access is done, which waits for
            // this handler; and by duty 3 so does the mapping. Duty 3 of `replace` is duty 4 there.
            return unsafe { replace(page, range.page_bytes) };
        }
        next = node.next.get();
    }
    false
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
