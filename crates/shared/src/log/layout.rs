//! The bytes of a segment: pure functions from and to them.
//!
//! ```text
//! segment   0     SegmentHeader, 64 bytes; its CRC covers the 60 before it
//!           64    the mark, 8 bytes, changed while the segment is in use: see `Mark`
//!           72    zeros
//!           4096  records, each at a multiple of 8, without a gap, up to an end record or to zeros
//! record    0     length of the payload, 4 bytes  \ stored together, last, by one atomic release store
//!           4     tag: a record or an end         / "the word"
//!           8     sequence number
//!           16    time, nanoseconds since 1970
//!           24    records of the same batch that follow
//!           28    CRC-32 of the log's id, the 28 bytes above and the payload
//!           32    payload, then zeros up to a multiple of 8
//! ```
//! All integers are little-endian. Invariant: what is decoded here is bounded by nothing; callers check it against the
//! segment before they use it.

use std::mem::offset_of;

use crc32fast::Hasher;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes before a segment's first record: a page of most machines.
pub(super) const HEADER_BYTES: usize = 4096;
/// Bytes of a record before its payload.
pub(super) const HEAD_BYTES: usize = 32;
/// What records begin at a multiple of, in bytes.
pub(super) const ALIGN_BYTES: usize = 8;
/// Where a segment's mark is.
pub(super) const MARK_OFFSET: usize = 64;
/// The shortest segment: its header page, and a page of records.
pub(super) const LEAST_SEGMENT_BYTES: u64 = 8192;
/// The longest segment: the mark counts 32 bits of 8 bytes, and a payload's length is 32 bits.
pub(super) const MOST_SEGMENT_BYTES: u64 = 4 << 30;
/// The tag of a record: "RECd" in the file.
pub(super) const RECORD_TAG: u32 = 0x6443_4552;
/// The tag of a segment's end: "ENDs" in the file.
pub(super) const END_TAG: u32 = 0x7344_4E45;

const MAGIC: [u8; 8] = *b"mapiolog";
const VERSION: u32 = 1;
/// Reads as this number on machines with the byte order that the file was written in.
const BYTE_ORDER: u32 = 0x0A0B_0C0D;

/// What a segment says of itself, once and for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Random; the same in all segments of a log.
    pub(super) log_id: [u8; 16],
    /// Sequence number of the first record; the file's name says the same.
    pub(super) first: u64,
    /// Nanoseconds since 1970: not before any record of earlier segments, not after any of this one.
    pub(super) created_ns: u64,
    /// Bytes of the file.
    pub(super) segment_bytes: u64,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SegmentHeader {
    magic: [u8; 8],
    version: U32,
    byte_order: U32,
    log_id: [u8; 16],
    first: U64,
    created_ns: U64,
    segment_bytes: U64,
    /// Bytes before the first record.
    header_bytes: U32,
    crc: U32,
}

/// Bytes of the part of a segment's header that never changes.
pub(super) const FIXED_HEADER_BYTES: usize = size_of::<SegmentHeader>();

