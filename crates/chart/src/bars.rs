//! A chart of bars: a row for each thing that is compared, its name on the left.

use crate::axis::Axis;
use crate::palette;
use crate::picture::{MARGIN, WIDTH};
use crate::shape::{Anchor, Point, Shape, TEXT_SIZE, TITLE_SIZE, legend, text, width};

/// Of a bar, in pixels.
const BAR_HEIGHT: f64 = 18.0;
/// Between rows, in pixels.
const GAP: f64 = 8.0;

/// A chart of horizontal bars, whose parts are stacked on each other or stand below each other.
#[derive(Debug, Clone)]
pub struct Bars {
    title: String,
    axis: Axis,
    parts: Vec<String>,
    arrangement: Arrangement,
    rows: Vec<(String, Vec<f64>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    Stacked,
    Grouped,
}

impl Bars {
    /// Makes a chart whose bars have these parts one after the other: their sum is of interest.
    pub fn stacked<S: Into<String>>(title: impl Into<String>, axis: Axis, parts: impl IntoIterator<Item = S>) -> Self {
        Self::new(title.into(), axis, parts, Arrangement::Stacked)
    }

    /// Makes a chart whose rows have a bar for each of these parts.
    pub fn grouped<S: Into<String>>(title: impl Into<String>, axis: Axis, parts: impl IntoIterator<Item = S>) -> Self {
        Self::new(title.into(), axis, parts, Arrangement::Grouped)
    }

    fn new<S: Into<String>>(
        title: String,
        axis: Axis,
        parts: impl IntoIterator<Item = S>,
        arrangement: Arrangement,
    ) -> Self {
        Self { title, axis, parts: parts.into_iter().map(Into::into).collect(), arrangement, rows: Vec::new() }
    }

    /// Adds a row with a value for each part.
    #[must_use]
    pub fn row(mut self, name: impl Into<String>, values: Vec<f64>) -> Self {
        self.rows.push((name.into(), values));
        self
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// All shapes, and the height that they take.
    pub(crate) fn shapes(&self) -> (Vec<Shape>, f64) {
        let title = Shape::Text {
            at: (MARGIN, MARGIN + TITLE_SIZE / 2.0),
            text: self.title.clone(),
            size: TITLE_SIZE,
            color: palette::INK,
            anchor: Anchor::Start,
        };
        let parts = self.parts.iter().enumerate().map(|(index, name)| (name.as_str(), palette::series(index)));
        let top = MARGIN + TITLE_SIZE + 12.0;
        let (legend, legend_height) = legend(parts, (MARGIN, top), WIDTH - 2.0 * MARGIN);
        let top = top + legend_height + 8.0;
        let mut shapes = vec![title];
        shapes.extend(legend);

        let names = self.rows.iter().map(|(name, _)| width(name, TEXT_SIZE)).fold(0.0, f64::max);
        let values = || self.rows.iter().flat_map(|(_, values)| self.ends(values));
        let texts = values().map(|value| width(&self.axis.label(value), TEXT_SIZE)).fold(0.0, f64::max);
        let (left, right) = (MARGIN + names + 10.0, WIDTH - MARGIN - texts - 8.0);
        let range = self.axis.range(values());
        let at = |value: f64| left + self.axis.place(value, range) * (right - left);

        let bars = if self.arrangement == Arrangement::Stacked { 1 } else { self.parts.len() };
        let row_height = BAR_HEIGHT * f64::from(u32::try_from(bars).unwrap_or(1)) + GAP;
        let bottom = top + row_height * f64::from(u32::try_from(self.rows.len()).unwrap_or(0));
        for tick in self.axis.ticks(range) {
            let points = vec![(at(tick), top), (at(tick), bottom)];
            shapes.push(Shape::Line { points, color: palette::GRID, width: 1.0 });
            shapes.push(text((at(tick), bottom + 14.0), self.axis.label(tick), palette::MUTED, Anchor::Middle));
        }
        let middle = f64::midpoint(left, right);
        shapes.push(text((middle, bottom + 36.0), self.axis.name.as_str(), palette::INK, Anchor::Middle));
        let mut y = top + GAP / 2.0;
        for (name, values) in &self.rows {
            let middle = y + (row_height - GAP) / 2.0;
            shapes.push(text((left - 10.0, middle), name.as_str(), palette::INK, Anchor::End));
            shapes.extend(self.bars_of(values, y, &at));
            y += row_height;
        }
        let points = vec![(left, top), (left, bottom)];
        shapes.push(Shape::Line { points, color: palette::MUTED, width: 1.0 });
        (shapes, bottom + 48.0 + MARGIN / 2.0)
    }

    /// Where the bars of a row end, as values.
    fn ends(&self, values: &[f64]) -> Vec<f64> {
        match self.arrangement {
            Arrangement::Stacked => vec![values.iter().sum()],
            Arrangement::Grouped => values.to_vec(),
        }
    }

    /// The bars of a row from a height on, each with its value behind it.
    fn bars_of(&self, values: &[f64], mut y: f64, at: &impl Fn(f64) -> f64) -> Vec<Shape> {
        let mut shapes = Vec::new();
        let value_text = |value: f64, at: Point| text(at, self.axis.label(value), palette::INK, Anchor::Start);
        let mut sum = 0.0;
        for (index, &value) in values.iter().enumerate() {
            let from = if self.arrangement == Arrangement::Stacked { sum } else { 0.0 };
            sum = from + value;
            let to = (at(sum), y + BAR_HEIGHT - 1.0);
            shapes.push(Shape::Rectangle { from: (at(from), y + 1.0), to, color: palette::series(index) });
            if self.arrangement == Arrangement::Grouped {
                shapes.push(value_text(value, (at(value) + 6.0, y + BAR_HEIGHT / 2.0)));
                y += BAR_HEIGHT;
            }
        }
        if self.arrangement == Arrangement::Stacked {
            shapes.push(value_text(sum, (at(sum) + 6.0, y + BAR_HEIGHT / 2.0)));
        }
        shapes
    }
}
