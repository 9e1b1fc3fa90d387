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
}
