//! The first page of an object: what it is, and who takes part.
//!
//! ```text
//!    0  magic         "mapio" 0 "SH"
//!    8  version       u32      1
//!   12  byte order    u32      0x01020304, as the machine that made it stores it
//!   16  len           u64      bytes of contents, behind this page
//!   24  layout        u64      Layout::HASH of the contents; 0: not said
//!   32  contents      [u8; 16] what stands on it, such as "channel"; text, padded with zeros
//!   48  lifetime      u32      0 until removed, 1 until the last handle closes
//!   52  zeros
//!   56  created       u64      ns since 1970, for display
//!   64  next          u32      numbers given to participants so far
//!   68  state         u32      0 in use, 1 removed
//!   72  left          u32      participants that have left in order
//!   76  zeros
//!  128  cards         62 of 64 bytes: who has which number, for display
//! 4096  contents
//! ```
//! A card, by bytes from its start:
//! ```text
//!    0  number        u32      0: free
//!    4  pid           u32      as its own PID namespace calls it
//!    8  start time    u64      clock ticks since the machine was started
//!   16  namespace     u64      inode of the PID namespace
//!   24  role          [u8; 16] text
//!   40  name          [u8; 16] text
//!   56  seal          u32      the number again, once the rest is written
//!   60  zeros
//! ```
//! Integers are in the byte order of the machine, which the mark tells. All but `len` and the words from 64 on are
//! written before the object has its name, and never again; `len` changes when the object is made longer or shorter,
//! and is at no time more than the file has. Who opens an object copies them, checks the copies, and believes nothing
//! that is there later.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::clock::now_ns;
use crate::error::Error;
use crate::memory::Memory;

/// Bytes before the contents: a page of the smallest size, so that contents are aligned for every type.
pub(crate) const HEADER_LEN: usize = 4096;
/// Offsets of the words that change.
pub(crate) const LEN: usize = 16;
pub(crate) const NEXT: usize = 64;
pub(crate) const STATE: usize = 68;
pub(crate) const LEFT: usize = 72;
/// Offset of `lifetime`.
const LIFETIME: usize = std::mem::offset_of!(Header, lifetime);
/// Where the cards are, and how large each is.
pub(crate) const CARDS: usize = 128;
pub(crate) const CARD_LEN: usize = 64;
pub(crate) const CARD_COUNT: usize = (HEADER_LEN - CARDS) / CARD_LEN;

/// The value of the word `STATE` once the object has no name any more.
pub(crate) const REMOVED: u32 = 1;

/// Why what has no header is not ours: others have made it. All else that `Error::Foreign` says of a header is a
/// problem.
pub(crate) const NO_HEADER: &str = "it has no header of mapio (a raw object is opened as such)";
const TOO_SHORT: &str = "it is shorter than a header";

const MAGIC: [u8; 8] = *b"mapio\0SH";
const VERSION: u32 = 1;
const BYTE_ORDER: u32 = 0x0102_0304;

/// How long an object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Lifetime {
    /// Until somebody removes it, as POSIX has it.
    #[default]
    UntilRemoved,
    /// Until the last handle is closed, as Windows has it. When the last user dies instead, the object is found dead by
    /// the next who opens it, for whom it does not exist, or by [`clean_all`](crate::clean_all).
    LastHandle,
}

/// What is written once, in order.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    magic: [u8; 8],
    version: u32,
    byte_order: u32,
    pub(crate) len: u64,
    pub(crate) layout: u64,
    pub(crate) contents: [u8; 16],
    lifetime: u32,
    zeros: u32,
    pub(crate) created_ns: u64,
}

const _: () = assert!(size_of::<Header>() == NEXT && std::mem::offset_of!(Header, len) == LEN);

impl Header {
    pub(crate) fn new(len: u64, layout: u64, contents: [u8; 16], lifetime: Lifetime) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            byte_order: BYTE_ORDER,
            len,
            layout,
            contents,
            lifetime: u32::from(lifetime == Lifetime::LastHandle),
            zeros: 0,
            created_ns: now_ns(),
        }
    }

    /// Reads and checks the header of a whole object, of which `memory` has all bytes.
    pub(crate) fn read(memory: &Memory) -> Result<Self, Error> {
        let foreign = |reason| Err(Error::Foreign { object: memory.object().to_owned(), reason });
        if memory.len() < HEADER_LEN {
            return foreign(TOO_SHORT);
        }
        let mut bytes = [0; size_of::<Self>()];
        memory.read(0, &mut bytes)?;
        let header: Self = zerocopy::transmute!(bytes);
        if header.magic != MAGIC {
            return foreign(NO_HEADER);
        }
        if header.byte_order != BYTE_ORDER {
            return foreign("it was made on a machine of the other byte order");
        }
        if header.version != VERSION {
            return foreign("it was made by another version of mapio");
        }
        let behind = u64::try_from(memory.len() - HEADER_LEN).unwrap_or(u64::MAX);
        if header.len > behind {
            return Err(memory.corrupt(LEN, "it is shorter than its header says"));
        }
        if header.lifetime > 1 {
            return Err(memory.corrupt(LIFETIME, "there is no such lifetime"));
        }
        Ok(header)
    }

    /// Whether an error of [`read`](Self::read) says that there is no header at all.
    pub(crate) fn is_missing(error: &Error) -> bool {
        matches!(error, Error::Foreign { reason: NO_HEADER | TOO_SHORT, .. })
    }

    /// Whether there is nothing but zeros where a header would be.
    pub(crate) fn is_blank(memory: &Memory) -> Result<bool, Error> {
        let mut bytes = [0; size_of::<Self>()];
        let len = bytes.len().min(memory.len());
        memory.read(0, &mut bytes[..len])?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        if self.lifetime == 0 { Lifetime::UntilRemoved } else { Lifetime::LastHandle }
    }

    /// What stands on it, as text.
    pub(crate) fn contents(&self) -> String {
        text(&self.contents)
    }
}

/// The text in a field that is padded with zeros; what can't be shown is replaced.
pub(crate) fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A field of `N` bytes that holds the start of a text.
pub(crate) fn field<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let mut len = text.len().min(N);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
    field
}
