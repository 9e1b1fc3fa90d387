//! A chart of lines: values over values.
//!
//! ```text
//! title
//! [] area  [] area
//! y axis
//!  |--------------.
//!  |   \__________ -- name of a line
//!  |______________ -- name of a level
//!      x axis
//! ```

use crate::axis::{Axis, Range};
use crate::palette::{self, Color};
use crate::picture::{MARGIN, WIDTH};
use crate::shape::{Anchor, Point, Shape, TEXT_SIZE, TITLE_SIZE, legend, spread, text, width};

/// Of the part between the axes, in pixels.
const PLOT_HEIGHT: f64 = 360.0;
/// From one name on the right to the next, in pixels.
const NAME_HEIGHT: f64 = 18.0;
/// Points of a line that are marked, at most: more of them make it a string of beads.
const DOTS_AT_MOST: usize = 24;
/// From a line's end to its name, in pixels.
const LEADER: f64 = 22.0;

/// A chart of lines over a common axis, of levels across it, and of areas stacked on each other.
#[derive(Debug, Clone)]
pub struct Lines {
    title: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
}

#[derive(Debug, Clone)]
struct Series {
    name: String,
    kind: Kind,
    points: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Line,
    Level,
    Area,
}

impl Lines {
    /// Makes a chart without lines.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { title: title.into(), x, y, series: Vec::new() }
    }

    /// Adds a line through points, which are in the order of their first value.
    #[must_use]
    pub fn line(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.with(name.into(), Kind::Line, points)
    }

    /// Adds a value that has no place on the first axis: a line across.
    #[must_use]
    pub fn level(self, name: impl Into<String>, value: f64) -> Self {
        self.with(name.into(), Kind::Level, vec![(f64::NAN, value)])
    }

    /// Adds an area on top of those before, whose points have the same first values.
    #[must_use]
    pub fn area(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.with(name.into(), Kind::Area, points)
    }

    fn with(mut self, name: String, kind: Kind, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series { name, kind, points });
        self
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// All shapes, and the height that they take.
    pub(crate) fn shapes(&self) -> (Vec<Shape>, f64) {
        let colored = || self.series.iter().enumerate().map(|(index, series)| (series, palette::series(index)));
        let title = Shape::Text {
            at: (MARGIN, MARGIN + TITLE_SIZE / 2.0),
            text: self.title.clone(),
            size: TITLE_SIZE,
            color: palette::INK,
            anchor: Anchor::Start,
        };
        let areas = colored().filter(|(series, _)| series.kind == Kind::Area);
        let top = MARGIN + TITLE_SIZE + 12.0;
        let (legend, legend_height) =
            legend(areas.map(|(series, color)| (series.name.as_str(), color)), (MARGIN, top), WIDTH - 2.0 * MARGIN);
        let frame = self.frame(top + legend_height);
        let mut shapes = vec![title];
        shapes.extend(legend);
        shapes.extend(frame.axes());
        let mut below: Vec<f64> = Vec::new();
        for (series, color) in colored().filter(|(series, _)| series.kind == Kind::Area) {
            shapes.push(frame.area(series, &mut below, color));
        }
        let mut ends = Vec::new();
        for (series, color) in colored().filter(|(series, _)| series.kind != Kind::Area) {
            let points = frame.points(series);
            if series.kind == Kind::Line && points.len() <= DOTS_AT_MOST {
                shapes.extend(points.iter().map(|&at| Shape::Dot { at, radius: 3.5, color }));
            }
            ends.extend(points.last().map(|&end| (end, series.name.as_str(), color)));
            shapes.push(Shape::Line { points, color, width: 2.0 });
        }
        shapes.extend(frame.names(ends));
        (shapes, frame.bottom + 48.0 + MARGIN / 2.0)
    }

    fn frame(&self, top: f64) -> Frame<'_> {
        let mut sums = Vec::new();
        for area in self.series.iter().filter(|series| series.kind == Kind::Area) {
            sums.resize(area.points.len().max(sums.len()), 0.0);
            area.points.iter().zip(&mut sums).for_each(|(point, sum)| *sum += point.1);
        }
        // Areas by their sums alone: what lies far below would make all the rest small.
        let others = self.series.iter().filter(|series| series.kind != Kind::Area);
        let values = others.flat_map(|series| series.points.iter().map(|point| point.1)).chain(sums);
        let y_range = self.y.range(values);
        let x_range = self.x.range(self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0)));
        let widest =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| width(text, TEXT_SIZE)).fold(0.0, f64::max);
        let labels: Vec<_> = self.y.ticks(y_range).into_iter().map(|tick| self.y.label(tick)).collect();
        let names = widest(
            &mut self.series.iter().filter(|series| series.kind != Kind::Area).map(|series| series.name.as_str()),
        );
        let top = top + 30.0;
        Frame {
            chart: self,
            x_range,
            y_range,
            left: MARGIN + widest(&mut labels.iter().map(String::as_str)) + 8.0,
            right: WIDTH - MARGIN - names - LEADER - 6.0,
            top,
            bottom: top + PLOT_HEIGHT,
        }
    }
}

