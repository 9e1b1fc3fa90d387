//! Where some of a finished segment's records are: a file beside it.
//!
//! It is only a hint. It may be missing, old, or written by somebody who means harm: what is found by it is checked
//! against the segment itself, and what does not fit is as good as missing. The writer keeps what it would write in
//! memory until the segment is finished.
//!
//! ```text
//! 0   "mapioidx"
//! 8   the segment's first sequence number
//! 16  number of entries
//! 24  CRC-32 of the log's id, the 24 bytes above and the entries, in 8 bytes
//! 32  entries of 24 bytes: sequence number, time in nanoseconds since 1970, offset in the segment
//! ```

use std::fs::File;
use std::io;

use zerocopy::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::directory::Directory;
use super::layout::{ALIGN_BYTES, HEADER_BYTES, Header};
use super::segment::{Segment, Step};
use crate::sys;

/// Bytes of a segment between two entries, at least.
const SPACING_BYTES: usize = 64 << 10;
const MAGIC: [u8; 8] = *b"mapioidx";

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Prefix {
    magic: [u8; 8],
    first: U64,
    count: U64,
    crc: U64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    sequence: U64,
    time_ns: U64,
    offset: U64,
}

const _: () = assert!(size_of::<Prefix>() == 32 && size_of::<Entry>() == 24);

/// The entries of a segment, in the order of its records.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    /// From which offset on the next entry is due.
    due: usize,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// The record with this number.
    Sequence(u64),
    /// The first record that is not older, in nanoseconds since 1970.
    Time(u64),
}

/// A record that a walk may start from: its offset and its number.
pub(super) type Start = (usize, u64);

impl Index {
    /// Takes note of a record.
    pub(super) fn note(&mut self, at: usize, sequence: u64, time_ns: u64) {
        if at >= self.due {
            let offset = U64::new(u64::try_from(at).unwrap_or(u64::MAX));
            self.entries.push(Entry { sequence: U64::new(sequence), time_ns: U64::new(time_ns), offset });
            self.due = at.saturating_add(SPACING_BYTES);
        }
    }

    /// Writes the index of a finished segment.
    pub(super) fn write(&self, directory: &Directory, header: &Header) -> io::Result<()> {
        let count = U64::new(u64::try_from(self.entries.len()).unwrap_or(0));
        let mut prefix = Prefix { magic: MAGIC, first: U64::new(header.first), count, crc: U64::ZERO };
        prefix.crc = U64::new(crc(&prefix, &self.entries, header));
        directory.write_index(header.first, &[prefix.as_bytes(), self.entries.as_bytes()].concat())
    }

    /// Reads what there is of the index of a segment.
    pub(super) fn read(directory: &Directory, header: &Header) -> Option<Self> {
        let file = directory.open_index(header.first).ok()??;
        let most = usize::try_from(header.segment_bytes).ok()? / SPACING_BYTES + 1;
        let mut bytes = vec![0; size_of::<Prefix>() + most * size_of::<Entry>()];
        let len = read(&file, &mut bytes).ok()?;
        let (prefix, rest) = Prefix::read_from_prefix(&bytes[..len]).ok()?;
        let count = usize::try_from(prefix.count.get()).ok().filter(|&count| count <= most)?;
        let entries = <[Entry]>::ref_from_prefix_with_elems(rest, count).ok()?.0.to_vec();
        let is_ours = prefix.magic == MAGIC && prefix.first.get() == header.first;
        (is_ours && prefix.crc.get() == crc(&prefix, &entries, header)).then_some(Self { entries, due: 0 })
    }

    /// A record of the segment before what is looked for, or that itself; the first one where nothing is known.
    pub(super) fn start(&self, segment: &Segment, target: Target) -> Start {
        let is_before = |sequence: u64, time_ns: u64| match target {
            Target::Sequence(wanted) => sequence <= wanted,
            Target::Time(wanted) => time_ns < wanted,
        };
        let place = self.entries.partition_point(|entry| is_before(entry.sequence.get(), entry.time_ns.get()));
        let first = (HEADER_BYTES, segment.header().first);
        let Some(entry) = place.checked_sub(1).and_then(|last| self.entries.get(last)) else { return first };
        let Some(at) = usize::try_from(entry.offset.get()).ok().filter(|&at| at >= HEADER_BYTES) else { return first };
        let sequence = entry.sequence.get();
        match segment.step(at, sequence) {
            Ok(Step::Record(head))
                if at.is_multiple_of(ALIGN_BYTES)
                    && is_before(sequence, head.time_ns)
                    && segment.check_payload(at, &head).is_ok() =>
            {
                (at, sequence)
            }
            _ => first,
        }
    }
}

fn crc(prefix: &Prefix, entries: &[Entry], header: &Header) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header.log_id);
    hasher.update(&prefix.as_bytes()[..24]);
    hasher.update(entries.as_bytes());
    u64::from(hasher.finalize())
}

/// Reads as much of a file as the buffer takes.
fn read(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let offset = u64::try_from(done).unwrap_or(u64::MAX);
        match sys::read_at(file, &mut buffer[done..], offset)? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}
