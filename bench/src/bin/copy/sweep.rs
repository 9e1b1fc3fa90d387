//! The sweep: `mapio bench copy` on a file in the page cache, as a table and a picture.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use mapio_bench::bytes_text;
use mapio_bench::interrupt::Interrupt;
use serde::{Deserialize, Serialize};

use crate::case::{SWEEP, Scale};
use crate::material::Shape;
use crate::measure::place_of_sweep;
use crate::plot;
use crate::report::seconds_text;

/// What `mapio bench copy --json` says, as far as it is shown here.
#[derive(Debug, Deserialize, Serialize)]
pub struct Sweep {
    /// Of the file.
    pub bytes: u64,
    pub runs: usize,
    pub rows: Vec<Row>,
    pub refused: Vec<Refused>,
    /// Added here.
    #[serde(default)]
    pub file_system: String,
}

/// A way to copy; figures are medians, for the whole file.
#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    pub engine: String,
    /// Of read-write, which is measured with many; the others choose their own.
    pub buffer_bytes: Option<u64>,
    pub extrapolated: bool,
    pub real_seconds: f64,
    pub user_seconds: f64,
    pub system_seconds: f64,
    pub system_calls: f64,
    pub minor_faults: f64,
    pub bytes_per_second: f64,
}

/// An engine that could not copy there.
#[derive(Debug, Deserialize, Serialize)]
pub struct Refused {
    pub engine: String,
    pub reason: String,
}

/// Measures all engines with `mapio`, and draws them to `svg`.
pub fn sweep(
    mapio: &Path,
    folder: &Path,
    scale: Scale,
    rounds: Option<usize>,
    svg: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Sweep> {
    let len = scale.sweep_bytes();
    let place = place_of_sweep(folder, len)?;
    Shape::File(len).make(&place.source())?;
    place.rest()?;
    let rounds = rounds.unwrap_or(scale.sweep_rounds()).to_string();
    let mut command = Command::new(mapio);
    command.args(["bench", "copy", "--json", "--runs", &rounds, "--to"]).arg(place.target()).arg(place.source());
    let said = command.stdin(Stdio::null()).output().context("starting mapio bench copy")?;
    interrupt.check()?;
    if !said.status.success() {
        bail!("mapio bench copy: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    let sweep: Sweep = serde_json::from_slice(&said.stdout).context("reading what mapio bench copy says")?;
    let sweep = Sweep { file_system: place.file_system.clone(), ..sweep };
    plot::draw(&sweep, svg)?;
    Ok(sweep)
}

impl Sweep {
    /// A table of all rows, fit for Markdown.
    pub fn text(&self) -> String {
        let title = format!(
            "### {SWEEP}\na file of {} in the page cache, on {}, one thread: medians of {} runs. `~`: of a sample.\n\n",
            bytes_text(self.bytes),
            self.file_system,
            self.runs
        );
        let head =
            "| engine | MB/s | real s | user+sys s | system calls | page faults |\n|---|---:|---:|---:|---:|---:|\n";
        let rows: String = self.rows.iter().map(Row::text).collect();
        let refused: String = self.refused.iter().map(Refused::text).collect();
        format!("{title}{head}{rows}{refused}")
    }
}

impl Row {
    fn text(&self) -> String {
        let buffer = self.buffer_bytes.map(|bytes| format!(" {}", bytes_text(bytes))).unwrap_or_default();
        let mark = if self.extrapolated { "~" } else { "" };
        format!(
            "| {}{buffer} | {mark}{:.0} | {mark}{} | {mark}{} | {mark}{:.0} | {mark}{:.0} |\n",
            self.engine,
            self.bytes_per_second / 1e6,
            seconds_text(self.real_seconds),
            seconds_text(self.user_seconds + self.system_seconds),
            self.system_calls,
            self.minor_faults,
        )
    }
}

impl Refused {
    fn text(&self) -> String {
        format!("| {} | - | - | - | - | can't: {} |\n", self.engine, self.reason)
    }
}
