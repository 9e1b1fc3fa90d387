//! The plan of a copy: what was asked for and what the files are like go in, what to do comes out. Nothing here touches
//! a file, so every decision can be tested on its own.
//!
//! The figures behind the choices are in docs/design/copy.md.

use std::fmt;
use std::num::NonZero;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// From this length on a second thread pays for itself, in bytes.
const LARGE_FROM: u64 = 32 << 20;
/// Below this length allocating ahead costs more than it saves, in bytes.
const SMALL_BELOW: u64 = 1 << 20;

/// A way to move the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// read(2) into a buffer and write(2) from it.
    ReadWrite,
    /// Two mappings and a copy between them.
    Mapped,
}

impl Engine {
    /// The name that the command uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::Mapped => "mapped",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Request {
    /// The way to move the bytes; the fastest for the case if `None`.
    pub engine: Option<Engine>,
    /// Bytes of the buffer of `ReadWrite`; chosen by the plan if `None`.
    pub buffer_bytes: Option<NonZero<usize>>,
}

/// What is known of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Length of the source, in bytes. Zero may also mean that the file system does not know, as in /proc.
    pub len: u64,
    /// The file system that the destination is on.
    pub file_system: FileSystem,
    /// Processors that this process may use.
    pub processors: NonZero<usize>,
}

/// A file system, as far as it matters for copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileSystem {
    /// ext2, ext3 or ext4: allocating ahead makes writing faster.
    Ext,
    /// XFS: two threads help, allocating ahead does not.
    Xfs,
    /// Memory: tmpfs or ramfs. Writing allocates as fast as anything.
    Memory,
    /// On another machine: an error of a write may come as late as close(2).
    Network,
    /// The kernel's own, such as sysfs: the length that a file claims to have means nothing.
    Kernel,
    /// Any other.
    Other,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The way to move the bytes.
    pub engine: Engine,
    /// Bytes of the buffer of `ReadWrite`.
    pub buffer_bytes: NonZero<usize>,
    /// Threads that share the work, each with its own range of the file.
    pub threads: NonZero<usize>,
    /// Whether the destination gets its space before the first byte is written.
    pub preallocate: bool,
    /// Whether the destination is flushed before it gets its name, because only that tells of all errors.
    pub flush: bool,
}

impl Plan {
    /// Decides. The same arguments always give the same plan.
    #[must_use]
    pub fn new(request: Request, facts: Facts) -> Self {
        match request.engine {
            None => Self::auto(request, facts),
            Some(engine) => Self {
                engine,
                buffer_bytes: request.buffer_bytes.unwrap_or(nonzero(MIB)),
                threads: NonZero::<usize>::MIN,
                // A mapped file must have its bytes before it is mapped.
                preallocate: engine == Engine::Mapped,
                flush: facts.file_system == FileSystem::Network,
            },
        }
    }

    /// The fastest that was measured for the case: always `ReadWrite`, since a mapping pays a page fault for every
    /// page.
    fn auto(request: Request, facts: Facts) -> Self {
        let large = facts.len >= LARGE_FROM;
        let buffer_bytes = match facts.len {
            0..SMALL_BELOW => 256 * KIB,
            _ if large => 512 * KIB,
            _ => MIB,
        };
        let threads = if large { facts.processors.min(nonzero(2)) } else { NonZero::<usize>::MIN };
        Self {
            engine: Engine::ReadWrite,
            buffer_bytes: request.buffer_bytes.unwrap_or(nonzero(buffer_bytes)),
            threads,
            preallocate: facts.file_system == FileSystem::Ext && facts.len >= SMALL_BELOW,
            flush: facts.file_system == FileSystem::Network,
        }
    }
}

fn nonzero(value: usize) -> NonZero<usize> {
    NonZero::new(value).unwrap_or(NonZero::<usize>::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(len: u64, file_system: FileSystem) -> Facts {
        Facts { len, file_system, processors: nonzero(8) }
    }

    fn auto(len: u64, file_system: FileSystem) -> (usize, usize, bool) {
        let plan = Plan::new(Request::default(), facts(len, file_system));
        assert_eq!(plan.engine, Engine::ReadWrite);
        (plan.buffer_bytes.get(), plan.threads.get(), plan.preallocate)
    }

    #[test]
    fn auto_grows_with_the_file_and_knows_the_file_system() {
        assert_eq!(auto(0, FileSystem::Ext), (256 * KIB, 1, false));
        assert_eq!(auto((1 << 20) - 1, FileSystem::Ext), (256 * KIB, 1, false));
        assert_eq!(auto(1 << 20, FileSystem::Ext), (MIB, 1, true));
        assert_eq!(auto(1 << 30, FileSystem::Ext), (512 * KIB, 2, true));
        assert_eq!(auto(1 << 30, FileSystem::Xfs), (512 * KIB, 2, false));
        assert_eq!(auto(1 << 30, FileSystem::Memory), (512 * KIB, 2, false));
        assert_eq!(auto(u64::MAX, FileSystem::Other), (512 * KIB, 2, false));
    }

    #[test]
    fn a_network_file_system_is_flushed_with_every_engine() {
        for engine in [None, Some(Engine::ReadWrite), Some(Engine::Mapped)] {
            let request = Request { engine, ..Request::default() };
            assert!(Plan::new(request, facts(1, FileSystem::Network)).flush);
            assert!(!Plan::new(request, facts(1, FileSystem::Ext)).flush);
        }
    }

    #[test]
    fn one_processor_gets_one_thread() {
        let facts = Facts { processors: nonzero(1), ..facts(1 << 30, FileSystem::Ext) };
        assert_eq!(Plan::new(Request::default(), facts).threads.get(), 1);
    }

    #[test]
    fn an_engine_that_was_asked_for_is_taken_with_the_buffer_that_was_asked_for() {
        for engine in [Engine::ReadWrite, Engine::Mapped] {
            let request = Request { engine: Some(engine), buffer_bytes: NonZero::new(5) };
            let plan = Plan::new(request, facts(1 << 30, FileSystem::Ext));
            assert_eq!((plan.engine, plan.buffer_bytes.get(), plan.threads.get()), (engine, 5, 1));
            assert_eq!(plan.preallocate, engine == Engine::Mapped);
        }
        let request = Request { engine: None, buffer_bytes: NonZero::new(7) };
        assert_eq!(Plan::new(request, facts(1, FileSystem::Xfs)).buffer_bytes.get(), 7);
    }
}
