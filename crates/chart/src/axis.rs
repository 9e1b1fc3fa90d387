//! From values to places, and the values that get a label.

use std::fmt;

/// A logarithmic axis has no place for zero: what is not greater than this is drawn at its low end.
const LEAST: f64 = 1e-12;
/// Values that get a label, at most.
const LABELS_AT_MOST: i32 = 10;

/// An axis: its name with the unit, its scale, and how its values are written.
#[derive(Clone)]
pub struct Axis {
    pub(crate) name: String,
    scale: Scale,
    label: fn(f64) -> String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    /// With labels at powers of the base.
    Log {
        base: i32,
    },
}

/// What an axis shows, from one end to the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    least: f64,
    most: f64,
}

impl Axis {
    /// Makes an axis that begins at zero.
    pub fn linear(name: impl Into<String>) -> Self {
        Self { name: name.into(), scale: Scale::Linear, label: number }
    }

    /// Makes a logarithmic axis with labels at powers of ten. Zero has no place on it, and is drawn at its low end.
    pub fn log(name: impl Into<String>) -> Self {
        Self { name: name.into(), scale: Scale::Log { base: 10 }, label: number }
    }

    /// The same with labels at powers of four, for sizes.
    pub fn log_of_sizes(name: impl Into<String>) -> Self {
        Self { name: name.into(), scale: Scale::Log { base: 4 }, label: number }
    }

    /// Writes values by a function of yours.
    #[must_use]
    pub fn labels(self, label: fn(f64) -> String) -> Self {
        Self { label, ..self }
    }

    pub(crate) fn label(&self, value: f64) -> String {
        (self.label)(value)
    }

    /// What the axis has to show so that all these values are on it.
    pub(crate) fn range(&self, values: impl Iterator<Item = f64>) -> Range {
        let values = values.filter(|value| value.is_finite() && (self.scale == Scale::Linear || *value > LEAST));
        let (least, most) =
            values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        if least > most {
            return Range { least: self.back(0.0), most: self.back(1.0) };
        }
        match self.scale {
            Scale::Linear => Range { least: least.min(0.0), most: if most > 0.0 { most * 1.04 } else { 1.0 } },
            Scale::Log { .. } => Range { least: least / 1.3, most: most * 1.3 },
        }
    }

    /// Where a value lies in a range, from 0 to 1.
    pub(crate) fn place(&self, value: f64, range: Range) -> f64 {
        let (least, most) = (self.forth(range.least), self.forth(range.most));
        ((self.forth(value) - least) / (most - least)).clamp(0.0, 1.0)
    }

    /// The values of a range that get a label, from the least on.
    pub(crate) fn ticks(&self, range: Range) -> Vec<f64> {
        let (least, most) = (self.forth(range.least), self.forth(range.most));
        // Of whole steps here: of numbers, or of powers.
        let step = match self.scale {
            Scale::Linear => round_step((most - least) / f64::from(LABELS_AT_MOST - 2)),
            Scale::Log { .. } => ((most - least) / f64::from(LABELS_AT_MOST)).ceil().max(1.0),
        };
        // One before the range: the labels between powers may lie in it.
        let first = (least / step - 1e-9).ceil() - 1.0;
        (0..=LABELS_AT_MOST + 3)
            .map(|index| (first + f64::from(index)) * step)
            .take_while(|at| *at <= most + 1e-9 * step)
            .flat_map(|at| self.steps_from(at, most - least))
            .filter(|tick| (range.least..=range.most * (1.0 + 1e-9)).contains(tick))
            .collect()
    }

    /// The value of a power, and those up to the next one that also get a label where there are few powers.
    fn steps_from(&self, at: f64, powers: f64) -> Vec<f64> {
        let steps: &[f64] =
            if self.scale == (Scale::Log { base: 10 }) && powers < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        steps.iter().map(|step| self.back(at) * step).collect()
    }

    /// To where equal steps are equally long.
    fn forth(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log { base } => value.max(LEAST).log(f64::from(base)),
        }
    }

    fn back(&self, at: f64) -> f64 {
        match self.scale {
            Scale::Linear => at,
            Scale::Log { base } => f64::from(base).powf(at),
        }
    }
}

impl fmt::Debug for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Axis").field("name", &self.name).field("scale", &self.scale).finish_non_exhaustive()
    }
}

/// The first of 1, 2, 5, 10, 20, ... that is no less.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|&round| round >= step * 0.999).unwrap_or(10.0 * power)
}

/// With at most three digits behind the point, and none that says nothing.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_zero_and_has_round_labels() {
        let axis = Axis::linear("s");
        let range = axis.range([3.0, 41.0].into_iter());
        assert_eq!(axis.ticks(range), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!((axis.place(0.0, range), axis.place(1e9, range)), (0.0, 1.0));
        // Nothing to show is an axis, too.
        assert_eq!(axis.ticks(axis.range([].into_iter())).first(), Some(&0.0));
        assert_eq!(axis.ticks(axis.range([0.0].into_iter())).first(), Some(&0.0));
    }

    #[test]
    fn a_logarithmic_axis_has_equal_ways_between_powers() {
        let axis = Axis::log("ms");
        let range = axis.range([1.0, 0.0, f64::NAN, 10_000.0].into_iter());
        let ticks = axis.ticks(range);
        assert!(
            ticks
                .iter()
                .zip([1.0, 10.0, 100.0, 1000.0, 10_000.0])
                .all(|(tick, power)| (tick / power - 1.0).abs() < 1e-9)
        );
        assert_eq!(ticks.len(), 5);
        let way = |a: f64, b: f64| axis.place(b, range) - axis.place(a, range);
        assert!((way(10.0, 100.0) - way(1000.0, 10_000.0)).abs() < 1e-9);
        assert_eq!(axis.place(0.0, range), 0.0, "at the low end");
        let range = axis.range([30.0, 400.0].into_iter());
        let near: Vec<f64> = axis.ticks(range).into_iter().map(f64::round).collect();
        assert_eq!(near, [50.0, 100.0, 200.0, 500.0], "few powers have others between them");
        assert!(Axis::log("x").ticks(axis.range([1e-9, 1e15].into_iter())).len() <= 13);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.05, 2.5, 41.26, 999.6, 4e6].map(number), ["0", "0.05", "2.5", "41.3", "1000", "4000000"]);
    }
}
