//! The picture of a sweep: read-write's speed over its buffer, and a line across for each other engine.
//!
//! Both axes are logarithmic. The labels stand on the right, at the height of their lines as far as there is room.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};
use mapio_bench::bytes_text;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::sweep::{Row, Sweep};

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (960, 560);
/// Left for the labels on the right, in pixels.
const LABELS_WIDTH: u32 = 200;
/// From one label to the next at least, in pixels.
const LABEL_HEIGHT: i32 = 18;
/// Colours that remain different to the colour-blind: Okabe and Ito, and grey.
const COLORS: [RGBColor; 9] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(140, 86, 75),
    RGBColor(127, 127, 127),
];

type Picture<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The name of a line, and where it belongs.
struct Label {
    text: String,
    color: RGBColor,
    /// The line's end, in pixels.
    end: (i32, i32),
}

/// Draws a sweep to a file, whose folder is made.
pub fn draw(sweep: &Sweep, svg: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    draw_to(sweep, &mut text).map_err(|error| anyhow!("drawing: {error}"))?;
    let folder = svg.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(svg, text)).context("writing the picture")
}

fn draw_to(sweep: &Sweep, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let picture = SVGBackend::with_string(text, SIZE).into_drawing_area();
    picture.fill(&WHITE)?;
    let buffers: Vec<(f64, f64)> =
        sweep.rows.iter().filter_map(|row| Some((power(row.buffer_bytes? as f64), megabytes(row)))).collect();
    let across: Vec<&Row> = sweep.rows.iter().filter(|row| row.buffer_bytes.is_none()).collect();
    let speeds = || sweep.rows.iter().map(megabytes);
    let (least, most) = (speeds().fold(f64::MAX, f64::min), speeds().fold(1.0, f64::max));
    let (left, right) = (1.0, buffers.last().map_or(10.0, |&(power, _)| power));
    let mut chart = ChartBuilder::on(&picture)
        .caption(
            format!("Copying {} in the page cache, {}, one thread", bytes_text(sweep.bytes), sweep.file_system),
            ("sans-serif", 18),
        )
        .margin(12)
        .margin_right(LABELS_WIDTH)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(left..right, (least * 0.7..most * 1.4).log_scale())?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(RGBColor(210, 210, 210))
        .x_desc("buffer of read-write")
        .y_desc("MB/s")
        .x_labels(14)
        .x_label_formatter(&|power| bytes_text(4f64.powf(*power) as u64))
        .y_label_formatter(&|speed| format!("{speed}"))
        .label_style(("sans-serif", 13))
        .draw()?;
    let mut labels = Vec::new();
    for (row, &color) in across.iter().zip(COLORS.iter().skip(1).cycle()) {
        let speed = megabytes(row);
        chart.draw_series([PathElement::new([(left, speed), (right, speed)], color.stroke_width(2))])?;
        labels.push(Label {
            text: label(&format!("{},", row.engine), speed),
            color,
            end: chart.backend_coord(&(right, speed)),
        });
    }
    let color = COLORS[0];
    chart.draw_series([PathElement::new(buffers.clone(), color.stroke_width(3))])?;
    chart.draw_series(buffers.iter().map(|&point| Circle::new(point, 4, color.filled())))?;
    if let Some(&last) = buffers.last() {
        let best = buffers.iter().fold(0.0, |best: f64, point| best.max(point.1));
        labels.push(Label { text: label("read-write, up to", best), color, end: chart.backend_coord(&last) });
    }
    draw_labels(&picture, labels)?;
    picture.present()?;
    Ok(())
}

/// A buffer's place on its axis: which power of four it is.
fn power(bytes: f64) -> f64 {
    bytes.log2() / 2.0
}

fn megabytes(row: &Row) -> f64 {
    row.bytes_per_second / 1e6
}

fn label(what: &str, speed: f64) -> String {
    format!("{what} {speed:.0}")
}

/// Writes the labels from top to bottom, each joined to its line.
fn draw_labels(picture: &Picture<'_>, mut labels: Vec<Label>) -> Result<(), Box<dyn std::error::Error>> {
    labels.sort_by_key(|label| label.end.1);
    let heights = spread(labels.iter().map(|label| label.end.1).collect(), SIZE.1 as i32 - LABEL_HEIGHT);
    for (label, height) in labels.iter().zip(heights) {
        let (x, y) = label.end;
        picture.draw(&PathElement::new([(x, y), (x + 18, height)], label.color.stroke_width(1)))?;
        let style = ("sans-serif", 14).into_font().color(&label.color);
        picture.draw(&Text::new(label.text.clone(), (x + 22, height - 7), style))?;
    }
    Ok(())
}

/// Moves sorted heights apart so that no two labels overlap, and none is below `lowest`: down first, then up again.
fn spread(mut heights: Vec<i32>, lowest: i32) -> Vec<i32> {
    for i in 1..heights.len() {
        heights[i] = heights[i].max(heights[i - 1] + LABEL_HEIGHT);
    }
    let mut most = lowest;
    for height in heights.iter_mut().rev() {
        *height = most.min(*height);
        most = *height - LABEL_HEIGHT;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_overlap() {
        assert_eq!(spread(vec![10, 12, 100, 300], 300), [10, 28, 100, 300]);
        assert_eq!(spread(vec![290, 291, 299], 300), [264, 282, 300]);
        assert!(spread(vec![], 300).is_empty());
    }
}
