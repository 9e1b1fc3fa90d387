//! What the system tells of a file before it is copied: which file system it is on, its blocks, its pages in memory.

use std::fmt;
use std::fs::{File, Metadata};
use std::num::NonZero;
use std::thread;

use mapio_map::MapOptions;
use mapio_map::descriptor::AsDescriptor;

use crate::plan::{Facts, LARGE_FROM, may_share};
use crate::status::Status;
use crate::sys;

/// Bytes that are mapped at a time to ask for their pages.
const WINDOW_BYTES: u64 = 1 << 30;

/// A file system, as far as it matters for copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileSystem {
    /// ext2, ext3 or ext4: allocating ahead makes writing faster, and blocks are never shared.
    Ext,
    /// XFS: two threads help, allocating ahead does not; may share blocks.
    Xfs,
    /// btrfs: shares blocks.
    Btrfs,
    /// ZFS: copies, or shares blocks, by copy_file_range(2).
    Zfs,
    /// Memory: tmpfs or ramfs. Writing allocates as fast as anything.
    Memory,
    /// On another machine, which may copy by itself: NFS, SMB, Ceph. An error of a write may come as late as close(2).
    Network,
    /// Another process or machine serves it, and it may be anything: FUSE, 9P. Errors may be as late.
    Fuse,
    /// The kernel's own, such as sysfs: the length that a file claims to have means nothing.
    Kernel,
    /// NTFS: what is behind the end of what was written is filled with zeros first, so one thread writes.
    Ntfs,
    /// `ReFS`: shares blocks.
    Refs,
    /// FAT or exFAT: no holes, no streams, no permissions.
    Fat,
    /// Any other.
    Other,
}

impl FileSystem {
    /// The file system that an open file is on; one that cannot be asked is `Other`.
    #[must_use]
    pub fn of(file: impl AsDescriptor) -> Self {
        sys::file_system(file)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ext => "ext2/3/4",
            Self::Xfs => "XFS",
            Self::Btrfs => "btrfs",
            Self::Zfs => "ZFS",
            Self::Memory => "memory",
            Self::Network => "a network",
            Self::Fuse => "FUSE",
            Self::Kernel => "the kernel",
            Self::Ntfs => "NTFS",
            Self::Refs => "ReFS",
            Self::Fat => "FAT",
            Self::Other => "another file system",
        })
    }
}

impl Facts {
    /// Asks the system about two open files; what it does not tell is taken for unknown. The copy does not have to be
    /// on the disk: who wants that sets [`Facts::to_disk`].
    ///
    /// For many files between the same file systems, ask once, and then by [`for_source`](Self::for_source).
    #[must_use]
    pub fn between(source: &File, destination: &File) -> Self {
        let (from, to) = (Status::of(source), Status::of(destination));
        let facts = Self {
            from: FileSystem::of(source),
            to: FileSystem::of(destination),
            same_device: from.is_ok_and(|from| to.is_ok_and(|to| from.id.device == to.id.device)),
            processors: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            ..Self::new(0)
        };
        source.metadata().map_or(facts, |metadata| facts.for_source(source, &metadata))
    }

    /// The facts for another source on the same file system, of which fstat(2) told this. Asks about the page cache if
    /// the file is large, else makes no system call.
    #[must_use]
    pub fn for_source(self, source: &File, metadata: &Metadata) -> Self {
        let len = if self.from == FileSystem::Kernel { 0 } else { metadata.len() };
        let allocated = sys::allocated(source, metadata);
        let cached = if len >= LARGE_FROM { cached_bytes(source, len) } else { None };
        Self { len, allocated, cached, ..self }
    }
}

impl Facts {
    /// The facts for a source on the same file system with this status. The processors are asked for only if they
    /// matter.
    pub(crate) fn for_status(
        self,
        source: &File,
        status: &Status,
        processors: impl FnOnce() -> NonZero<usize>,
    ) -> Self {
        let is_large = self.len >= LARGE_FROM;
        Self {
            allocated: status.allocated,
            // Where blocks can be shared, nothing is read; asking takes ten times as long as sharing.
            cached: if is_large && !may_share(self) { cached_bytes(source, self.len) } else { None },
            processors: if is_large { processors() } else { self.processors },
            ..self
        }
    }
}

/// How much of a file is in the page cache; `None` if the kernel does not tell, which it does only to those who may
/// write to the file.
fn cached_bytes(file: &File, len: u64) -> Option<u64> {
    let page_bytes = u64::try_from(mapio_map::page_bytes()).ok()?;
    let mut pages = 0;
    let mut offset = 0;
    while offset < len {
        let window = usize::try_from(WINDOW_BYTES.min(len - offset)).ok()?;
        let mapping = MapOptions::read_only().offset(offset).len(window).map(file).ok()?;
        pages += mapping.view().cache_counts().ok()?.cached;
        offset += WINDOW_BYTES;
    }
    Some(len.min(pages.saturating_mul(page_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_are_those_of_the_files() {
        let (source, destination) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        source.set_len(LARGE_FROM).unwrap();
        let facts = Facts::between(&source, &destination);
        assert_eq!((facts.len, facts.same_device), (LARGE_FROM, true));
        if sys::EVICTS {
            // Where a file has holes without being told to.
            assert_eq!(facts.allocated, 0);
        }
        assert_eq!(facts.from, facts.to);
        // An old kernel does not tell; a new one knows that nobody has read anything.
        assert!(matches!(facts.cached, None | Some(0)), "{facts:?}");
        let facts = facts.for_source(&source, &destination.metadata().unwrap());
        assert_eq!((facts.len, facts.cached), (0, None));
    }
}
