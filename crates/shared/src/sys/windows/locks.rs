//! Locks on a file's bytes, and names in the kernel that do the same for sections.
//!
//! LockFileEx locks bytes for an open file, as Linux does, and gives the lock up when that is closed or its process
//! ends. Nobody can be asked who has locked what. So whoever wants to know tries to lock the bytes himself, shared and
//! for a moment, which fails if another has them exclusively; and all who take part have theirs exclusively, readers
//! too. Those who try so are not in each other's way. They may be in the way of one who wants to lock the same bytes:
//! he tries some times. A number is tried by nobody before it was given; a gate is never tried so.
//!
//! A section has no bytes to lock. There, a byte is locked by who has made the event that is named after it, and keeps
//! its handle: an event exists as long as a handle of it is open. Who looks for it opens it for a moment, so it may
//! seem to exist a little longer than it should; what it seems not to be it was not.
//!
//! LockFileEx counts the locks of the same handle among those of others. So a handle knows here what it has locked, and
//! asks only for the rest.
#![expect(unsafe_code, reason = "LockFileEx, UnlockFileEx")]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use mapio_map::nt::check;
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_HANDLE, ERROR_LOCK_VIOLATION,
};
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::event::{Kernel, KernelKind};
use super::section::names_of_kind;
use super::security::PRIVATE;
use super::{OWN, is};
use crate::sys::{ByteRange, Hold};

/// How a reader's byte is locked: so that it is seen by who tries shared.
pub(crate) const READING: Hold = Hold::Exclusive;
/// How often bytes are tried to be locked that somebody may just be looking at.
const TRIES: usize = 20;
/// What the name of a byte's event has behind the section's, before the byte in hexadecimal.
const LOCK: &str = "lock-";

/// Locks bytes for this open file; `false` if another lock on some of them forbids it, also one of the same file. Does
/// not block.
pub(crate) fn try_lock(file: BorrowedHandle<'_>, bytes: ByteRange, hold: Hold) -> io::Result<bool> {
    for _ in 0..TRIES {
        if lock_once(file, &bytes, hold)? {
            return Ok(true);
        }
        thread::yield_now();
    }
    Ok(false)
}

