//! What pictures are made of: shapes at places that are reckoned in pixels, before anything is drawn.

use plotters::style::{FontFamily, IntoFont};

use crate::palette::Color;

/// The font of all texts. Pictures are laid out by the first, which is built in; who has an SVG and not the font
/// takes the second, which is as wide, or any.
pub(crate) const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
/// Of titles, and of all else, in pixels from one line to the next: letters are a fifth smaller.
pub(crate) const TITLE_SIZE: f64 = 21.0;
pub(crate) const TEXT_SIZE: f64 = 16.0;

/// A point from the left and from the top, in pixels.
pub(crate) type Point = (f64, f64);

#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Line {
        points: Vec<Point>,
        color: Color,
        width: f64,
    },
    /// Filled, with an opacity from 0 to 1.
    Polygon {
        points: Vec<Point>,
        color: Color,
        opacity: f64,
    },
    Rectangle {
        from: Point,
        to: Point,
        color: Color,
    },
    Dot {
        at: Point,
        radius: f64,
        color: Color,
    },
    /// `at` is in the middle of its height.
    Text {
        at: Point,
        text: String,
        size: f64,
        color: Color,
        anchor: Anchor,
    },
}

/// Which part of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A text of the usual size.
pub(crate) fn text(at: Point, text: impl Into<String>, color: Color, anchor: Anchor) -> Shape {
    Shape::Text { at, text: text.into(), size: TEXT_SIZE, color, anchor }
}

/// How wide a text is, in pixels.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let measured = (FontFamily::Name(FONT), size).into_font().box_size(text);
    // Only a font that is not there has no sizes; half of the height is about as wide as a letter.
    measured.map_or_else(
        |_| f64::from(u32::try_from(text.chars().count()).unwrap_or(0)) * size * 0.5,
        |(width, _)| f64::from(width),
    )
}

/// Names with their colours in rows from a point on, and the height that they take.
pub(crate) fn legend<'a>(
    names: impl Iterator<Item = (&'a str, Color)>,
    from: Point,
    most_width: f64,
) -> (Vec<Shape>, f64) {
    const ROW: f64 = 22.0;
    let (mut shapes, (mut x, mut y)) = (Vec::new(), from);
    for (name, color) in names {
        let wide = 20.0 + width(name, TEXT_SIZE) + 20.0;
        if x > from.0 && x + wide > from.0 + most_width {
            (x, y) = (from.0, y + ROW);
        }
        shapes.push(Shape::Rectangle { from: (x, y + 4.0), to: (x + 13.0, y + 17.0), color });
        shapes.push(text((x + 20.0, y + 11.0), name, crate::palette::INK, Anchor::Start));
        x += wide;
    }
    let height = if shapes.is_empty() { 0.0 } else { y + ROW - from.1 };
    (shapes, height)
}

/// Moves heights apart, from the top down, so that there are `apart` pixels between them and none is below `lowest`:
/// down first, then up again.
pub(crate) fn spread(mut heights: Vec<f64>, apart: f64, lowest: f64) -> Vec<f64> {
    for index in 1..heights.len() {
        heights[index] = heights[index].max(heights[index - 1] + apart);
    }
    let mut most = lowest;
    for height in heights.iter_mut().rev() {
        *height = most.min(*height);
        most = *height - apart;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        assert_eq!(spread(vec![10.0, 12.0, 100.0, 300.0], 18.0, 300.0), [10.0, 28.0, 100.0, 300.0]);
        assert_eq!(spread(vec![290.0, 291.0, 299.0], 18.0, 300.0), [264.0, 282.0, 300.0]);
        assert!(spread(vec![], 18.0, 300.0).is_empty());
    }

    #[test]
    fn a_legend_that_is_too_wide_has_rows() {
        let names = ["one name", "another name", "a third one"];
        let (_, height) = legend(names.iter().map(|name| (*name, crate::palette::INK)), (0.0, 0.0), 1000.0);
        let (shapes, rows) = legend(names.iter().map(|name| (*name, crate::palette::INK)), (0.0, 0.0), 150.0);
        assert!(height > 0.0 && rows > 2.0 * height, "{height} {rows}");
        assert!(shapes.iter().all(|shape| !matches!(shape, Shape::Text { at, .. } if at.0 > 150.0)));
    }
}
