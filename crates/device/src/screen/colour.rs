//! The sixteen colours of a PC's text screen.

use std::fmt;
use std::str::FromStr;

use embedded_graphics_core::pixelcolor::Rgb888;

use crate::error::Error;

/// One of sixteen colours, by its number on IBM's adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "colours are what they are called")]
pub enum Colour {
    Black,
    Blue,
    Green,
    Cyan,
    Red,
    Magenta,
    Brown,
    LightGray,
    DarkGray,
    LightBlue,
    LightGreen,
    LightCyan,
    LightRed,
    LightMagenta,
    Yellow,
    White,
}

/// Each colour, its name, and its red, green and blue as IBM's VGA has them (`default_red` in Linux's
/// drivers/tty/vt/vt.c).
const TABLE: [(Colour, &str, [u8; 3]); 16] = [
    (Colour::Black, "black", [0x00, 0x00, 0x00]),
    (Colour::Blue, "blue", [0x00, 0x00, 0xaa]),
    (Colour::Green, "green", [0x00, 0xaa, 0x00]),
    (Colour::Cyan, "cyan", [0x00, 0xaa, 0xaa]),
    (Colour::Red, "red", [0xaa, 0x00, 0x00]),
    (Colour::Magenta, "magenta", [0xaa, 0x00, 0xaa]),
    (Colour::Brown, "brown", [0xaa, 0x55, 0x00]),
    (Colour::LightGray, "light-gray", [0xaa, 0xaa, 0xaa]),
    (Colour::DarkGray, "dark-gray", [0x55, 0x55, 0x55]),
    (Colour::LightBlue, "light-blue", [0x55, 0x55, 0xff]),
    (Colour::LightGreen, "light-green", [0x55, 0xff, 0x55]),
    (Colour::LightCyan, "light-cyan", [0x55, 0xff, 0xff]),
    (Colour::LightRed, "light-red", [0xff, 0x55, 0x55]),
    (Colour::LightMagenta, "light-magenta", [0xff, 0x55, 0xff]),
    (Colour::Yellow, "yellow", [0xff, 0xff, 0x55]),
    (Colour::White, "white", [0xff, 0xff, 0xff]),
];

/// The attribute byte of a cell: its colours.
///
/// The highest bit brightens the background, or lets the cell blink, as the adapter is set; here it brightens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute(pub u8);

impl Colour {
    /// The colour of a number; of one above 15, that of its low four bits.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        TABLE[usize::from(number & 0xf)].0
    }

    /// Its number: 0 to 15.
    #[must_use]
    pub fn number(self) -> u8 {
        let found = (0..16).find(|number| Self::from_number(*number) == self);
        found.unwrap_or_else(|| unreachable!("the table has every colour"))
    }

    /// What a pixel of it is.
    #[must_use]
    pub fn rgb(self) -> Rgb888 {
        let [red, green, blue] = TABLE[usize::from(self.number())].2;
        Rgb888::new(red, green, blue)
    }

    /// Characters of this colour on another.
    #[must_use]
    pub fn on(self, background: Self) -> Attribute {
        Attribute(background.number() << 4 | self.number())
    }
}

impl Attribute {
    /// The colour of the character.
    #[must_use]
    pub fn foreground(self) -> Colour {
        Colour::from_number(self.0)
    }

    /// The colour around it.
    #[must_use]
    pub fn background(self) -> Colour {
        Colour::from_number(self.0 >> 4)
    }
}

/// Light gray on black, as after a start.
impl Default for Attribute {
    fn default() -> Self {
        Colour::LightGray.on(Colour::Black)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(TABLE[usize::from(self.number())].1)
    }
}

/// Reads a name such as `light-blue`.
impl FromStr for Colour {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = TABLE.iter().find(|(_, name, _)| *name == text);
        let names = || TABLE.map(|(_, name, _)| name).join(", ");
        found.map(|(colour, ..)| *colour).ok_or_else(|| Error::invalid(text, format!("a colour is one of {}", names())))
    }
}

/// Reads `yellow/blue`, yellow on blue, or `yellow`, on black.
impl FromStr for Attribute {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (foreground, background) = text.split_once('/').unwrap_or((text, "black"));
        Ok(foreground.parse::<Colour>()?.on(background.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_attributes_come_back() {
        for number in 0..=u8::MAX {
            let attribute = Attribute(number);
            assert_eq!(attribute.foreground().on(attribute.background()), attribute);
            let colour = Colour::from_number(number);
            assert_eq!((colour.number(), colour.to_string().parse().ok()), (number & 0xf, Some(colour)));
        }
        assert_eq!("yellow/blue".parse::<Attribute>().ok(), Some(Attribute(0x1e)));
        assert_eq!("light-gray".parse::<Attribute>().ok(), Some(Attribute::default()));
        let error = "pink".parse::<Attribute>().expect_err("it is none").to_string();
        assert!(error.starts_with("pink: a colour is one of black, blue,"), "{error}");
    }
}