pub(super) fn lock_once(file: BorrowedHandle<'_>, bytes: &ByteRange, hold: Hold) -> io::Result<bool> {
    let exclusive = if hold == Hold::Exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 };
    let flags = LOCKFILE_FAIL_IMMEDIATELY | exclusive;
    let (low, high) = halves(bytes.end.saturating_sub(bytes.start))?;
    let mut place = place_of(bytes.start)?;
    // SAFETY: the handle is open, and the structure is a local: the call does not go on behind its answer, as the
    // handle is none for overlapped input and output, and as it fails rather than to wait.
    match check(unsafe { LockFileEx(file.as_raw_handle(), flags, 0, low, high, &raw mut place) }) {
        Ok(()) => Ok(true),
        Err(error) if is(&error, ERROR_LOCK_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives up a lock of this open file, on the same range that was locked.
pub(crate) fn unlock(file: BorrowedHandle<'_>, bytes: ByteRange) -> io::Result<()> {
    let (low, high) = halves(bytes.end.saturating_sub(bytes.start))?;
    let mut place = place_of(bytes.start)?;
    // SAFETY: the handle is open, and the structure is a local.
    check(unsafe { UnlockFileEx(file.as_raw_handle(), 0, low, high, &raw mut place) })
}

fn halves(number: u64) -> io::Result<(u32, u32)> {
    let (low, high) = (u32::try_from(number & u64::from(u32::MAX)), u32::try_from(number >> 32));
    Ok((low.map_err(io::Error::other)?, high.map_err(io::Error::other)?))
}

fn place_of(offset: u64) -> io::Result<OVERLAPPED> {
    let (low, high) = halves(offset)?;
    let mut place = OVERLAPPED::default();
    place.Anonymous.Anonymous.Offset = low;
    place.Anonymous.Anonymous.OffsetHigh = high;
    Ok(place)
}

/// See `sys`.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// What the names of the events begin with; `None` for the bytes of the mapped file.
    names: Option<String>,
    /// What this handle has locked.
    held: Mutex<Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    bytes: ByteRange,
    /// Of a section's: kept for its name.
    _event: Option<Kernel>,
}

impl Locks {
    pub(crate) fn of_section(full_name: &str) -> Self {
        Self { names: Some(format!("{full_name}{OWN}{LOCK}")), held: Mutex::default() }
    }

    pub(crate) fn are_of_section(&self) -> bool {
        self.names.is_some()
    }

    /// Nothing panics under the lock, and each state of the list is whole.
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self, mapped: BorrowedHandle<'_>, bytes: ByteRange, hold: Hold) -> io::Result<bool> {
        match &self.names {
            Some(_) => self.try_lock_alone(bytes),
            None => {
                // The list is held, so that nobody else takes the lock for another's before it stands there.
                let mut held = self.held();
                let locked = try_lock(mapped, bytes.clone(), hold)?;
                if locked {
                    held.push(Held { bytes, _event: None });
                }
                Ok(locked)
            }
        }
    }

    /// One byte, whatever the hold: a name belongs to one.
    pub(crate) fn try_lock_alone(&self, bytes: ByteRange) -> io::Result<bool> {
        let Some(names) = &self.names else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut held = self.held();
        let name = format!("{names}{:x}", bytes.start);
        match Kernel::create(KernelKind::ManualEvent, Some((&name, PRIVATE))) {
            Ok((event, true)) => {
                held.push(Held { bytes, _event: Some(event) });
                Ok(true)
            }
            Ok((_, false)) => Ok(false),
            Err(error) if exists(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn unlock(&self, mapped: BorrowedHandle<'_>, bytes: ByteRange) -> io::Result<()> {
        let mut first_error = None;
        self.held().retain(|held| {
            let is_inside = bytes.start <= held.bytes.start && held.bytes.end <= bytes.end;
            if is_inside
                && self.names.is_none()
                && let Err(error) = unlock(mapped, held.bytes.clone())
            {
                // It is locked still, and the rest need not be.
                first_error.get_or_insert(error);
                return true;
            }
            !is_inside
        });
        first_error.map_or(Ok(()), Err)
    }

    pub(crate) fn has_others(&self, mapped: BorrowedHandle<'_>, bytes: ByteRange) -> io::Result<bool> {
        let Some(names) = &self.names else {
            let held = self.held();
            for gap in gaps(&held, &bytes) {
                if is_locked(mapped, &gap)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        };
        if bytes.end - bytes.start != 1 {
            return Ok(!self.others(mapped, bytes, 1)?.is_empty());
        }
        if self.held().iter().any(|held| held.bytes == bytes) {
            return Ok(false);
        }
        match Kernel::open(KernelKind::ManualEvent, &format!("{names}{:x}", bytes.start)) {
            Ok(_) => Ok(true),
            Err(error) if is(&error, ERROR_FILE_NOT_FOUND) => Ok(false),
            Err(error) if exists(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn others(&self, mapped: BorrowedHandle<'_>, bytes: ByteRange, most: usize) -> io::Result<Vec<u64>> {
        let held = self.held();
        let Some(names) = &self.names else { return find(mapped, gaps(&held, &bytes), most) };
        let global = names.strip_prefix(r"Global\");
        let prefix = global.or_else(|| names.strip_prefix(r"Local\")).unwrap_or(names);
        let existing = names_of_kind(global.is_some(), "Event")?;
        let numbers = existing.iter().filter_map(|name| u64::from_str_radix(name.strip_prefix(prefix)?, 16).ok());
        let is_other = |byte: &u64| bytes.contains(byte) && !held.iter().any(|held| held.bytes.contains(byte));
        Ok(numbers.filter(is_other).take(most).collect())
    }
}

/// Whether an error says that something has the name, which is not ours to open.
fn exists(error: &io::Error) -> bool {
    is(error, ERROR_ACCESS_DENIED) || is(error, ERROR_INVALID_HANDLE)
}

/// What is left of a range without what the handle has locked itself.
fn gaps(held: &[Held], bytes: &ByteRange) -> Vec<ByteRange> {
    let mut own: Vec<&ByteRange> = held.iter().map(|held| &held.bytes).collect();
    own.sort_by_key(|range| range.start);
    let mut gaps = Vec::new();
    let mut start = bytes.start;
    for range in own {
        let end = range.start.min(bytes.end);
        if start < end {
            gaps.push(start..end);
        }
        start = start.max(range.end);
    }
    if start < bytes.end {
        gaps.push(start..bytes.end);
    }
    gaps
}

/// Whether a byte of a range is locked exclusively.
fn is_locked(file: BorrowedHandle<'_>, bytes: &ByteRange) -> io::Result<bool> {
    if !lock_once(file, bytes, Hold::Shared)? {
        return Ok(true);
    }
    unlock(file, bytes.clone())?;
    Ok(false)
}

/// The bytes that are locked: ranges are halved until they are one.
fn find(file: BorrowedHandle<'_>, mut ranges: Vec<ByteRange>, most: usize) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    while let Some(range) = ranges.pop() {
        if found.len() >= most || !is_locked(file, &range)? {
            continue;
        }
        let half = range.start + (range.end - range.start) / 2;
        if half == range.start {
            found.push(range.start);
        } else {
            ranges.push(range.start..half);
            ranges.push(half..range.end);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::AsHandle;

    use super::*;

    #[test]
    fn what_the_handle_has_locked_itself_is_left_out_and_nothing_else() {
        type Bytes = (u64, u64);
        let held = |own: &[Bytes]| -> Vec<Held> {
            own.iter().map(|&(start, end)| Held { bytes: start..end, _event: None }).collect()
        };
        let cases: [(&[Bytes], Bytes, &[Bytes]); 8] = [
            (&[], (5, 6), &[(5, 6)]),
            (&[(5, 6)], (5, 6), &[]),
            (&[(6, 7), (3, 4)], (5, 6), &[(5, 6)]),
            (&[(7, 8)], (5, 6), &[(5, 6)]),
            (&[(4, 5)], (5, 6), &[(5, 6)]),
            (&[(0, 9)], (5, 6), &[]),
            (&[(8, 10), (2, 4)], (3, 9), &[(4, 8)]),
            (&[(8, 10), (2, 4), (5, 6)], (0, 12), &[(0, 2), (4, 5), (6, 8), (10, 12)]),
        ];
        for (own, (start, end), expected) in cases {
            let left: Vec<Bytes> = gaps(&held(own), &(start..end)).iter().map(|gap| (gap.start, gap.end)).collect();
            assert_eq!(left, expected, "{own:?} of {start}..{end}");
        }
    }

    #[test]
    fn a_lock_is_seen_by_other_open_files_alone_and_ends_with_the_last_handle() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let (mine, other) = (named.reopen().unwrap(), named.reopen().unwrap());
        let (my_locks, other_locks) = (Locks::default(), Locks::default());
        let far = 1 << 62;
        assert!(my_locks.try_lock(mine.as_handle(), far + 5..far + 6, Hold::Exclusive).unwrap());
        assert!(!my_locks.has_others(mine.as_handle(), far..far + 9).unwrap());
        assert!(other_locks.has_others(other.as_handle(), far..1 << 63).unwrap());
        assert_eq!(other_locks.others(other.as_handle(), far..1 << 63, 9).unwrap(), [far + 5]);
        assert!(!other_locks.try_lock(other.as_handle(), far + 5..far + 6, Hold::Shared).unwrap());
        let duplicate = mine.try_clone().unwrap();
        drop(mine);
        assert!(other_locks.has_others(other.as_handle(), far + 5..far + 6).unwrap());
        drop(duplicate);
        assert!(other_locks.try_lock(other.as_handle(), far + 5..far + 6, Hold::Exclusive).unwrap());
        // Also by one who has locked the bytes around it.
        let (around, locks) = (named.reopen().unwrap(), Locks::default());
        assert!(locks.try_lock(around.as_handle(), far + 4..far + 5, Hold::Exclusive).unwrap());
        assert!(locks.try_lock(around.as_handle(), far + 6..far + 7, Hold::Exclusive).unwrap());
        assert!(locks.has_others(around.as_handle(), far + 5..far + 6).unwrap());
        drop(around);
        other_locks.unlock(other.as_handle(), far..far + 9).unwrap();
        assert!(!my_locks.has_others(named.as_file().as_handle(), far..1 << 63).unwrap());
    }

    #[test]
    fn a_lock_that_could_not_be_given_up_is_kept_in_mind_and_others_are_given_up() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let (mine, other, locks) = (named.reopen().unwrap(), named.reopen().unwrap(), Locks::default());
        let far = 1 << 62;
        for byte in [far, far + 1, far + 2] {
            assert!(locks.try_lock(mine.as_handle(), byte..byte + 1, Hold::Exclusive).unwrap());
        }
        // The system has no such lock any more, and refuses to give it up.
        unlock(mine.as_handle(), far + 1..far + 2).unwrap();
        assert!(locks.unlock(mine.as_handle(), far..far + 3).is_err());
        let known: Vec<_> = locks.held().iter().map(|held| held.bytes.start).collect();
        assert_eq!(known, [far + 1]);
        assert!(try_lock(other.as_handle(), far..far + 3, Hold::Exclusive).unwrap());
    }

    #[test]
    fn a_byte_of_a_section_is_locked_by_one_and_found_by_all_others() {
        let name = format!(r"Local\mapio-test-locks-{}", std::process::id());
        let (mine, other) = (Locks::of_section(&name), Locks::of_section(&name));
        let file = tempfile::tempfile().unwrap();
        let file = file.as_handle();
        assert!(mine.try_lock(file, 7..8, Hold::Exclusive).unwrap());
        assert!(!other.try_lock(file, 7..8, Hold::Shared).unwrap());
        assert!(!mine.has_others(file, 7..8).unwrap() && !mine.has_others(file, 0..99).unwrap());
        assert!(other.has_others(file, 7..8).unwrap() && other.has_others(file, 0..99).unwrap());
        assert_eq!(other.others(file, 0..99, 9).unwrap(), [7]);
        assert_eq!(other.others(file, 8..99, 9).unwrap(), []);
        mine.unlock(file, 0..99).unwrap();
        assert!(!other.has_others(file, 7..8).unwrap());
        assert!(other.try_lock(file, 7..8, Hold::Exclusive).unwrap());
        drop(other);
        assert!(!mine.has_others(file, 7..8).unwrap());
    }
}
