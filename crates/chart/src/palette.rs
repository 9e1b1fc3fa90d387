//! The colours, each for a light screen and for a dark one.
//!
//! Pictures are drawn in those for light. A style sheet inside of an SVG exchanges them where the screen is dark;
//! that a colour has one use alone makes it possible.

use std::fmt::Write;

/// A colour by its place in the list below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Color(usize);

pub(crate) const PAPER: Color = Color(0);
pub(crate) const INK: Color = Color(1);
/// Of labels beside axes.
pub(crate) const MUTED: Color = Color(2);
pub(crate) const GRID: Color = Color(3);

/// How many colours are not those of series.
const RESERVED: usize = 4;

/// Light and dark. Those of series differ in lightness, too, for who sees few colours.
const COLORS: [([u8; 3], [u8; 3]); 15] = [
    ([0xff, 0xff, 0xff], [0x16, 0x18, 0x1c]),
    ([0x1f, 0x23, 0x28], [0xe6, 0xe8, 0xeb]),
    ([0x59, 0x63, 0x6e], [0xa3, 0xab, 0xb5]),
    ([0xe3, 0xe6, 0xea], [0x30, 0x35, 0x3c]),
    ([0x0b, 0x62, 0xb8], [0x5a, 0xa9, 0xff]),
    ([0xd9, 0x6a, 0x00], [0xff, 0x9a, 0x4d]),
    ([0x1a, 0x8f, 0x58], [0x4c, 0xc5, 0x8a]),
    ([0xa6, 0x37, 0x7e], [0xf0, 0x8c, 0xc6]),
    ([0x96, 0x74, 0x00], [0xe3, 0xb9, 0x3b]),
    ([0x0e, 0x8a, 0x96], [0x4f, 0xc8, 0xd4]),
    ([0xb3, 0x26, 0x1e], [0xff, 0x7b, 0x72]),
    ([0x7a, 0x4a, 0x34], [0xc9, 0x9a, 0x83]),
    ([0x5b, 0x4b, 0xc4], [0xa7, 0x9c, 0xff]),
    ([0x4d, 0x6b, 0x00], [0xa9, 0xc7, 0x4f]),
    ([0x6b, 0x72, 0x80], [0x9c, 0xa3, 0xaf]),
];

/// The colour of a series; after the last one the first comes again.
pub(crate) fn series(index: usize) -> Color {
    Color(RESERVED + index % (COLORS.len() - RESERVED))
}

impl Color {
    /// Red, green and blue on a light screen.
    pub(crate) fn light(self) -> [u8; 3] {
        COLORS[self.0].0
    }
}

/// As CSS and SVG have it.
fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Rules that exchange the colours of a picture on a dark screen. They win over attributes, as all style sheets do.
pub(crate) fn dark_rules() -> String {
    let mut rules = String::from("@media(prefers-color-scheme:dark){");
    for (light, dark) in COLORS {
        let (light, dark) = (hex(light), hex(dark));
        // Writing to a string does not fail.
        let _ = write!(rules, "[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}");
    }
    rules + "}"
}

/// The variables of a page, for one kind of screen: `--paper`, `--ink`, `--muted`, `--grid`, `--link`.
pub(crate) fn variables(is_dark: bool) -> String {
    let names = ["paper", "ink", "muted", "grid", "link"];
    let pick = |(light, dark)| hex(if is_dark { dark } else { light });
    names.iter().zip(COLORS).fold(String::new(), |text, (name, color)| format!("{text}--{name}:{};", pick(color)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG 2.2 defines it.
    fn luminance(color: [u8; 3]) -> f64 {
        let linear = color.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_of_a_series_stands_out_on_both_screens() {
        let (light, dark) = COLORS[0];
        for (index, color) in
            COLORS.iter().enumerate().filter(|&(index, _)| index == 1 || index == 2 || index >= RESERVED)
        {
            // WCAG asks 3 of graphics.
            assert!(contrast(color.0, light) >= 3.0, "{index} on light: {}", contrast(color.0, light));
            assert!(contrast(color.1, dark) >= 3.0, "{index} on dark: {}", contrast(color.1, dark));
        }
        let mut lights: Vec<_> = COLORS.iter().map(|color| color.0).collect();
        lights.sort();
        lights.dedup();
        assert_eq!(lights.len(), COLORS.len(), "a colour with two uses could not be exchanged");
    }
}
