//! Advice for the kernel, by the number that madvise(2) takes it by.
//!
//! The numbers are part of Linux's interface to programs and never change; the integration tests compare them with
//! libc's.

use crate::sys;

/// What a mapping is going to be used for; none of it changes what the pages hold.
///
/// [`View::advise`](crate::View::advise) takes [`crate::Advice`], which has all of this and of [`UncheckedAdvice`] but
/// for populating, which is [`View::populate`](crate::View::populate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Advice {
    /// Takes back what was said: the kernel reads ahead moderately. `MADV_NORMAL`.
    Normal = 0,
    /// Announces accesses here and there: nothing is read ahead. `MADV_RANDOM`.
    Random = 1,
    /// Announces accesses from start to end: the kernel reads far ahead and forgets soon. `MADV_SEQUENTIAL`.
    Sequential = 2,
    /// Starts to read the pages now. `MADV_WILLNEED`.
    WillNeed = 3,
    /// Keeps the pages from child processes. `MADV_DONTFORK`.
    DontFork = 10,
    /// Lets child processes have them again. `MADV_DOFORK`.
    DoFork = 11,
    /// Lets the kernel merge equal anonymous pages (KSM). `MADV_MERGEABLE`.
    Mergeable = 12,
    /// Undoes that, and parts what was merged. `MADV_UNMERGEABLE`.
    Unmergeable = 13,
    /// Asks for transparent huge pages. `MADV_HUGEPAGE`.
    HugePage = 14,
    /// Asks for none. `MADV_NOHUGEPAGE`.
    NoHugePage = 15,
    /// Leaves the pages out of core dumps. `MADV_DONTDUMP`.
    DontDump = 16,
    /// Puts them in again. `MADV_DODUMP`.
    DoDump = 17,
    /// Pretends that the memory has failed, which kills who touches it; needs `CAP_SYS_ADMIN`. `MADV_HWPOISON`.
    HwPoison = 100,
    /// Brings the pages in for reading, and answers an error where that fails. `MADV_POPULATE_READ`, since Linux 5.14.
    PopulateRead = 22,
    /// Brings the pages in for writing: makes copies and fills holes. `MADV_POPULATE_WRITE`, since Linux 5.14.
    PopulateWrite = 23,
}

/// Advice that changes what the pages hold, so that who gives it must know of every slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum UncheckedAdvice {
    /// Drops the pages from this mapping. Of a shared mapping they come back as the file has them; a copy-on-write one
    /// loses its own changes, an anonymous one reads as zeros. `MADV_DONTNEED`.
    DontNeed = 4,
    /// Lets the kernel drop what private anonymous pages hold, at any moment until they are written to. `MADV_FREE`.
    Free = 8,
    /// Drops the pages and what the file or the shared memory has there: a hole, for everybody. `MADV_REMOVE`.
    Remove = 9,
}

impl Advice {
    /// Asks whether the running kernel knows this advice. It may still refuse it for some mappings.
    pub fn is_supported(self) -> bool {
        sys::has_advice(self.number())
    }

    #[expect(clippy::as_conversions, reason = "an enum's number")]
    pub(super) fn number(self) -> i32 {
        self as i32
    }
}

impl UncheckedAdvice {
    /// Asks whether the running kernel knows this advice. It may still refuse it for some mappings.
    pub fn is_supported(self) -> bool {
        sys::has_advice(self.number())
    }

    #[expect(clippy::as_conversions, reason = "an enum's number")]
    pub(super) fn number(self) -> i32 {
        self as i32
    }
}
