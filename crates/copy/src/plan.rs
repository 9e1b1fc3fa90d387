//! The plan of a copy: what was asked for and what the files are like go in, what to do comes out. Nothing here touches
//! a file, so every decision can be tested on its own.
//!
//! The figures behind the choices are in docs/design/copy.md.

mod reason;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZero;

use crate::file_system::FileSystem;
use crate::sys;
use reason::Why;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// From this length on a second thread pays for itself, and it pays to ask what the page cache holds, in bytes.
pub(crate) const LARGE_FROM: u64 = 32 << 20;
/// Below this length allocating ahead costs more than it saves, in bytes.
const SMALL_BELOW: u64 = 1 << 20;
/// The default piece for copy_file_range(2): so large that calls cost nothing, so small that it can be stopped.
const OFFLOAD_BYTES: usize = 128 * MIB;

/// A way to move the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// read(2) into a buffer and write(2) from it.
    ReadWrite,
    /// Two mappings and a copy between them.
    Mapped,
    /// write(2) straight from a mapping of the source.
    MappedSource,
    /// read(2) straight into a mapping of the destination.
    MappedDestination,
    /// copy_file_range(2): the kernel, the file system or the server copies. Refused on Windows.
    CopyFileRange,
    /// ioctl_ficlone(2), on Windows `FSCTL_DUPLICATE_EXTENTS_TO_FILE`: both files share their blocks until one is
    /// written to.
    Reflink,
    /// splice(2) into a pipe and out of it.
    Splice,
    /// `io_uring`: several reads and writes at once.
    Uring,
    /// read(2) and write(2) past the page cache: `O_DIRECT`, on Windows `FILE_FLAG_NO_BUFFERING`.
    Direct,
}

impl Engine {
    /// Every engine.
    pub const ALL: [Self; 9] = [
        Self::ReadWrite,
        Self::Mapped,
        Self::MappedSource,
        Self::MappedDestination,
        Self::CopyFileRange,
        Self::Reflink,
        Self::Splice,
        Self::Uring,
        Self::Direct,
    ];

