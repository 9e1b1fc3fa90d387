//! Charts in, a picture out: SVG or PNG, drawn by plotters.

use std::path::Path;
use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontFamily, FontStyle, IntoFont, RGBColor, TextStyle, register_font};

use crate::error::Error;
use crate::palette::{self, Color};
use crate::shape::{Anchor, FONT, Point, Shape};
use crate::{Bars, Lines};

/// Of every picture, in pixels.
pub(crate) const WIDTH: f64 = 900.0;
/// Around every chart, in pixels.
pub(crate) const MARGIN: f64 = 18.0;
/// Pixels of a PNG for one of an SVG: a screen that shows it as large shows it sharp.
const PNG_SCALE: f64 = 2.0;

/// A chart.
#[derive(Debug, Clone)]
pub enum Chart {
    /// Values over values.
    Lines(Lines),
    /// Values of things.
    Bars(Bars),
}

impl From<Lines> for Chart {
    fn from(lines: Lines) -> Self {
        Self::Lines(lines)
    }
}

impl From<Bars> for Chart {
    fn from(bars: Bars) -> Self {
        Self::Bars(bars)
    }
}

impl Chart {
    fn title(&self) -> &str {
        match self {
            Self::Lines(lines) => lines.title(),
            Self::Bars(bars) => bars.title(),
        }
    }

    fn shapes(&self) -> (Vec<Shape>, f64) {
        match self {
            Self::Lines(lines) => lines.shapes(),
            Self::Bars(bars) => bars.shapes(),
        }
    }
}

/// What a picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Shapes, as text.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// Tells it from the ending of a file's name, in small or in capital letters.
    ///
    /// # Errors
    /// `Ending` if it is another one, or none.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Error::Ending { path: path.to_owned(), allowed: &[".svg", ".png"] }),
        }
    }

    /// Draws charts below each other, in bytes of this format.
    ///
    /// # Errors
    /// As [`svg`] and [`png()`].
    pub fn draw(self, charts: &[Chart]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Svg => svg(charts).map(String::into_bytes),
            Self::Png => png(charts),
        }
    }
}

/// Draws charts below each other as SVG, which follows the screen in being light or dark.
///
/// # Errors
/// `Drawing` if plotters refuses.
pub fn svg(charts: &[Chart]) -> Result<String, Error> {
    let layout = Layout::of(charts)?;
    let mut text = String::new();
    {
        let size = (pixels(WIDTH)?, pixels(layout.height)?);
        layout.draw(&SVGBackend::with_string(&mut text, size).into_drawing_area(), 1.0)?;
    }
    let titles = charts.iter().map(Chart::title).collect::<Vec<_>>().join("; ");
    let inside = format!("<title>{}</title><style>{}</style>", crate::page::escaped(&titles), palette::dark_rules());
    let start = text.find("<svg").and_then(|at| Some(at + text[at..].find('>')? + 1)).unwrap_or(0);
    text.insert_str(start, &inside);
    Ok(text)
}

/// Draws charts below each other as PNG, light, in twice as many pixels as [`svg`] has.
///
/// # Errors
/// `Drawing` if plotters or the encoder refuses.
pub fn png(charts: &[Chart]) -> Result<Vec<u8>, Error> {
    let layout = Layout::of(charts)?;
    let size = (pixels(WIDTH * PNG_SCALE)?, pixels(layout.height * PNG_SCALE)?);
    let mut buffer = vec![0; 3 * usize::try_from(u64::from(size.0) * u64::from(size.1)).map_err(drawing)?];
    layout.draw(&BitMapBackend::with_buffer(&mut buffer, size).into_drawing_area(), PNG_SCALE)?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().map_err(drawing)?;
    writer.write_image_data(&buffer).map_err(drawing)?;
    writer.finish().map_err(drawing)?;
    Ok(bytes)
}

fn drawing(error: impl std::fmt::Display) -> Error {
    Error::Drawing { reason: error.to_string() }
}

/// The shapes of all charts in one picture.
struct Layout {
    shapes: Vec<(f64, Vec<Shape>)>,
    height: f64,
}

