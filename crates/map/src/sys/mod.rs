//! The operating system: address ranges, questions about files, and the fault handler.
//!
//! One file per system, the same names in each:
//! - `Region`: an address range that the kernel gave us, given back when dropped. `EMPTY`, `map`, `attach`,
//!   `is_segment`, `base`, `len`, `page_bytes`, `backed_bytes`,
//!   `resize`; then the verbs on a range of its bytes: `flush`, `flush_async`, `start_write_back`, `residency`,
//!   `advise`, `madvise` (by number), `populate`, `lock`, `unlock`, `protect`. Where atomic accesses of views are not
//!   guarded, `ATOMICS_POISON` says so, and `repair_atomics`, `refuse_atomics`, `fault_kind` do something.
//! - Questions about files: `open`, `facts`, `file_len`, `readable`, `allocatable`, `is_full`, `path_of`, `opened`,
//!   `reopen`, `is_in_memory`, `most_file_bytes`; what changes them: `grow`, `append`,
//!   `set_len`, `write`, `read`, `sync_all`, `sync_data`; their pages in the page
//!   cache: `start_write_back`, `drop_cache`, `cache_counts`; memory with a descriptor: `memfd`, `stand_in`, `seal`,
//!   `is_sealed`, `has_holes`, `fill_holes`;
//!   `immutable`: sealed, or verified by its file system.
//! - `GROWS_IN_PLACE`: whether a mapping has the bytes that its file gets later; if not, `read_at` and `write_at` reach
//!   these, and `grow` is not called.
//! - `fault_error`: the reason of a fault, where it has brought one along.
//! - `page_bytes()`, `huge_page_bytes()`, `has_advice(number)`, `usage(scope)`, `NARROWEST_SCOPE`: the system's and the
//!   process's numbers.
//! - `Registration`: has the pages of an address range replaced by zeros where an access without a guard faults. `new`,
//!   `fault`.
//! - `futex_wait`, `futex_wake`: sleeping until a word changes.
//! - `is_armed()`, `is_blocked()`: whether faults are caught now, for `fault::status`.

use crate::descriptor::BorrowedDescriptor;
use crate::options::{HugePages, MapMode, Protection};

pub(crate) mod errno;

cfg_select! {
    // Under loom no mapping is made.
    any(miri, loom) => {
        mod heap;
        pub(crate) use heap::*;
    }
    target_os = "linux" => {
        mod linux;
        pub(crate) use linux::*;
    }
    all(windows, target_arch = "x86_64") => {
        mod windows;
        pub(crate) use windows::*;
    }
    _ => {
        mod stub;
        pub(crate) use stub::*;
    }
}

/// What `Region::map` is to make.
#[allow(dead_code, reason = "systems without mappings look at none of it")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'fd> {
    /// The file; anonymous memory if there is none.
    pub(crate) file: Option<BorrowedDescriptor<'fd>>,
    /// Where the range starts in the file: a multiple of its page size.
    pub(crate) offset: u64,
    /// Bytes that may be accessed, from the range's start.
    pub(crate) len: usize,
    /// Bytes of address space, where more than `len` is to be kept for `resize`.
    pub(crate) reserve: usize,
    /// Bytes of a page of this file or memory.
    pub(crate) page_bytes: usize,
    pub(crate) protection: Protection,
    pub(crate) sharing: Sharing,
    /// Anonymous memory in huge pages of its own: `MAP_HUGETLB`.
    pub(crate) huge_pages: Option<HugePages>,
    /// No swap space is set aside: `MAP_NORESERVE`.
    pub(crate) no_reserve: bool,
    /// For a stack: `MAP_STACK`.
    pub(crate) stack: bool,
    /// The pages are brought in at once, as far as they can be had: `MAP_POPULATE`.
    pub(crate) populate: bool,
}

/// Who sees the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Everybody: `MAP_SHARED`.
    Shared,
    /// This mapping alone: `MAP_PRIVATE`.
    Private,
}

/// Whether `Region::resize` may take the range to another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moving {
    Allowed,
    Forbidden,
}

impl MapMode {
    pub(crate) fn protection(self) -> Protection {
        match self {
            Self::ReadOnly => Protection::ReadOnly,
            Self::ReadWrite | Self::CopyOnWrite => Protection::ReadWrite,
        }
    }

    pub(crate) fn sharing(self) -> Sharing {
        match self {
            Self::ReadOnly | Self::ReadWrite => Sharing::Shared,
            Self::CopyOnWrite => Sharing::Private,
        }
    }
}

/// The length of a character device, which has none.
pub(crate) const ENDLESS: u64 = u64::MAX;

/// What is to be known of a file before it is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Bytes that the file has; [`ENDLESS`] for a device without a length.
    pub(crate) len: u64,
    /// What mappings of it start and end at multiples of.
    pub(crate) page_bytes: usize,
    /// Whether it is of a kind that mmap(2) takes; even no bytes of another are a mapping.
    pub(crate) can_be_mapped: bool,
}

/// How a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) reads: bool,
    pub(crate) writes: bool,
    /// Every write goes to the end.
    pub(crate) appends: bool,
    /// Whether it can be mapped for what it was opened for, and need not be opened once more.
    pub(crate) maps: bool,
}

/// Whose page faults are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Process,
    Thread,
}
