//! A view that keeps its mapping.
#![expect(unsafe_code, reason = "a pointer into a mapping beside it")]

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::fault::Fault;
use crate::mapping::Mapping;
use crate::view::View;

/// A [`View`] that keeps its mapping alive: for types that own what they look at, such as the registers of a device.
///
/// Clones and [parts](Self::part) are of the same mapping, which is unmapped when the last of them is dropped.
#[derive(Clone)]
pub struct OwnedView {
    /// The first byte of what is viewed. Invariant: `base..base + len` lies inside the address range of `mapping`,
    /// which can't be resized or unmapped while it is shared.
    base: *mut u8,
    len: usize,
    mapping: Arc<Mapping>,
}

// What both of these stand on, and would hide if it was so no more.
const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Arc<Mapping>>();
    is_send_and_sync::<View<'static>>();
};

// SAFETY: an address range that no Rust object lives in, and an `Arc<Mapping>`, which is Send by the assertion above.
unsafe impl Send for OwnedView {}
// SAFETY: every access goes through a `View`, and what keeps the range is an `Arc<Mapping>`; both are Sync by the same.
unsafe impl Sync for OwnedView {}

impl OwnedView {
    /// The same for a moment, with all that can be done.
    #[inline(always)]
    #[must_use]
    pub fn view(&self) -> View<'_> {
        // SAFETY: 1: by the invariant, and the borrow keeps the mapping.
        unsafe { View::from_parts(self.base, self.len, &self.mapping) }
    }

    /// A range of its bytes.
    ///
    /// # Errors
    /// [`OutOfBounds`](crate::FaultKind::OutOfBounds) when the range ends after the view or before it starts.
    pub fn part(&self, range: Range<usize>) -> Result<Self, Fault> {
        let part = self.view().slice(range)?;
        Ok(Self { base: part.base(), len: part.len(), mapping: Arc::clone(&self.mapping) })
    }

    /// Bytes in it.
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mapping that it is a part of.
    #[must_use]
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

impl From<Mapping> for OwnedView {
    fn from(mapping: Mapping) -> Self {
        Arc::new(mapping).into()
    }
}

impl From<Arc<Mapping>> for OwnedView {
    fn from(mapping: Arc<Mapping>) -> Self {
        let all = mapping.view();
        Self { base: all.base(), len: all.len(), mapping }
    }
}

impl fmt::Debug for OwnedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedView").field("len", &self.len).field("mapping", &self.mapping).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::OwnedView;
    use crate::MapOptions;

    #[test]
    fn a_part_outlives_what_it_was_taken_from() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(b"0123456789").expect("room");
        let all = OwnedView::from(MapOptions::read_only().map(&file).expect("mapped"));
        let part = all.part(3..7).expect("inside");
        let last = part.part(3..4).expect("inside");
        assert!(part.part(3..5).is_err());
        drop((all, part));
        assert_eq!((last.len(), last.view().load::<u8>(0), last.view().offset()), (1, Ok(b'6'), 6));
        assert!(last.view().load::<u8>(1).is_err());
    }
}
