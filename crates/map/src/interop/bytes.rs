//! `bytes::Bytes` that own a mapping: cheap to clone and to slice, unmapped with the last of them.

use bytes::Bytes;

use crate::anon::AnonMap;
use crate::sealed::SealedMap;

impl From<SealedMap> for Bytes {
    /// Hands the bytes over without a copy.
    fn from(map: SealedMap) -> Self {
        Self::from_owner(map)
    }
}

impl From<AnonMap> for Bytes {
    /// Hands the bytes over without a copy.
    fn from(map: AnonMap) -> Self {
        Self::from_owner(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_outlive_the_map_that_they_came_from() {
        let sealed = SealedMap::copy_of("bytes", b"hello, sealed memory").unwrap();
        let address = sealed.as_ptr();
        let bytes = Bytes::from(sealed);
        assert_eq!(bytes.as_ptr(), address, "not a copy");
        let tail = bytes.slice(7..);
        drop(bytes);
        assert_eq!(tail, &b"sealed memory"[..]);
        let mut memory = AnonMap::new(3).unwrap();
        memory.copy_from_slice(b"abc");
        assert_eq!(Bytes::from(memory), &b"abc"[..]);
    }
}