/// The part between the axes: its place in pixels, and what it shows.
struct Frame<'a> {
    chart: &'a Lines,
    x_range: Range,
    y_range: Range,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Frame<'_> {
    fn at_x(&self, value: f64) -> f64 {
        self.left + self.chart.x.place(value, self.x_range) * (self.right - self.left)
    }

    fn at_y(&self, value: f64) -> f64 {
        self.bottom - self.chart.y.place(value, self.y_range) * (self.bottom - self.top)
    }

    /// The grid, its labels, and the names of the axes.
    fn axes(&self) -> Vec<Shape> {
        let (x, y) = (&self.chart.x, &self.chart.y);
        let line = |from: Point, to: Point, color| Shape::Line { points: vec![from, to], color, width: 1.0 };
        let mut shapes = Vec::new();
        let mut free_from = f64::MIN;
        for tick in x.ticks(self.x_range) {
            let (at, label) = (self.at_x(tick), x.label(tick));
            shapes.push(line((at, self.top), (at, self.bottom), palette::GRID));
            // A label that has no room beside the last one is left out.
            let half = width(&label, TEXT_SIZE) / 2.0;
            if at - half >= free_from {
                shapes.push(text((at, self.bottom + 14.0), label, palette::MUTED, Anchor::Middle));
                free_from = at + half + 8.0;
            }
        }
        for tick in y.ticks(self.y_range) {
            let at = self.at_y(tick);
            shapes.push(line((self.left, at), (self.right, at), palette::GRID));
            shapes.push(text((self.left - 8.0, at), y.label(tick), palette::MUTED, Anchor::End));
        }
        shapes.push(line((self.left, self.bottom), (self.right, self.bottom), palette::MUTED));
        shapes.push(line((self.left, self.top), (self.left, self.bottom), palette::MUTED));
        shapes.push(text((MARGIN, self.top - 16.0), y.name.as_str(), palette::INK, Anchor::Start));
        let middle = f64::midpoint(self.left, self.right);
        shapes.push(text((middle, self.bottom + 36.0), x.name.as_str(), palette::INK, Anchor::Middle));
        shapes
    }

    fn points(&self, series: &Series) -> Vec<Point> {
        match series.points[..] {
            [(_, value)] if series.kind == Kind::Level => {
                vec![(self.left, self.at_y(value)), (self.right, self.at_y(value))]
            }
            _ => series.points.iter().map(|&(x, y)| (self.at_x(x), self.at_y(y))).collect(),
        }
    }

    /// An area on top of those below it, whose sums are updated.
    fn area(&self, series: &Series, below: &mut Vec<f64>, color: Color) -> Shape {
        below.resize(series.points.len().max(below.len()), 0.0);
        let edge: Vec<Point> =
            series.points.iter().zip(below.iter()).map(|(&(x, _), &sum)| (self.at_x(x), self.at_y(sum))).collect();
        series.points.iter().zip(below.iter_mut()).for_each(|(point, sum)| *sum += point.1);
        let upper = series.points.iter().zip(below.iter()).map(|(&(x, _), &sum)| (self.at_x(x), self.at_y(sum)));
        Shape::Polygon { points: upper.chain(edge.into_iter().rev()).collect(), color, opacity: 0.4 }
    }

    /// The names of lines on the right, at the height of their ends as far as there is room, and joined to these.
    fn names(&self, mut ends: Vec<(Point, &str, Color)>) -> Vec<Shape> {
        ends.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let heights = spread(ends.iter().map(|(end, ..)| end.1).collect(), NAME_HEIGHT, self.bottom);
        let mut shapes = Vec::new();
        for ((end, name, color), height) in ends.into_iter().zip(heights) {
            let points = vec![end, (self.right.max(end.0), end.1), (self.right + LEADER - 4.0, height)];
            shapes.push(Shape::Line { points, color, width: 1.0 });
            shapes.push(text((self.right + LEADER, height), name, color, Anchor::Start));
        }
        shapes
    }
}
