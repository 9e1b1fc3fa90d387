//! A picture: the guest draws it on a framebuffer, the runner into its own memory.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{Circle, Line, PrimitiveStyle, Rectangle, Triangle};
use embedded_graphics::text::Text;

/// Pixels of a row, and rows.
pub const SIZE: Size = Size::new(640, 480);

/// Draws it: single pixels of every shade, filled areas, lines, text, and what reaches over the edges.
///
/// # Errors
/// Those of what is drawn on.
pub fn draw<T: DrawTarget<Color = Rgb888>>(target: &mut T) -> Result<(), T::Error> {
    target.clear(Rgb888::new(16, 24, 48))?;
    let all = Rectangle::new(Point::zero(), SIZE);
    let shades = Rectangle::new(Point::new(0, 352), Size::new(640, 128));
    target.draw_iter(shades.points().map(|point| Pixel(point, shade(point))))?;
    Circle::new(Point::new(40, 110), 200).into_styled(PrimitiveStyle::with_stroke(Rgb888::GREEN, 5)).draw(target)?;
    Circle::new(Point::new(-60, -60), 160).into_styled(PrimitiveStyle::with_fill(Rgb888::CYAN)).draw(target)?;
    let triangle = Triangle::new(Point::new(400, 320), Point::new(500, 320), Point::new(470, 200));
    triangle.into_styled(PrimitiveStyle::with_fill(Rgb888::RED)).draw(target)?;
    let line = Line::new(Point::new(300, 90), Point::new(700, 600));
    line.into_styled(PrimitiveStyle::with_stroke(Rgb888::MAGENTA, 3)).draw(target)?;
    all.into_styled(PrimitiveStyle::with_stroke(Rgb888::WHITE, 2)).draw(target)?;
    let style = MonoTextStyle::new(&FONT_10X20, Rgb888::YELLOW);
    Text::new("each pixel is a memory location", Point::new(150, 60), style).draw(target)?;
    Ok(())
}

/// A colour that tells about its place, and uses all bits of all three parts.
fn shade(point: Point) -> Rgb888 {
    let byte = |number: i32| u8::try_from(number.rem_euclid(256)).unwrap_or_default();
    Rgb888::new(byte(point.x), byte(point.y * 2), byte(point.x * 3 + point.y * 5))
}
