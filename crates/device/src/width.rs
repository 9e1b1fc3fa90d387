//! How many bytes one access has.

use std::fmt;

/// Bytes of one access. Devices tell accesses of different widths apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    /// One byte.
    U8,
    /// Two bytes.
    U16,
    /// Four bytes.
    U32,
    /// Eight bytes.
    U64,
}

impl Width {
    /// All of them, the narrowest first.
    pub const ALL: [Self; 4] = [Self::U8, Self::U16, Self::U32, Self::U64];

    /// Bytes: 1, 2, 4 or 8.
    #[must_use]
    #[inline(always)]
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::U32 => 4,
            Self::U64 => 8,
        }
    }

    /// Bits: 8, 16, 32 or 64.
    #[must_use]
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        match self {
            Self::U8 => 8,
            Self::U16 => 16,
            Self::U32 => 32,
            Self::U64 => 64,
        }
    }

    /// The largest value, which is also the mask of all bits.
    #[must_use]
    #[inline(always)]
    pub const fn max(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The width of so many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::U8),
            2 => Some(Self::U16),
            4 => Some(Self::U32),
            8 => Some(Self::U64),
            _ => None,
        }
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bits", self.bits())
    }
}

/// A value that one access moves: `u8`, `u16`, `u32` or `u64`.
///
/// The trait is sealed.
pub trait Value: Copy + Eq + fmt::Debug + fmt::LowerHex + sealed::Sealed + 'static {
    /// Its width.
    const WIDTH: Width;
    /// Cuts off what it does not hold.
    #[must_use]
    fn from_bits(bits: u64) -> Self;
    /// The value as a number.
    #[must_use]
    fn to_bits(self) -> u64;
}

macro_rules! value {
    ($($int:ty: $width:ident),+) => {
        $(
            impl Value for $int {
                const WIDTH: Width = Width::$width;

                #[inline(always)]
                #[expect(clippy::as_conversions, reason = "it cuts off, as it says")]
                fn from_bits(bits: u64) -> Self {
                    bits as Self
                }

                #[inline(always)]
                fn to_bits(self) -> u64 {
                    u64::from(self)
                }
            }

            impl sealed::Sealed for $int {}
        )+
    };
}

value!(u8: U8, u16: U16, u32: U32, u64: U64);

mod sealed {
    pub trait Sealed {}
}
