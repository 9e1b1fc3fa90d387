//! The picture: how much of a processor each way to wait takes.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use super::Row;

/// Draws a bar for each row.
pub(super) fn draw(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let area = SVGBackend::new(path, (830, 60 + 34 * u32::try_from(rows.len())?)).into_drawing_area();
    area.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    let text = |text: String, at: (i32, i32)| Text::new(text, at, ("sans-serif", 15).into_font().color(&BLACK));
    let title = "Processor time while 64 KiB pass a serial port, of one processor".to_owned();
    area.draw(&text(title, (20, 15))).map_err(|error| anyhow!("{error}"))?;
    for (index, row) in rows.iter().enumerate() {
        let top = 48 + 34 * i32::try_from(index)?;
        let label = format!("{} baud, {}, {}", row.baud, row.direction, row.wait);
        area.draw(&text(label, (20, top + 4))).map_err(|error| anyhow!("{error}"))?;
        let width = (380.0 * row.load().min(1.0)).max(1.0) as i32;
        let colour = if row.wait == "polled" { RGBColor(200, 80, 60) } else { RGBColor(60, 110, 190) };
        let bar = Rectangle::new([(340, top), (340 + width, top + 22)], colour.filled());
        area.draw(&bar).map_err(|error| anyhow!("{error}"))?;
        let share = format!("{:.1} %", 100.0 * row.load());
        area.draw(&text(share, (348 + width, top + 4))).map_err(|error| anyhow!("{error}"))?;
    }
    area.present().map_err(|error| anyhow!("{error}"))
}
