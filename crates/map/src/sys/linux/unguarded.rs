//! The exception table's place on processors without guarded instructions.
//!
//! Most accesses raise no signal there: `process_vm_readv(2)` answers `EFAULT` itself. Atomic ones are instructions of
//! core's, and do. Hence a mapping is registered when its first atomic is made: from then on a page that faults is
//! replaced by zeros, and the mapping is poisoned. Since such a page stays, and reads as zeros, every later access to
//! the mapping answers the fault, of whatever kind it is. docs/design/fault.md tells more.
//!
//! Invariant: an atomic access is made only in a range that is registered.
#![expect(unsafe_code, reason = "registering a mapping; a function that is unsafe where it does something")]

use std::io;
use std::sync::OnceLock;

use libc::{SIGBUS, SIGSEGV, c_int, c_void, siginfo_t};

use super::registry::Registration;
pub(crate) use super::registry::Watched;
use super::signal;
use crate::arch::FaultWord;
use crate::fault::FaultKind;
use crate::page::PageRange;

/// The signals that an atomic access raises.
pub(super) const SIGNALS: [c_int; 2] = [SIGBUS, SIGSEGV];

/// Does nothing: no instruction is guarded.
///
/// # Safety
/// None here.
pub(super) unsafe fn resume(_: c_int, _: &siginfo_t, _: *mut c_void) -> bool {
    false
}

/// Whether the handlers are ours; always while no access needs one.
pub(super) fn is_armed() -> bool {
    !signal::is_installed() || signal::is_armed()
}

/// Whether the calling thread blocks one of the signals; never while no access raises it.
pub(super) fn is_blocked() -> bool {
    signal::is_installed() && signal::is_blocked()
}

/// Makes a system call on bytes at `addr` of a mapping, unless that is poisoned; if it is afterwards, the answer is
/// `EFAULT`, as it was of no use.
pub(super) fn checked<T>(addr: usize, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let watched = Watched::at(addr);
    if watched.and_then(Watched::known_fault).is_some() {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    let answer = call();
    match Watched::fault_since(watched, addr) {
        Some(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        None => answer,
    }
}

/// What a mapping needs so that the faults of its views' atomics are repaired.
#[derive(Debug)]
pub(super) struct Repair {
    /// Its place in the registry, from its first atomic on; an errno, if that failed; nothing, if views are to make no
    /// atomics of it.
    registration: OnceLock<Result<Option<Registration>, i32>>,
    /// Why the first fault was, found out about once.
    kind: OnceLock<FaultKind>,
}

impl Repair {
    /// Whether a fault that an atomic access meets poisons its mapping.
    pub(super) const POISONS: bool = true;

    pub(super) const fn new() -> Self {
        Self { registration: OnceLock::new(), kind: OnceLock::new() }
    }

    /// Has faults in a range repaired from now on, if they are not yet.
    ///
    /// # Errors
    /// The errno with which sigaction(2) failed.
    ///
    /// # Safety
    /// 1. The range is pages of one mapping, of the size that it consists of.
    /// 2. Before it is unmapped or moved, this value is dropped or paused.
    /// 3. No Rust object lives in the range, other than atomics, unless its user knows that it has no fault.
    pub(super) unsafe fn start(&self, range: impl FnOnce() -> PageRange) -> Result<(), i32> {
        let started = self.registration.get_or_init(|| {
            // SAFETY: duties 1, 3 and 4 of `Registration::of_views` are duties 1, 2 and 3 here. Duty 2: accesses
            // without a guard are made only where `Watched` has found a registration.
            let registration = unsafe { Registration::of_views(range()) };
            registration.map(Some).map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
        });
        started.as_ref().map(drop).map_err(|&errno| errno)
    }

    /// Makes views make no atomics from now on; answers whether the mapping was poisoned before.
    pub(super) fn refuse(&mut self) -> bool {
        let is_poisoned = self.registration().is_some_and(|registration| registration.fault().is_some());
        self.registration = OnceLock::from(Ok(None));
        is_poisoned
    }

    /// Has nothing repaired for now, so that the range may be unmapped or moved.
    pub(super) fn pause(&mut self) {
        if let Some(Ok(Some(registration))) = self.registration.get_mut() {
            registration.pause();
        }
    }

    /// Goes on after [`pause`](Self::pause), with the range that the mapping has now.
    ///
    /// # Safety
    /// Those of [`start`](Self::start).
    pub(super) unsafe fn go_on(&mut self, range: PageRange) {
        if let Some(Ok(Some(registration))) = self.registration.get_mut() {
            // SAFETY: by the same duties.
            unsafe { registration.go_on(range) };
        }
    }

    /// Why an access has faulted: in a poisoned mapping the answer is always what `first` has found out about the fault
    /// that was met first; else that of `now`.
    pub(super) fn kind(&self, first: impl FnOnce(FaultWord) -> FaultKind, now: impl FnOnce() -> FaultKind) -> FaultKind {
        match self.registration().and_then(Registration::fault) {
            Some(word) => *self.kind.get_or_init(|| first(word)),
            None => now(),
        }
    }

    fn registration(&self) -> Option<&Registration> {
        self.registration.get()?.as_ref().ok()?.as_ref()
    }
}
