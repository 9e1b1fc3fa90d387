//! What can be sent: values of a type with a layout, or bytes.

use crate::layout::{Layout, hash_basis, hash_name};

/// What a channel can carry: any [`Layout`], or `[u8]`, whose messages have any length.
///
/// The trait is sealed.
pub trait Message: sealed::Sealed {
    #[doc(hidden)]
    const FIXED_LEN: Option<usize>;
    #[doc(hidden)]
    const HASH: u64;
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];
}

impl<T: Layout> Message for T {
    const FIXED_LEN: Option<usize> = Some(size_of::<T>());
    const HASH: u64 = T::HASH;

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Message for [u8] {
    const FIXED_LEN: Option<usize> = None;
    const HASH: u64 = hash_name(hash_basis(), "[u8]");

    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// What the object's header says about the messages.
pub(crate) fn layout<T: Message + ?Sized>() -> u64 {
    <T as Message>::HASH
}

mod sealed {
    pub trait Sealed {}
    impl<T: crate::layout::Layout> Sealed for T {}
    impl Sealed for [u8] {}
}