const _: () = assert!(FIXED_HEADER_BYTES == MARK_OFFSET && MARK_OFFSET.is_multiple_of(8));
const _: () = assert!(offset_of!(SegmentHeader, version) == 8 && offset_of!(SegmentHeader, byte_order) == 12);
const _: () = assert!(offset_of!(SegmentHeader, log_id) == 16 && offset_of!(SegmentHeader, first) == 32);
const _: () = assert!(offset_of!(SegmentHeader, created_ns) == 40 && offset_of!(SegmentHeader, segment_bytes) == 48);
const _: () = assert!(offset_of!(SegmentHeader, header_bytes) == 56 && offset_of!(SegmentHeader, crc) == 60);

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHeader {
    /// Of something else, or of another version: what tells so.
    Foreign(&'static str),
    /// Of a segment that was damaged: what tells so.
    Corrupt(&'static str),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; FIXED_HEADER_BYTES] {
        let mut header = SegmentHeader {
            magic: MAGIC,
            version: U32::new(VERSION),
            byte_order: U32::new(BYTE_ORDER),
            log_id: self.log_id,
            first: U64::new(self.first),
            created_ns: U64::new(self.created_ns),
            segment_bytes: U64::new(self.segment_bytes),
            header_bytes: U32::new(HEADER_BYTES_32),
            crc: U32::ZERO,
        };
        header.crc = U32::new(crc32fast::hash(&header.as_bytes()[..offset_of!(SegmentHeader, crc)]));
        zerocopy::transmute!(header)
    }

    pub(super) fn decode(bytes: &[u8; FIXED_HEADER_BYTES]) -> Result<Self, NoHeader> {
        let header: SegmentHeader = zerocopy::transmute!(*bytes);
        if header.magic != MAGIC {
            return Err(NoHeader::Foreign("it does not begin as a segment does"));
        }
        if header.crc.get() != crc32fast::hash(&bytes[..offset_of!(SegmentHeader, crc)]) {
            return Err(NoHeader::Corrupt("the header does not match its checksum"));
        }
        if header.version.get() != VERSION || header.header_bytes.get() != HEADER_BYTES_32 {
            return Err(NoHeader::Foreign("it was written by another version"));
        }
        if header.byte_order.get() != BYTE_ORDER {
            return Err(NoHeader::Foreign("it was written in another byte order"));
        }
        if !is_segment_len(header.segment_bytes.get()) {
            return Err(NoHeader::Corrupt("the header gives a length that segments do not have"));
        }
        Ok(Self {
            log_id: header.log_id,
            first: header.first.get(),
            created_ns: header.created_ns.get(),
            segment_bytes: header.segment_bytes.get(),
        })
    }
}

const HEADER_BYTES_32: u32 = 4096;

/// Whether segments may be so long.
pub(super) fn is_segment_len(bytes: u64) -> bool {
    (LEAST_SEGMENT_BYTES..=MOST_SEGMENT_BYTES).contains(&bytes) && bytes.is_multiple_of(4096)
}

/// Whatever keeps records of different logs, and of different places in one log, from being taken for each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Salt(u32);

impl Salt {
    pub(super) fn new(log_id: &[u8; 16]) -> Self {
        Self(crc32fast::hash(log_id))
    }
}

/// A record's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Length of the payload in bytes.
    pub(super) len: u32,
    pub(super) tag: u32,
    /// Of a segment's end: that of the next segment's first record.
    pub(super) sequence: u64,
    /// Nanoseconds since 1970.
    pub(super) time_ns: u64,
    /// Records of the same batch that follow.
    pub(super) batch_left: u32,
    pub(super) crc: u32,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RecordHead {
    len: U32,
    tag: U32,
    sequence: U64,
    time_ns: U64,
    batch_left: U32,
    crc: U32,
}

const _: () = assert!(size_of::<RecordHead>() == HEAD_BYTES && HEAD_BYTES.is_multiple_of(ALIGN_BYTES));
const _: () = assert!(offset_of!(RecordHead, tag) == 4 && offset_of!(RecordHead, sequence) == 8);
const _: () = assert!(offset_of!(RecordHead, time_ns) == 16 && offset_of!(RecordHead, batch_left) == 24);
const _: () = assert!(offset_of!(RecordHead, crc) == CRC_OFFSET);

/// Where a head's CRC is, and where what it covers of the head ends.
const CRC_OFFSET: usize = 28;

impl Head {
    /// The bytes of the head, with the CRC that fits them and the payload.
    pub(super) fn seal(mut self, salt: Salt, payload: &[u8]) -> [u8; HEAD_BYTES] {
        let mut hasher = self.hasher(salt);
        hasher.update(payload);
        self.crc = hasher.finalize();
        self.encode()
    }

    /// A hasher that has seen everything but the payload.
    pub(super) fn hasher(&self, salt: Salt) -> Hasher {
        let mut hasher = Hasher::new_with_initial(salt.0);
        hasher.update(&self.encode()[..CRC_OFFSET]);
        hasher
    }

    /// Bytes from this record's first to the next one's; more than any segment if it is longer than memory.
    pub(super) fn stride(&self) -> usize {
        usize::try_from(self.len).map_or(usize::MAX, stride)
    }

    fn encode(&self) -> [u8; HEAD_BYTES] {
        zerocopy::transmute!(RecordHead {
            len: U32::new(self.len),
            tag: U32::new(self.tag),
            sequence: U64::new(self.sequence),
            time_ns: U64::new(self.time_ns),
            batch_left: U32::new(self.batch_left),
            crc: U32::new(self.crc),
        })
    }

    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Self {
        let head: RecordHead = zerocopy::transmute!(*bytes);
        Self {
            len: head.len.get(),
            tag: head.tag.get(),
            sequence: head.sequence.get(),
            time_ns: head.time_ns.get(),
            batch_left: head.batch_left.get(),
            crc: head.crc.get(),
        }
    }
}

/// Bytes that a record with a payload of `len` bytes takes in a segment; saturates.
pub(super) fn stride(len: usize) -> usize {
    len.checked_next_multiple_of(ALIGN_BYTES).and_then(|padded| padded.checked_add(HEAD_BYTES)).unwrap_or(usize::MAX)
}

/// How far a segment was flushed, in one integer: 32 bits of offset in units of 8 bytes, and 32 bits that check it.
///
/// It is stored after the flush, so where it is on the disk, what it speaks of is there, too.
pub(super) struct Mark;

impl Mark {
    pub(super) fn encode(offset: usize, header: &Header) -> u64 {
        let units = u32::try_from(offset / ALIGN_BYTES).unwrap_or(0);
        u64::from(Self::check(units, header)) << 32 | u64::from(units)
    }

    /// The offset, or `None` for what is no mark of this segment, such as the zeros of a new one.
    pub(super) fn decode(word: u64, header: &Header) -> Option<usize> {
        let units = u32::try_from(word & u64::from(u32::MAX)).ok()?;
        let offset = usize::try_from(units).ok()?.checked_mul(ALIGN_BYTES)?;
        let is_ours = word >> 32 == u64::from(Self::check(units, header)) && offset >= HEADER_BYTES;
        is_ours.then_some(offset)
    }

    fn check(units: u32, header: &Header) -> u32 {
        let mut hasher = Hasher::new_with_initial(Salt::new(&header.log_id).0);
        hasher.update(&header.first.to_le_bytes());
        hasher.update(&units.to_le_bytes());
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        log_id: *b"0123456789abcdef",
        first: 0x1122_3344_5566_7788,
        created_ns: 0x0102_0304_0506_0708,
        segment_bytes: 8192,
    };

    #[test]
    fn a_header_has_these_bytes() {
        let golden = [
            b"mapiolog".as_slice(),
            &[1, 0, 0, 0, 0x0D, 0x0C, 0x0B, 0x0A],
            b"0123456789abcdef",
            &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11],
            &[8, 7, 6, 5, 4, 3, 2, 1],
            &[0, 0x20, 0, 0, 0, 0, 0, 0],
            &[0, 0x10, 0, 0],
        ]
        .concat();
        let bytes = HEADER.encode();
        assert_eq!(bytes[..60], golden);
        assert_eq!(bytes[60..], crc32fast::hash(&golden).to_le_bytes());
        assert_eq!(Header::decode(&bytes), Ok(HEADER));
    }

    #[test]
    fn no_changed_bit_of_a_header_goes_unnoticed() {
        for bit in 0..8 * FIXED_HEADER_BYTES {
            let mut bytes = HEADER.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
        assert!(matches!(Header::decode(&[0; FIXED_HEADER_BYTES]), Err(NoHeader::Foreign(_))));
    }

    #[test]
    fn a_record_has_these_bytes() {
        let head = Head { len: 3, tag: RECORD_TAG, sequence: 5, time_ns: 7, batch_left: 2, crc: 0 };
        let bytes = head.seal(Salt::new(&HEADER.log_id), b"abc");
        let golden =
            [[3, 0, 0, 0].as_slice(), b"RECd", &[5, 0, 0, 0, 0, 0, 0, 0], &[7, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0]]
                .concat();
        assert_eq!(bytes[..28], golden);
        let covered = [HEADER.log_id.as_slice(), &golden, b"abc"].concat();
        assert_eq!(bytes[28..], crc32fast::hash(&covered).to_le_bytes());
        assert_eq!(Head::decode(&bytes).encode(), bytes);
        assert_eq!((head.stride(), stride(0), stride(8), stride(usize::MAX)), (40, 32, 40, usize::MAX));
        assert_eq!(END_TAG.to_le_bytes(), *b"ENDs");
    }

    #[test]
    fn a_mark_is_believed_only_where_it_was_made() {
        let word = Mark::encode(4096 + 800, &HEADER);
        assert_eq!(Mark::decode(word, &HEADER), Some(4896));
        assert_eq!(Mark::decode(word, &Header { first: 1, ..HEADER }), None);
        assert_eq!(Mark::decode(0, &HEADER), None);
        assert!((0..64).all(|bit| Mark::decode(word ^ 1 << bit, &HEADER).is_none()));
    }
}
