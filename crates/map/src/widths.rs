//! Which bytes of a mapping are accessed by atomics of which width.
//!
//! Two atomic accesses of different widths that overlap and race are undefined behaviour in Rust (`core::sync::atomic`,
//! "Memory model for atomic accesses"). So a byte belongs to the width that has claimed it first, for ever.
//!
//! ```text
//! one u16 for 8 bytes, at addresses that are multiples of 8; a bit for each place where an atomic may be:
//!
//!   bytes       | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
//!   width 1     |  0|  1|  2|  3|  4|  5|  6|  7|   <- number of the bit
//!   width 2     |      8|      9|     10|     11|
//!   width 4     |             12|             13|
//!   width 8     |                             14|
//! ```
//!
//! Invariant: of the bits above one byte, at most one is ever set, and none is ever cleared.

use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};

use zerocopy::FromZeros;

/// The widths, and the number of the first bit of each.
const WIDTHS: [(usize, usize); 4] = [(1, 0), (2, 8), (4, 12), (8, 14)];

/// The width of each byte of an address range.
#[derive(Debug)]
pub(crate) struct Widths {
    /// Bits as drawn above. Written and read by everybody who claims; each word stands for itself and publishes
    /// nothing.
    groups: Box<[AtomicU16]>,
}

impl Widths {
    /// Bytes that one word tells of: the width of the widest atomic.
    pub(crate) const GROUP_BYTES: usize = 8;

    /// No byte of `len` has a width yet. Takes a quarter of `len`, which the system supplies as it is used; `None` when
    /// there is no room for it.
    pub(crate) fn new(len: usize) -> Option<Self> {
        let groups = <[AtomicU16]>::new_box_zeroed_with_elems(len.div_ceil(Self::GROUP_BYTES)).ok()?;
        Some(Self { groups })
    }

    /// Claims `count` values of `width` bytes from byte `at`, which is a multiple of the width; all of them lie inside.
    ///
    /// # Errors
    /// The first byte that belongs to another width, and that width. What comes before it is claimed.
    #[inline]
    pub(crate) fn claim(&self, at: usize, count: usize, width: usize) -> Result<(), (usize, usize)> {
        debug_assert!(at.is_multiple_of(width));
        let end = at + count * width;
        let mut start = at;
        while start < end {
            let group = start / Self::GROUP_BYTES;
            let stop = end.min((group + 1) * Self::GROUP_BYTES);
            let bytes = start % Self::GROUP_BYTES..stop - group * Self::GROUP_BYTES;
            let bits = bits_above(bytes.clone(), width);
            // Relaxed, here and below: the claims on a word are ordered by its own modifications, and nothing else is
            // told.
            if self.groups[group].load(Ordering::Relaxed) & bits != bits {
                self.claim_group(group, bytes, width)?;
            }
            start = stop;
        }
        Ok(())
    }

    /// Sets the bits of a width above some bytes of a group, unless one of another width is set there.
    #[cold]
    fn claim_group(&self, group: usize, bytes: Range<usize>, width: usize) -> Result<(), (usize, usize)> {
        let others = WIDTHS.iter().filter(|other| other.0 != width);
        let conflicts = others.fold(0, |bits, other| bits | bits_above(bytes.clone(), other.0));
        let bits = bits_above(bytes.clone(), width);
        let claimed = self.groups[group].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |claimed| {
            (claimed & conflicts == 0).then_some(claimed | bits)
        });
        let Err(claimed) = claimed else { return Ok(()) };
        for byte in bytes {
            let above = |other: usize| claimed & bits_above(byte..byte + 1, other) != 0;
            if let Some(&(other, _)) = WIDTHS.iter().find(|other| other.0 != width && above(other.0)) {
                return Err((group * Self::GROUP_BYTES + byte, other));
            }
        }
        unreachable!("a bit of another width is set above one of the bytes")
    }
}

/// The bits of a width above some bytes of a group, of which there is at least one.
#[inline(always)]
fn bits_above(bytes: Range<usize>, width: usize) -> u16 {
    let (first, last) = (bytes.start / width, (bytes.end - 1) / width);
    // Of 1, 2, 4, 8: where 8, 4, 2, 1 bits fit in front of bit 15, each row behind the one before.
    let row = 16 - 2 * Widths::GROUP_BYTES / width;
    (u16::MAX >> (15 - (last - first))) << (row + first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_drawing() {
        for (width, row) in WIDTHS {
            for start in 0..8 {
                for end in start + 1..=8 {
                    let expected = (start / width..=(end - 1) / width).fold(0, |bits, place| bits | 1 << (row + place));
                    assert_eq!(bits_above(start..end, width), expected, "{width} {start} {end}");
                }
            }
        }
    }

    #[test]
    fn claims_are_granted_as_by_a_table_of_bytes() {
        const LEN: usize = 40;
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).unwrap() % below
        };
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let widths = Widths::new(LEN).unwrap();
            let mut table = [0; LEN];
            for _ in 0..30 {
                let width = 1 << next(4);
                let at = next(LEN / width) * width;
                let count = next((LEN - at) / width + 1);
                let bytes = at..at + count * width;
                let other = bytes.clone().find(|&byte| table[byte] != 0 && table[byte] != width);
                let claimed = widths.claim(at, count, width);
                assert_eq!(claimed, other.map_or(Ok(()), |byte| Err((byte, table[byte]))), "{at} {count} {width}");
                // Whole groups of 8 before the one with the conflict are claimed all the same.
                table[at..other.map_or(bytes.end, |byte| at.max(byte / 8 * 8))].fill(width);
            }
        }
    }

    #[test]
    fn of_two_threads_that_claim_a_byte_by_different_widths_one_gets_it() {
        for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
            let widths = Widths::new(8).unwrap();
            let granted = std::thread::scope(|scope| {
                let claims = [1, 2, 4, 8].map(|width| {
                    scope.spawn({
                        let widths = &widths;
                        move || widths.claim(0, 1, width).is_ok()
                    })
                });
                claims.map(|claim| claim.join().unwrap())
            });
            assert_eq!(granted.into_iter().filter(|&granted| granted).count(), 1, "{granted:?}");
        }
    }
}