    /// The name that the command uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::Mapped => "mapped",
            Self::MappedSource => "mapped-source",
            Self::MappedDestination => "mapped-destination",
            Self::CopyFileRange => "copy-file-range",
            Self::Reflink => "reflink",
            Self::Splice => "splice",
            Self::Uring => "uring",
            Self::Direct => "direct",
        }
    }

    /// Whether [`Plan::buffer_bytes`] means something to it.
    #[must_use]
    pub fn has_buffer(self) -> bool {
        match self {
            Self::ReadWrite | Self::CopyFileRange | Self::Splice | Self::Uring | Self::Direct => true,
            Self::Mapped | Self::MappedSource | Self::MappedDestination | Self::Reflink => false,
        }
    }

    /// Whether it can share the work between threads. Those that can't use a file's own position.
    fn has_threads(self) -> bool {
        !matches!(self, Self::MappedSource | Self::MappedDestination | Self::Reflink)
    }

    /// Bytes of its buffer if nothing else is asked for.
    fn default_buffer_bytes(self) -> usize {
        match self {
            Self::CopyFileRange => OFFLOAD_BYTES,
            Self::Direct => 4 * MIB,
            _ => MIB,
        }
    }

    /// Whether it can copy a file whose holes are to be treated in this way.
    pub(crate) fn can_do(self, holes: Holes) -> bool {
        match holes {
            Holes::Absent | Holes::Kept => true,
            // Zeros are found only where the bytes are looked at.
            Holes::Made => self == Self::ReadWrite,
            // What shares blocks shares holes, and copy_file_range(2) may do that; a load from a mapped hole of tmpfs
            // gives it a page, and sources are not to be changed.
            Holes::Filled => !matches!(self, Self::CopyFileRange | Self::Reflink | Self::Mapped | Self::MappedSource),
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What becomes of holes, the ranges of a file that have no blocks and read as zeros. The meanings are those of cp(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sparse {
    /// Holes of the source stay holes, if it has so few blocks that it must have some.
    #[default]
    Auto,
    /// As `Auto`; and blocks of zeros become holes.
    Always,
    /// Every byte is written.
    Never,
}

/// Whether the blocks of the source may be shared instead of copied. The meanings are those of cp(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reflink {
    /// They are, where the file system can, no engine was asked for, and holes are left alone.
    #[default]
    Auto,
    /// They must be: it is an error if they can't. This wins over an engine that was asked for,
    /// and over what is to become of holes.
    Always,
    /// They are not, unless the engine [`Engine::Reflink`] is asked for.
    Never,
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// The way to move the bytes; the fastest for the case if `None`.
    pub engine: Option<Engine>,
    /// Bytes of the buffer, for engines that have one; chosen by the plan if `None`.
    pub buffer_bytes: Option<NonZero<usize>>,
    /// Threads that share a file; chosen by the plan if `None`. Some engines have one whatever is asked for.
    pub threads: Option<NonZero<usize>>,
    /// What becomes of holes.
    pub sparse: Sparse,
    /// Whether blocks may be shared.
    pub reflink: Reflink,
}

/// What is known of the files. `Facts::between` asks the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Length of the source, in bytes. Zero may also mean that the file system does not know, as in /proc.
    pub len: u64,
    /// Bytes of the blocks that the source has; fewer than `len` if it has holes.
    pub allocated: u64,
    /// Bytes of the source in the page cache; `None` if nobody asked, or got no answer.
    pub cached: Option<u64>,
    /// The file system that the source is on.
    pub from: FileSystem,
    /// The file system that the destination is on.
    pub to: FileSystem,
    /// Whether both have one device number.
    pub same_device: bool,
    /// Whether the copy is to be on the disk before it gets its name.
    pub to_disk: bool,
    /// Processors that this process may use.
    pub processors: NonZero<usize>,
}

impl Facts {
    /// A file of this length without holes, of which nothing else is known, and one processor.
    #[must_use]
    pub fn new(len: u64) -> Self {
        Self {
            len,
            allocated: len,
            cached: None,
            from: FileSystem::Other,
            to: FileSystem::Other,
            same_device: false,
            to_disk: false,
            processors: NonZero::<usize>::MIN,
        }
    }
}

/// How the holes of a source are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holes {
    /// It has none to speak of: all bytes are written as they come.
    Absent,
    /// They are skipped.
    Kept,
    /// They are skipped, and so are blocks of zeros.
    Made,
    /// They are written as zeros.
    Filled,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The way to move the bytes, if they are not shared.
    pub engine: Engine,
    /// Whether sharing the blocks is tried first (`Auto`), must succeed (`Always`), or neither.
    pub reflink: Reflink,
    /// Bytes of the buffer, for engines that have one.
    pub buffer_bytes: NonZero<usize>,
    /// Threads that share the work, each with its own range of the file.
    pub threads: NonZero<usize>,
    /// What becomes of holes.
    pub holes: Holes,
    /// Whether the destination gets its space before the first byte is written.
    pub preallocate: bool,
    /// Whether the destination is flushed before it gets its name: because that was asked for, or because only that
    /// tells of all errors.
    pub flush: bool,
    request: Request,
    facts: Facts,
    why: Why,
}

impl Plan {
    /// Decides. The same arguments always give the same plan.
    #[must_use]
    pub fn new(request: Request, facts: Facts) -> Self {
        let way = match (request.engine, request.reflink) {
            (_, Reflink::Always) => Way { why: Why::MustShare, ..Way::auto(facts) },
            (Some(engine), _) => Way::asked(engine, facts),
            (None, _) => Way::auto(facts),
        };
        let holes = match request.sparse {
            Sparse::Auto if facts.allocated < facts.len => Holes::Kept,
            Sparse::Auto => Holes::Absent,
            Sparse::Always => Holes::Made,
            Sparse::Never => Holes::Filled,
        };
        // What auto has chosen must be able to do what was asked for besides.
        let way = if request.engine.is_none() && !way.engine.can_do(holes) { Way::large_or_small(facts) } else { way };
        let reflink = match request.reflink {
            Reflink::Auto if request.engine.is_none() && request.sparse == Sparse::Auto && may_share(facts) => {
                Reflink::Auto
            }
            Reflink::Always => Reflink::Always,
            Reflink::Auto | Reflink::Never => Reflink::Never,
        };
        let threads = request.threads.unwrap_or(way.threads);
        Self {
            engine: way.engine,
            reflink,
            buffer_bytes: request.buffer_bytes.unwrap_or(nonzero(way.buffer_bytes)),
            threads: if way.engine.has_threads() { threads } else { NonZero::<usize>::MIN },
            holes,
            preallocate: way.preallocate && holes != Holes::Made,
            flush: facts.to_disk || matches!(facts.to, FileSystem::Network | FileSystem::Fuse),
            request,
            facts,
            why: way.why,
        }
    }