impl Layout {
    fn of(charts: &[Chart]) -> Result<Self, Error> {
        load_font()?;
        let (mut shapes, mut height) = (Vec::new(), 0.0);
        for chart in charts {
            let (own, own_height) = chart.shapes();
            shapes.push((height, own));
            height += own_height;
        }
        Ok(Self { shapes, height: f64::max(height, 1.0) })
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Result<(), Error> {
        area.fill(&color(palette::PAPER)).map_err(drawing)?;
        for (top, shapes) in &self.shapes {
            for shape in shapes {
                draw(area, shape, *top, scale)?;
            }
        }
        area.present().map_err(drawing)
    }
}

fn draw<B: DrawingBackend>(area: &DrawingArea<B, Shift>, shape: &Shape, top: f64, scale: f64) -> Result<(), Error> {
    let at = |point: &Point| (pixel(point.0 * scale), pixel((point.1 + top) * scale));
    let places = |points: &[Point]| points.iter().map(at).collect::<Vec<_>>();
    match shape {
        Shape::Line { points, color: of, width } => {
            area.draw(&PathElement::new(places(points), color(*of).stroke_width(pixels(width * scale)?)))
        }
        Shape::Polygon { points, color: of, opacity } => {
            area.draw(&Polygon::new(places(points), color(*of).mix(*opacity).filled()))
        }
        Shape::Rectangle { from, to, color: of } => area.draw(&Rectangle::new([at(from), at(to)], color(*of).filled())),
        Shape::Dot { at: place, radius, color: of } => {
            area.draw(&Circle::new(at(place), pixels(radius * scale)?, color(*of).filled()))
        }
        Shape::Text { at: place, text, size, color: of, anchor } => {
            let horizontal = match anchor {
                Anchor::Start => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::End => HPos::Right,
            };
            let font = (FontFamily::Name(FONT), size * scale).into_font();
            let rgb = color(*of);
            let style = TextStyle::from(font).color(&rgb).pos(Pos::new(horizontal, VPos::Center));
            area.draw(&Text::new(text.as_str(), at(place), style))
        }
    }
    .map_err(drawing)
}

fn color(of: Color) -> RGBColor {
    let [red, green, blue] = of.light();
    RGBColor(red, green, blue)
}

/// The nearest whole pixel.
#[expect(clippy::as_conversions, reason = "there is no other way to turn an f64 into an i32; it saturates")]
fn pixel(place: f64) -> i32 {
    place.round() as i32
}

/// A length in whole pixels.
fn pixels(length: f64) -> Result<u32, Error> {
    u32::try_from(pixel(length)).map_err(drawing)
}

/// Makes the built-in font known to plotters, once.
fn load_font() -> Result<(), Error> {
    static IS_LOADED: OnceLock<bool> = OnceLock::new();
    let load = || register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok();
    if *IS_LOADED.get_or_init(load) { Ok(()) } else { Err(drawing("the built-in font can't be read")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Axis;

    fn charts() -> Vec<Chart> {
        let sizes = |value: f64| format!("{value:.0} B");
        let lines = Lines::new("Time <1>", Axis::log_of_sizes("buffer").labels(sizes), Axis::log("ms"))
            .area("system", vec![(5.0, 2000.0), (100.0, 100.0), (1024.0, 20.0), (65536.0, 2.0)])
            .area("user", vec![(5.0, 300.0), (100.0, 10.0), (1024.0, 0.0), (65536.0, 0.0)])
            .line("read and write", vec![(5.0, 2383.0), (100.0, 128.0), (1024.0, 19.0), (65536.0, 2.6)])
            .level("mapped", 9.96)
            .level("splice", 9.9);
        let stacked = Bars::stacked("Processor time", Axis::linear("ms"), ["system", "user"])
            .row("64k", vec![2.0, 1.0])
            .row("mapped", vec![9.0, 0.0]);
        let grouped = Bars::grouped("Latency", Axis::linear("us"), ["50 %", "99 %"])
            .row("channel", vec![1.0, 2.0])
            .row("pipe", vec![9.0, 20.0]);
        vec![lines.into(), stacked.into(), grouped.into()]
    }

    #[test]
    fn an_svg_has_all_texts_escaped_and_its_elements_inside_of_it() {
        let text = svg(&charts()).unwrap();
        for part in ["Time &lt;1&gt;", "system", "read and write", "mapped", "65536 B", "Latency", "99 %"] {
            assert!(text.contains(part), "'{part}' is not in {text}");
        }
        assert_eq!((text.matches("<svg").count(), text.matches("</svg>").count()), (1, 1));
        // Every place is inside of the picture.
        for attribute in [" x=\"", " y=\"", " cx=\"", " cy=\""] {
            for value in text.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                let place: f64 = value.parse().unwrap();
                assert!((0.0..=2000.0).contains(&place), "{attribute}{value}");
            }
        }
    }

    #[test]
    fn a_png_has_twice_the_pixels_and_all_colours() {
        let bytes = png(&charts()).unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width, 1800);
        for color in [palette::PAPER, palette::INK, palette::series(0), palette::series(1), palette::series(2)] {
            assert!(pixels.chunks(3).any(|pixel| pixel == color.light()), "{color:?}");
        }
    }

    #[test]
    fn nothing_to_show_is_a_picture_too() {
        let empty =
            [Lines::new("", Axis::log(""), Axis::linear("")).into(), Bars::grouped("", Axis::log(""), [""; 0]).into()];
        for charts in [&empty[..], &[]] {
            assert!(svg(charts).unwrap().contains("<svg"));
            assert!(!png(charts).unwrap().is_empty());
        }
    }

    #[test]
    fn the_format_is_that_of_the_ending() {
        assert_eq!(Format::of(Path::new("a/b.SVG")).unwrap(), Format::Svg);
        assert_eq!(Format::of(Path::new("b.c.png")).unwrap(), Format::Png);
        for path in ["a", "a.pdf", "svg", ".svg", "a."] {
            let error = Format::of(Path::new(path)).unwrap_err();
            assert_eq!(error.to_string(), format!("'{path}' ends with none of .svg, .png"));
        }
    }
}
