//! What all threads of one copy share: the options, who watches, and what was met so far.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs::File;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::links::LinkTable;
use crate::meter::Meter;
use crate::observer::{Event, Observer};
use crate::options::{CopyOptions, Sync};
use crate::report::Summary;
use crate::status::{FileId, Status};
use crate::sys;

/// One copy, from its first source to its last.
pub(crate) struct Session<'a> {
    pub(crate) options: &'a CopyOptions,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) meter: &'a Meter,
    /// Files that may be met again under other names.
    pub(crate) links: LinkTable,
    pub(crate) totals: Totals,
    /// Whether one operand may get the name that another has just got.
    pub(crate) has_several_operands: bool,
    wants_every_name: bool,
    /// Destinations of operands: what was made may not be overwritten by a later operand.
    made: Mutex<HashSet<(FileId, CString)>>,
    /// Folders that are being filled: a source that is one of them would be copied into itself.
    filled: Mutex<HashSet<FileId>>,
    /// A file or folder of each file system that was written to, for `Sync::Tree`.
    written: Mutex<HashMap<u64, File>>,
    processors: OnceLock<NonZero<usize>>,
}

/// Counts what was done. Independent counters, read when all is done, so relaxed accesses do.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) files: AtomicU64,
    pub(crate) folders: AtomicU64,
    pub(crate) links: AtomicU64,
    pub(crate) special: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) hole_bytes: AtomicU64,
}

/// Counts one more.
pub(crate) fn count(total: &AtomicU64) {
    add(total, 1);
}

pub(crate) fn add(total: &AtomicU64, more: u64) {
    total.fetch_add(more, Ordering::Relaxed);
}

impl Totals {
    pub(crate) fn summary(&self, elapsed: Duration) -> Summary {
        let read = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Summary {
            files: read(&self.files),
            folders: read(&self.folders),
            links: read(&self.links),
            special: read(&self.special),
            skipped: read(&self.skipped),
            failed: read(&self.failed),
            bytes: read(&self.bytes),
            hole_bytes: read(&self.hole_bytes),
            elapsed,
        }
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(options: &'a CopyOptions, meter: &'a Meter, observer: &'a dyn Observer) -> Self {
        Self {
            options,
            observer,
            meter,
            links: LinkTable::default(),
            totals: Totals::default(),
            has_several_operands: false,
            wants_every_name: observer.wants_every_name(),
            made: Mutex::default(),
            filled: Mutex::default(),
            written: Mutex::default(),
            processors: OnceLock::new(),
        }
    }

    /// Tells of an error, and counts it.
    pub(crate) fn fail(&self, error: Error) {
        count(&self.totals.failed);
        self.observer.failed(error);
    }

    pub(crate) fn wants_every_name(&self) -> bool {
        self.wants_every_name
    }

    /// Tells of something that is made from names only if somebody wants to hear of each.
    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Observer)) {
        if self.wants_every_name {
            tell(self.observer);
        }
    }

    /// Tells that a destination was removed.
    pub(crate) fn tell_removed(&self, path: impl FnOnce() -> std::path::PathBuf) {
        self.tell(|observer| observer.event(Event::Removed(Path::new(&path()))));
    }

    /// Notes that an operand's destination was made.
    pub(crate) fn note_made(&self, id: FileId, name: CString) {
        lock(&self.made).insert((id, name));
    }

    /// Whether it is the destination of an earlier operand.
    pub(crate) fn was_made(&self, id: FileId, name: &CString) -> bool {
        // The name, too: another name of the same file may be replaced.
        lock(&self.made).contains(&(id, name.clone()))
    }

    /// Notes that a folder is being filled.
    pub(crate) fn note_filled(&self, id: FileId) {
        lock(&self.filled).insert(id);
    }

    pub(crate) fn is_filled(&self, id: FileId) -> bool {
        lock(&self.filled).contains(&id)
    }

    /// Notes that a file or folder was written to, if the file systems are to be flushed at the end.
    pub(crate) fn note_written(&self, written: &File) {
        if self.options.sync != Sync::Tree {
            return;
        }
        let noted = Status::of(written).and_then(|status| {
            if let Slot::Vacant(slot) = lock(&self.written).entry(status.id.device) {
                slot.insert(sys::duplicate(written)?);
            }
            Ok(())
        });
        if let Err(errno) = noted {
            self.fail(Error::os("flushing the file system of", "the destination")(errno.into()));
        }
    }

    /// Waits until everything that was written is on the disk.
    pub(crate) fn sync_tree(&self) {
        for file in lock(&self.written).values() {
            if let Err(errno) = sys::syncfs(file) {
                self.fail(Error::os("flushing the file system of", "the destination")(errno.into()));
            }
        }
    }

    /// Processors that this process may use.
    pub(crate) fn processors(&self) -> NonZero<usize> {
        *self.processors.get_or_init(|| NonZero::new(sys::processors()).unwrap_or(NonZero::<usize>::MIN))
    }
}

/// Locks a table. A thread that panics leaves it whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
