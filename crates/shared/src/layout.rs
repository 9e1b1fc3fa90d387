//! What a type looks like in memory, as one number: so that two programs that were built apart don't read each other's
//! bytes as something else.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A type whose values may lie in shared memory, and which says what it looks like there.
///
/// Any bytes must be a value of it, and it must have no padding: that is what zerocopy's traits say, and their derives
/// check. Integers, floats and arrays have a layout. A structure gets one by [`layout!`](crate::layout!).
pub trait Layout: FromBytes + IntoBytes + Immutable + KnownLayout + Send + 'static {
    /// Differs between types whose bytes mean something else, but for a chance of 1 in 2^64: a hash of the type's size
    /// and of the names, offsets and types of its fields.
    const HASH: u64;
}

/// 64-bit FNV-1a's offset basis, where every hash starts.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Adds a name to a hash: 64-bit FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>).
#[doc(hidden)]
#[must_use]
pub const fn hash_name(mut hash: u64, name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        // The widening is lossless, and `u64::from` is not const.
        hash = hash_byte(hash, bytes[i]);
        i += 1;
    }
    // A byte that is in no name, so that "ab", "c" is not "a", "bc".
    hash_byte(hash, 0xff)
}

/// Adds a number to a hash.
#[doc(hidden)]
#[must_use]
pub const fn hash_number(mut hash: u64, number: u64) -> u64 {
    let bytes = number.to_le_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash = hash_byte(hash, bytes[i]);
        i += 1;
    }
    hash
}

/// The hash that others start from.
#[doc(hidden)]
#[must_use]
pub const fn hash_basis() -> u64 {
    BASIS
}

const fn hash_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from_le_bytes([byte, 0, 0, 0, 0, 0, 0, 0])).wrapping_mul(PRIME)
}

/// Gives a structure a [`Layout`]: the names, offsets and layouts of the fields that it is told, which must be all.
///
/// ```
/// use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
///
/// #[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
/// #[repr(C)]
/// struct Position {
///     metres: [f64; 3],
///     time_ns: u64,
/// }
/// mapio_shared::layout!(Position { metres: [f64; 3], time_ns: u64 });
/// ```
///
/// A field that is forgotten, or has another type, does not compile.
#[macro_export]
macro_rules! layout {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        impl $crate::Layout for $name {
            const HASH: u64 = {
                // Takes the structure apart, so that none is forgotten and each has its type.
                #[allow(dead_code)]
                fn check($name { $($field),+ }: $name) {
                    $(let _: $type = $field;)+
                }
                let mut hash = $crate::hash_number($crate::hash_basis(), $crate::number(size_of::<$name>()));
                $(
                    hash = $crate::hash_name(hash, stringify!($field));
                    hash = $crate::hash_number(hash, $crate::number(::core::mem::offset_of!($name, $field)));
                    hash = $crate::hash_number(hash, <$type as $crate::Layout>::HASH);
                )+
                hash
            };
        }
    };
}

/// A size or an offset as it goes into a hash.
#[doc(hidden)]
#[must_use]
#[allow(clippy::as_conversions, reason = "lossless on all systems that there are, and the only way in a constant")]
pub const fn number(size: usize) -> u64 {
    size as u64
}

macro_rules! primitive {
    ($($type:ident),+) => {$(
        impl Layout for $type {
            const HASH: u64 = hash_name(hash_number(BASIS, number(size_of::<$type>())), stringify!($type));
        }
    )+};
}

primitive!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

impl<T: Layout, const N: usize> Layout for [T; N] {
    const HASH: u64 = hash_number(hash_name(BASIS, "array"), number(N)) ^ T::HASH.rotate_left(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct One {
        a: u32,
        b: u32,
    }
    crate::layout!(One { a: u32, b: u32 });

    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Swapped {
        b: u32,
        a: u32,
    }
    crate::layout!(Swapped { b: u32, a: u32 });

    #[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
    #[repr(C)]
    struct Signed {
        a: i32,
        b: u32,
    }
    crate::layout!(Signed { a: i32, b: u32 });

    #[test]
    fn types_that_mean_something_else_hash_otherwise() {
        let hashes = [
            One::HASH,
            Swapped::HASH,
            Signed::HASH,
            u32::HASH,
            i32::HASH,
            u64::HASH,
            f64::HASH,
            <[u32; 2]>::HASH,
            <[u32; 3]>::HASH,
            <[i32; 2]>::HASH,
            <[[u32; 2]; 3]>::HASH,
            <[[u32; 3]; 2]>::HASH,
        ];
        assert_eq!(hashes.iter().collect::<BTreeSet<_>>().len(), hashes.len());
    }

    #[test]
    fn a_hash_stays_what_it_is() {
        // Objects that exist were made with it.
        assert_eq!((u8::HASH, One::HASH), (2_124_316_820_950_100_474, 6_412_782_560_443_915_622));
    }
}
