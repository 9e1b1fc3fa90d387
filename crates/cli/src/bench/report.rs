//! What a bench has measured: one report, shown as a table on the terminal, as JSON, as a picture and as a page.
//!
//! Where pictures and pages go is checked before anything is measured, and they are written after all of it, whole or
//! not at all.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::Args;
use mapio_chart::{Chart, Error, Format, Page, Target, svg};
use serde::Serialize;

use super::machine::Machine;
use crate::output;

/// Where the figures go, besides the terminal.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Draw charts of the figures into this file: SVG or PNG, by its ending
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// Write a page into this file, which needs no other: charts, figures, machine, method and command
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// A column: what it is called, and how many letters it has on a terminal. The first is names, and begins at the left.
pub(super) type Column = (&'static str, usize);

/// What is known so far; what people read on a terminal is printed as it comes.
pub(super) struct Report {
    is_json: bool,
    plot: Option<(Format, Target)>,
    html: Option<Target>,
    title: String,
    command: String,
    machine: Machine,
    method: Vec<String>,
    columns: &'static [Column],
    rows: Vec<Vec<String>>,
    remarks: Vec<String>,
    charts: Vec<(Chart, &'static str)>,
    conclusion: String,
}

/// A report as JSON: the figures of the bench, and what all benches tell.
#[derive(Serialize)]
struct Json<'a, F> {
    #[serde(flatten)]
    figures: &'a F,
    title: &'a str,
    command: &'a str,
    machine: &'a Machine,
    method: &'a [String],
}

impl Report {
    /// Checks where the report is to go. The file that is measured, if there is one, is no place for it.
    pub(super) fn new(options: &Options, measured: Option<&Path>) -> anyhow::Result<Self> {
        let plot = options.plot.as_deref().map(|path| Ok::<_, Error>((Format::of(path)?, Target::new(path)?)));
        let html = options.html.as_deref().map(|path| match path.extension() {
            Some(ending) if ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm") => {
                Target::new(path)
            }
            _ => Err(Error::Ending { path: path.to_owned(), allowed: &[".html", ".htm"] }),
        });
        let (plot, html) = (plot.transpose()?, html.transpose()?);
        let measured = measured.and_then(|path| path.canonicalize().ok());
        for target in plot.iter().map(|(_, target)| target).chain(&html) {
            let is_other = measured.as_ref().is_none_or(|path| path != target.path());
            ensure!(is_other, "'{}' is measured, and not written to", output::name(target.path()));
        }
        Ok(Self {
            is_json: options.json,
            plot,
            html,
            title: String::new(),
            command: command_line(),
            machine: Machine::look(),
            method: Vec::new(),
            columns: &[],
            rows: Vec::new(),
            remarks: Vec::new(),
            charts: Vec::new(),
            conclusion: String::new(),
        })
    }

    /// What is measured, in a line; and the head of the table.
    pub(super) fn begin(&mut self, title: String, columns: &'static [Column]) -> anyhow::Result<()> {
        (self.title, self.columns) = (title, columns);
        self.say(&format!("{}\n", self.title))?;
        if cfg!(debug_assertions) {
            self.say(
                "This is a build for debugging: what the program itself does is slow, and its figures with it.\n",
            )?;
        }
        self.say(&line(columns, columns.iter().map(|(name, _)| *name)))
    }

    /// How it is measured, in a sentence.
    pub(super) fn method(&mut self, sentence: impl Into<String>) {
        self.method.push(sentence.into());
    }

    /// A row of the table.
    pub(super) fn row(&mut self, cells: Vec<String>) -> anyhow::Result<()> {
        self.say(&line(self.columns, cells.iter().map(String::as_str)))?;
        self.rows.push(cells);
        Ok(())
    }

    /// Why there is no row of this name.
    pub(super) fn no_row(&mut self, name: &str, reason: &str) -> anyhow::Result<()> {
        let width = self.columns.first().map_or(0, |(_, width)| *width);
        self.say(&format!("{name:width$} can't: {reason}"))?;
        self.remarks.push(format!("{name} can't: {reason}"));
        Ok(())
    }

    /// A chart, and what it shows.
    pub(super) fn chart(&mut self, chart: impl Into<Chart>, caption: &'static str) {
        self.charts.push((chart.into(), caption));
    }

    /// What follows from the figures, in some lines.
    pub(super) fn conclude(&mut self, conclusion: String) {
        self.conclusion = conclusion;
    }

    /// Prints what is left, and writes the files.
    pub(super) fn end(self, figures: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json {
            let Self { title, command, machine, method, .. } = &self;
            output::json(&Json { figures, title, command, machine, method })?;
        } else {
            self.say(&format!("\n{}", self.conclusion))?;
        }
        if let Some((format, target)) = &self.plot {
            let charts: Vec<_> = self.charts.iter().map(|(chart, _)| chart.clone()).collect();
            target.write(&format.draw(&charts)?)?;
        }
        if let Some(target) = &self.html {
            target.write(self.page()?.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.is_json { Ok(()) } else { output::line(text) }
    }

    fn page(&self) -> anyhow::Result<Page> {
        let mut page = Page::new(&format!("mapio: {}", self.title));
        page.paragraph(&self.conclusion).heading("Charts");
        for (chart, caption) in &self.charts {
            page.chart(&svg(std::slice::from_ref(chart))?, caption);
        }
        let names: Vec<_> = self.columns.iter().map(|(name, _)| *name).collect();
        page.heading("Figures").table(&names, &self.rows);
        if !self.remarks.is_empty() {
            page.list(&self.remarks);
        }
        page.heading("Method").list(&self.method);
        page.heading("Machine").list(&self.machine.facts());
        page.heading("Command").code(&self.command);
        Ok(page)
    }
}

/// A row as a line of a terminal.
fn line<'a>(columns: &[Column], cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, ((_, width), cell)) in columns.iter().zip(cells).enumerate() {
        let width = *width;
        line += &if index == 0 { format!("{cell:width$}") } else { format!(" {cell:>width$}") };
    }
    line.trim_end().to_owned()
}

/// What this program was called with, so that a shell understands it.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&output::printable(&word.to_string_lossy())));
    std::iter::once("mapio".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// A word in quotes, if a shell would take it for something else.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_column_begins_at_the_left_and_the_others_end_at_the_right() {
        let columns = [("way", 6), ("ns", 5), ("", 3)];
        assert_eq!(line(&columns, ["way", "ns", ""].into_iter()), "way       ns");
        assert_eq!(line(&columns, ["longer name", "1.2", "x"].into_iter()), "longer name   1.2   x");
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        let words = ["--runs", "a b", "", "it's", "$x"].map(quoted);
        assert_eq!(words, ["--runs", "'a b'", "''", r"'it'\''s'", "'$x'"]);
    }
}
