//! The cases: what is copied, where, and in which state everything is before.

use crate::check::Same;
use crate::material::{Dress, Shape};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The case that is not a copy by several tools, but one by all of our engines.
pub const SWEEP: &str = "sweep";

/// The names, in the order in which they run.
pub const NAMES: [&str; 14] = [
    "cached",
    "cached-tmpfs",
    "cold-fsync",
    "cold",
    "small",
    "small-tmpfs",
    "small-existing",
    "flat",
    "sparse",
    "reflink-xfs",
    "reflink-btrfs",
    "one",
    "big-tree",
    SWEEP,
];

/// Something to copy.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub shape: Shape,
    pub medium: Medium,
    pub how: How,
    pub cache: Cache,
    pub end: End,
    pub before: Before,
    /// Measured copies by each tool.
    pub rounds: usize,
}

/// The file system that source and copy are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// That of the folder that was given.
    Folder,
    /// tmpfs: /dev/shm.
    Memory,
    /// An image on a loop device.
    Xfs,
    /// An image on a loop device.
    Btrfs,
}

/// What is asked of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// To copy a file.
    File,
    /// To copy a tree: `-r`.
    Recursive,
    /// To copy a tree with all that belongs to it: `-a`.
    Archive,
}

/// Where the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// In the page cache.
    Warm,
    /// Only on the disk.
    Cold,
}

/// When a copy is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// When the tool has ended.
    Written,
    /// When its bytes are on the disk, too.
    OnDisk,
}

/// What has the copy's name before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    Nothing,
    /// A tree that is as the source.
    SameTree,
}

/// How large the cases are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// So large that something can be seen.
    Full,
    /// So small that all of them take seconds, to see that they run.
    Quick,
}

impl Scale {
    fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Full => full,
            Self::Quick => quick,
        }
    }

    /// Bytes of the file that all engines copy.
    pub fn sweep_bytes(self) -> u64 {
        self.of(256 * MIB, 2 * MIB)
    }

    /// Measured runs of each engine.
    pub fn sweep_rounds(self) -> usize {
        self.of(9, 1)
    }
}

impl Case {
    /// A case by its name; `None` if there is none of that name among those for several tools.
    pub fn new(name: &'static str, scale: Scale) -> Option<Self> {
        let file = |full, quick| Shape::File(scale.of(full, quick));
        let tree = |folders, dress| Shape::Tree {
            folders: scale.of(folders, folders.min(4)),
            files: scale.of(20_000, 200),
            dress,
        };
        let plain = |shape, full_rounds| Self {
            name,
            shape,
            medium: Medium::Folder,
            how: if matches!(shape, Shape::Tree { .. }) { How::Recursive } else { How::File },
            cache: Cache::Warm,
            end: End::Written,
            before: Before::Nothing,
            rounds: scale.of(full_rounds, 2),
        };
        let sparse = Shape::Sparse { len: scale.of(10 * GIB, 256 * MIB), pieces: scale.of(64, 2) };
        Some(match name {
            "cached" => plain(file(GIB, 4 * MIB), 11),
            "cached-tmpfs" => Self { medium: Medium::Memory, ..plain(file(GIB, 4 * MIB), 11) },
            "cold-fsync" => Self { cache: Cache::Cold, end: End::OnDisk, ..plain(file(2 * GIB, 4 * MIB), 5) },
            "cold" => Self { cache: Cache::Cold, ..plain(file(2 * GIB, 4 * MIB), 5) },
            "small" => plain(tree(100, Dress::Plain), 5),
            "small-tmpfs" => Self { medium: Medium::Memory, ..plain(tree(100, Dress::Plain), 5) },
            "small-existing" => Self { before: Before::SameTree, ..plain(tree(100, Dress::Plain), 5) },
            "flat" => plain(tree(1, Dress::Plain), 5),
            "sparse" => plain(sparse, 5),
            "reflink-xfs" => Self { medium: Medium::Xfs, ..plain(file(GIB, 4 * MIB), 15) },
            "reflink-btrfs" => Self { medium: Medium::Btrfs, ..plain(file(GIB, 4 * MIB), 15) },
            "one" => plain(Shape::File(4 * KIB), 301),
            "big-tree" => Self { how: How::Archive, ..plain(tree(100, Dress::Full), 5) },
            _ => return None,
        })
    }

    /// Whether the blocks are to be shared.
    pub fn is_reflink(&self) -> bool {
        matches!(self.medium, Medium::Xfs | Medium::Btrfs)
    }

    /// What of a copy is looked at.
    pub fn same(&self) -> Same {
        if self.how == How::Archive { Same::Everything } else { Same::Contents }
    }

    /// Whether a copy is so large that the disk is to be at rest before each. Smaller ones would wait longer for that
    /// than they take.
    pub fn is_large(&self) -> bool {
        self.shape.room_bytes() >= MIB
    }

    /// What it measures, for a title.
    pub fn text(&self, file_system: &str) -> String {
        let state = match (self.cache, self.before) {
            (Cache::Cold, _) => ", not in the page cache",
            (Cache::Warm, Before::Nothing) => ", in the page cache",
            (Cache::Warm, Before::SameTree) => ", in the page cache, over a tree that is the same",
        };
        let attributes = if self.how == How::Archive { ", with all attributes and links" } else { "" };
        let end = if self.end == End::OnDisk { ", until it is on the disk" } else { "" };
        format!("{}{attributes}{state}{end}, on {file_system}", self.shape.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_case() {
        for name in NAMES {
            let case = Case::new(name, Scale::Full);
            assert_eq!(case.is_none(), name == SWEEP, "{name}");
        }
    }
}
