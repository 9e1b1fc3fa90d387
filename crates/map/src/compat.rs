//! The names of the crate memmap2, version 0.9, so that a program changes one import and nothing else.
//!
//! ```diff
//! -use memmap2::{Advice, Mmap, MmapMut, MmapOptions};
//! +use mapio::compat::{Advice, Mmap, MmapMut, MmapOptions};
//! ```
//!
//! A mapped file is a slice here. That is fast to adopt, and it is a promise that no program can keep alone: a `&[u8]`
//! says that nobody changes the bytes, and a file belongs to everybody who can open it. So the constructors are
//! `unsafe`, and each says what its caller must make sure of. The rest of this crate needs no such promise; this module
//! is the first step of a move to it, in pieces as small as you like:
//!
//! | here | without `unsafe` |
//! |---|---|
//! | [`Mmap::map`], [`MmapMut::map_mut`] | [`MapOptions`](crate::MapOptions), whose [`View`](crate::View) copies bytes in and out |
//! | [`MmapMut::map_anon`] | [`AnonMap`](crate::AnonMap), a slice as well |
//! | [`Mmap::map_if_safe`] | [`SealedMap`](crate::SealedMap), a slice as well |
//! | `flush`, `advise`, `lock` | [`View::flush`](crate::View::flush), [`advise`](crate::View::advise), [`lock`](crate::View::lock) |
//! | `make_read_only`, `make_mut`, `make_exec` | [`Mapping::protect`](crate::Mapping::protect) |
//! | `remap` | [`Mapping::resize`](crate::Mapping::resize) |
//!
//! ```
//! use mapio_map::MapOptions;
//! use mapio_map::compat::MmapMut;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = tempfile::tempfile()?;
//! file.set_len(10)?;
//! // SAFETY: the file is our own and has no name: nobody else changes it or cuts it short.
//! let mut bytes = unsafe { MmapMut::map_mut(&file)? };
//! bytes[..5].copy_from_slice(b"hello");
//! bytes.flush()?;
//! drop(bytes);
//!
//! let mapping = MapOptions::read_only().map(&file)?; // The same, and any file will do.
//! assert_eq!(mapping.view().load::<[u8; 5]>(0)?, *b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # What it does not do
//! **It does not catch faults.** An access through a slice is a plain one. Where the file has been cut short, the disk
//! is full or the medium fails, it raises SIGBUS and kills the process, as with memmap2. Only accesses through a
//! [`View`](crate::View) answer an error instead.
//!
//! # What differs from memmap2
//! - `advise_range` and `unchecked_advise_range` refuse a range that ends after the mapping (`InvalidInput`); memmap2
//!   looks at the start and the length alone, and passes the rest on to the kernel.
//! - `map_if_safe` looks at a duplicate of the descriptor and maps that, so that no other thread can put another file
//!   under the number in between. Of fs-verity it wants both statx(2) (since Linux 5.5) and the ioctl to tell. A sealed
//!   file of huge pages is brought in at once, or is `map_failed`.
//! - A descriptor below zero is `EBADF`. `remap` to a length above `isize::MAX` is `InvalidData` everywhere; memmap2
//!   leaves it to the kernel where addresses have 64 bits, and its sum may overflow.
//! - A block device without a length given is mapped whole, where memmap2 takes it for empty.
//! - A file of hugetlbfs may be mapped from any offset, and memory in huge pages is given back whatever its length.
//! - [`MmapRaw::is_empty`] is new. Texts of errors are our own, but for a length beyond `isize::MAX`; their kinds are
//!   the same.
//! - [`Advice`] and [`UncheckedAdvice`] have the variants that Linux has, with its numbers, everywhere.
//!
//! # Platforms
//! Linux, and Windows on x86-64, where `remap` always moves a file's mapping, `MADV_WILLNEED` is the only advice, and
//! `map_if_safe` refuses every file. Elsewhere everything is there, and mapping answers `Unsupported`.

mod advice;
mod descriptor;
mod handles;
mod options;
mod range;
mod refusal;
#[cfg(feature = "stable_deref_trait")]
mod stable_deref;

pub use advice::{Advice, UncheckedAdvice};
pub use descriptor::{MmapAsRawDesc, MmapRawDescriptor};
pub use handles::{Mmap, MmapMut, MmapRaw, RemapOptions};
pub use options::MmapOptions;
pub use refusal::MapIfSafeError;
