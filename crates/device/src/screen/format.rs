//! What the bytes of a pixel are.

use std::fmt;

use embedded_graphics_core::pixelcolor::{Rgb888, RgbColor};

/// How a pixel is stored: a little-endian number, whose name tells the bits from the highest (Linux's drm_fourcc.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// 16 bits: 5 red, 6 green, 5 blue.
    Rgb565,
    /// 16 bits: 5 blue, 6 green, 5 red.
    Bgr565,
    /// 24 bits: blue is the first byte.
    Rgb888,
    /// 24 bits: red is the first byte.
    Bgr888,
    /// 32 bits: blue is the first byte, the last is unused.
    Xrgb8888,
    /// 32 bits: red is the first byte, the last is unused.
    Xbgr8888,
}

/// Where a colour is in a pixel: its lowest bit, and how many.
pub(super) type Channel = (u32, u32);

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Rgb565, Self::Bgr565, Self::Rgb888, Self::Bgr888, Self::Xrgb8888, Self::Xbgr8888];

    /// Bytes of a pixel: 2, 3 or 4.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Rgb565 | Self::Bgr565 => 2,
            Self::Rgb888 | Self::Bgr888 => 3,
            Self::Xrgb8888 | Self::Xbgr8888 => 4,
        }
    }

    /// The bytes of a pixel, in a number's low ones.
    #[must_use]
    pub fn encode(self, colour: Rgb888) -> u32 {
        let parts = [colour.r(), colour.g(), colour.b()].map(u32::from);
        parts.into_iter().zip(self.channels()).map(|(part, (shift, bits))| part >> (8 - bits) << shift).sum()
    }

    /// The colour of a pixel; a part of fewer than 8 bits is spread, so that its largest value is 255.
    #[must_use]
    pub fn decode(self, pixel: u32) -> Rgb888 {
        let [red, green, blue] = self.channels().map(|(shift, bits)| {
            let part = (pixel >> shift) & ((1 << bits) - 1);
            u8::try_from((part << (8 - bits)) | (part >> (2 * bits - 8))).unwrap_or(u8::MAX)
        });
        Rgb888::new(red, green, blue)
    }

    /// Red, green, blue.
    pub(super) const fn channels(self) -> [Channel; 3] {
        match self {
            Self::Rgb565 => [(11, 5), (5, 6), (0, 5)],
            Self::Bgr565 => [(0, 5), (5, 6), (11, 5)],
            Self::Rgb888 | Self::Xrgb8888 => [(16, 8), (8, 8), (0, 8)],
            Self::Bgr888 | Self::Xbgr8888 => [(0, 8), (8, 8), (16, 8)],
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb565 => "RGB565",
            Self::Bgr565 => "BGR565",
            Self::Rgb888 => "RGB888",
            Self::Bgr888 => "BGR888",
            Self::Xrgb8888 => "XRGB8888",
            Self::Xbgr8888 => "XBGR8888",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_stored_as_the_names_say() {
        let colour = Rgb888::new(0xff, 0x82, 0x10);
        let stored = Format::ALL.map(|format| format.encode(colour));
        assert_eq!(stored, [0xfc02, 0x141f, 0xff_8210, 0x10_82ff, 0xff_8210, 0x10_82ff]);
        for format in Format::ALL {
            let seen = format.decode(format.encode(colour));
            assert_eq!(format.encode(seen), format.encode(colour), "{format}");
            assert_eq!(format.decode(format.encode(Rgb888::WHITE)), Rgb888::WHITE);
            assert_eq!(format.decode(format.encode(Rgb888::BLACK)), Rgb888::BLACK);
            if format.bytes() > 2 {
                assert_eq!(seen, colour);
            }
        }
    }
}