    /// Says why it is as it is, with the facts that made it so: one line for people.
    #[must_use]
    pub fn reason(&self) -> String {
        reason::sentence(self)
    }
}

/// A way to copy, before it is known what becomes of holes.
#[derive(Debug, Clone, Copy)]
struct Way {
    engine: Engine,
    buffer_bytes: usize,
    threads: NonZero<usize>,
    preallocate: bool,
    why: Why,
}

impl Way {
    /// An engine that was asked for, and nothing that would hide what it is like.
    fn asked(engine: Engine, facts: Facts) -> Self {
        Self {
            engine,
            buffer_bytes: engine.default_buffer_bytes(),
            threads: if engine == Engine::Direct { two(facts) } else { NonZero::<usize>::MIN },
            // A mapped file must have its bytes before it is mapped, and what goes past the cache has no delayed
            // allocation.
            preallocate: matches!(engine, Engine::Mapped | Engine::MappedDestination | Engine::Direct),
            why: Why::Asked,
        }
    }

    /// The fastest that was measured for the case. Never a mapping, which pays a page fault for every page.
    fn auto(facts: Facts) -> Self {
        let on_server = matches!(facts.from, FileSystem::Network | FileSystem::Zfs);
        if sys::OFFLOADS && facts.len > 0 && on_server && facts.from == facts.to && facts.same_device {
            let buffer_bytes = Engine::CopyFileRange.default_buffer_bytes();
            let one = NonZero::<usize>::MIN;
            let engine = Engine::CopyFileRange;
            return Self { engine, buffer_bytes, threads: one, preallocate: false, why: Why::Offloaded };
        }
        let is_cold = facts.cached.is_some_and(|cached| cached < facts.len / 2);
        let way = Self::large_or_small(facts);
        if facts.len >= LARGE_FROM && is_cold {
            // Measured on these two; others may have to look at the bytes, or have no disk.
            let preallocate = matches!(facts.to, FileSystem::Ext | FileSystem::Xfs);
            return Self { preallocate, why: Why::Cold, ..way };
        }
        way
    }

    /// `ReadWrite`, by the length.
    fn large_or_small(facts: Facts) -> Self {
        let (buffer_bytes, threads, why) = match facts.len {
            0 => (256 * KIB, NonZero::<usize>::MIN, Why::NoLength),
            1..SMALL_BELOW => (256 * KIB, NonZero::<usize>::MIN, Why::Small),
            SMALL_BELOW..LARGE_FROM => (256 * KIB, NonZero::<usize>::MIN, Why::Middle),
            LARGE_FROM.. => (512 * KIB, two(facts), Why::Large),
        };
        let preallocate = facts.to == FileSystem::Ext && facts.len >= SMALL_BELOW;
        Self { engine: Engine::ReadWrite, buffer_bytes, threads, preallocate, why }
    }
}

/// Whether it is worth a system call to ask for shared blocks.
pub(crate) fn may_share(facts: Facts) -> bool {
    let known_not = matches!(
        facts.to,
        FileSystem::Ext
            | FileSystem::Memory
            | FileSystem::Kernel
            | FileSystem::Fuse
            | FileSystem::Ntfs
            | FileSystem::Fat
    );
    // Subvolumes have numbers of their own and share blocks all the same.
    let is_one = facts.from == facts.to && (facts.same_device || facts.to != FileSystem::Xfs);
    facts.len > 0 && is_one && !known_not
}

/// Two threads, if there are two processors; one where the second would make the file system write zeros for the first
/// to write over.
fn two(facts: Facts) -> NonZero<usize> {
    match facts.to {
        FileSystem::Ntfs | FileSystem::Refs | FileSystem::Fat => NonZero::<usize>::MIN,
        _ => facts.processors.min(nonzero(2)),
    }
}

fn nonzero(value: usize) -> NonZero<usize> {
    NonZero::new(value).unwrap_or(NonZero::<usize>::MIN)
}
