//! Conversions to the types of other crates, each behind a feature of that crate's name.
//!
//! | feature | what it adds |
//! |---|---|
//! | `bytes` | `bytes::Bytes` from a [`SealedMap`](crate::SealedMap) or an [`AnonMap`](crate::AnonMap), without a copy |
//! | `bytemuck` | `View::load_pod` and `View::store_pod` for `bytemuck`'s types |
//! | `vm-memory` | `ReadVolatile` and `WriteVolatile` for a [`Cursor`](crate::Cursor) and a [`MappedFile`](crate::MappedFile) |
//!
//! `zerocopy`'s types need no feature: [`View::load`](crate::View::load) and [`View::store`](crate::View::store) take
//! them.

#[cfg(feature = "bytemuck")]
mod bytemuck;
#[cfg(feature = "bytes")]
mod bytes;
#[cfg(feature = "vm-memory")]
mod vm_memory;
