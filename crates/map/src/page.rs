//! Page arithmetic: what the kernel must be asked for so that a caller may ask for any byte.
//!
//! ```text
//! file     |....page....|....page....|....page....|
//!                 ^ offset       ^ offset + len
//!          |<lead>|<----len----->|
//!          |<-------- map_len -------->|  (the kernel rounds the end up itself)
//! ```

use crate::sys;

/// Bytes of a page: what residency, locks and protection come in, and what an access brings in at least.
#[must_use]
#[doc(alias("getpagesize", "_SC_PAGESIZE"))]
pub fn page_bytes() -> usize {
    sys::page_bytes()
}

/// The page-aligned range that holds the bytes `offset..offset + len` of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageSpan {
    /// Where the range starts in the file: a multiple of the page size.
    pub(crate) offset: u64,
    /// Bytes from the range's start to the first byte asked for; below the page size.
    pub(crate) lead: usize,
    /// Bytes to map: `lead + len`.
    pub(crate) map_len: usize,
}

impl PageSpan {
    /// Rounds `offset` down to a page; `None` when the range has no end that fits the file or the address space.
    pub(crate) fn new(offset: u64, len: usize, page_bytes: usize) -> Option<Self> {
        let page = u64::try_from(page_bytes).ok()?;
        let last = offset.checked_add(u64::try_from(len).ok()?)?;
        // A file offset is an off_t, and the kernel rounds the end up to a page.
        if last > i64::MAX.unsigned_abs() - page {
            return None;
        }
        let lead = usize::try_from(offset % page).ok()?;
        let map_len = len.checked_add(lead)?;
        if map_len > isize::MAX.unsigned_abs() - page_bytes {
            return None;
        }
        Some(Self { offset: offset - offset % page, lead, map_len })
    }
}

/// Whole pages in the address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "for systems where faults are repaired")]
pub(crate) struct PageRange {
    /// The first address: a multiple of `page_bytes`.
    pub(crate) addr: usize,
    /// Bytes: a multiple of `page_bytes`.
    pub(crate) len: usize,
    /// Bytes of a page, of which the mapping consists; not zero unless the range is empty.
    pub(crate) page_bytes: usize,
}

impl PageRange {
    /// The pages that hold `len` bytes from `addr` of a mapping: they exist, so their end fits the address space.
    pub(crate) fn around(addr: usize, len: usize, page_bytes: usize) -> Self {
        let lead = addr % page_bytes;
        let pages = if len == 0 { 0 } else { (lead + len).div_ceil(page_bytes) };
        Self { addr: addr - lead, len: pages * page_bytes, page_bytes }
    }

    /// The first address of the page that holds `addr`, if it is one of these. Never panics.
    #[allow(dead_code, reason = "for systems where faults are repaired")]
    pub(crate) fn page_of(&self, addr: usize) -> Option<usize> {
        let offset = addr.checked_sub(self.addr)?;
        if offset < self.len { Some(addr - addr.checked_rem(self.page_bytes)?) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: u64, lead: usize, map_len: usize) -> Option<PageSpan> {
        Some(PageSpan { offset, lead, map_len })
    }

    #[test]
    fn an_odd_offset_starts_at_its_page() {
        assert_eq!(PageSpan::new(0, 10, 4096), span(0, 0, 10));
        assert_eq!(PageSpan::new(4095, 1, 4096), span(0, 4095, 4096));
        assert_eq!(PageSpan::new(4096, 1, 4096), span(4096, 0, 1));
        assert_eq!(PageSpan::new(70_001, 5, 65_536), span(65_536, 4465, 4470));
    }

    #[test]
    fn a_range_without_an_end_is_refused() {
        assert_eq!(PageSpan::new(u64::MAX, 1, 4096), None);
        assert_eq!(PageSpan::new(0, usize::MAX, 4096), None);
        assert_eq!(PageSpan::new(i64::MAX.unsigned_abs(), 1, 4096), None);
        assert_eq!(PageSpan::new(1, isize::MAX.unsigned_abs(), 4096), None);
    }

    #[test]
    fn the_pages_around_some_bytes_are_whole() {
        let around = |addr, len| {
            let range = PageRange::around(addr, len, 4096);
            (range.addr, range.len)
        };
        assert_eq!(around(8192, 1), (8192, 4096));
        assert_eq!(around(8192, 4096), (8192, 4096));
        assert_eq!(around(8193, 4096), (8192, 8192));
        assert_eq!(around(12_287, 1), (8192, 4096));
        assert_eq!(around(12_287, 2), (8192, 8192));
        assert_eq!(around(1, 0), (0, 0));
    }

    #[test]
    fn an_address_has_a_page_only_inside_of_the_range() {
        let range = PageRange::around(3 << 21, 2 << 21, 1 << 21);
        assert_eq!(range.page_of((3 << 21) - 1), None);
        assert_eq!(range.page_of(3 << 21), Some(3 << 21));
        assert_eq!(range.page_of((4 << 21) - 1), Some(3 << 21));
        assert_eq!(range.page_of((5 << 21) - 1), Some(4 << 21));
        assert_eq!(range.page_of(5 << 21), None);
        assert_eq!(PageRange::around(4096, 0, 4096).page_of(4096), None);
    }
}
