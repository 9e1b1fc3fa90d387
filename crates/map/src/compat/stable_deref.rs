//! For crates that keep a slice beside the handle that it points into.
#![expect(unsafe_code, reason = "the trait promises that moving a handle moves no bytes")]

use stable_deref_trait::StableDeref;

use super::{Mmap, MmapMut};

// SAFETY: the slice is of addresses that the kernel gave, not inside the handle, so that moving the handle leaves it
// where it is; `deref` and `deref_mut` answer the same address and length until `remap`, whose caller answers for
// slices that are kept elsewhere (its duty 2).
unsafe impl StableDeref for Mmap {}

// SAFETY: as above.
unsafe impl StableDeref for MmapMut {}
