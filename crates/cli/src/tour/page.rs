//! What a step says, as data: a terminal and a browser show it each in its way.

use anyhow::Context;
use mapio_chart::Chart;

/// A step's page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) number: usize,
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

/// A part of a page. In texts, code stands between backticks.
#[derive(Debug)]
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Lines of a program, as they ran.
    Code(String),
    /// Lines that were seen.
    Output(String),
    Table(Table),
    /// A picture of figures that a table has, too, and what there is to say of it; terminals leave it out.
    Chart(Chart, String),
    /// A picture as SVG, of what stands as text beside it, and what there is to say of it; terminals leave it out.
    Picture(String, String),
    /// What could not be shown, and why.
    Missing(String),
    /// Why the step could not be done to its end.
    Failed(String),
    /// What to remember of the step.
    Remember(String),
}

/// Figures side by side.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) head: Vec<String>,
    /// Each as long as the head.
    pub(super) rows: Vec<Vec<String>>,
}

impl Page {
    pub(super) fn new(number: usize, title: &'static str) -> Self {
        Self { number, title, blocks: Vec::new() }
    }

    /// Adds a paragraph.
    pub(super) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a function of a source file, as it stands there but for its visibility. Its lines have at most 76 columns:
    /// that is what a terminal of 80 has beside the margin.
    ///
    /// # Errors
    /// There is no such function at the margin of this file.
    pub(super) fn code(&mut self, source: &str, function: &str) -> anyhow::Result<()> {
        let code = function_of(source, function).with_context(|| format!("no function '{function}' to show"))?;
        self.blocks.push(Block::Code(code));
        Ok(())
    }

    /// Adds lines that were seen, of at most 76 columns.
    pub(super) fn output(&mut self, lines: impl Into<String>) {
        self.blocks.push(Block::Output(lines.into().trim_end().to_owned()));
    }

    /// Adds a table; a row has as many cells as the head.
    pub(super) fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let rows = rows.into_iter().map(Vec::from).collect();
        self.blocks.push(Block::Table(Table { head: head.map(str::to_owned).into(), rows }));
    }

    /// Adds a picture of figures that a table has, too: for a browser.
    pub(super) fn chart(&mut self, chart: impl Into<Chart>, caption: &str) {
        self.blocks.push(Block::Chart(chart.into(), caption.to_owned()));
    }

    /// Adds a picture, as SVG, of what stands as text beside it: for a browser.
    pub(super) fn picture(&mut self, svg: String, caption: &str) {
        self.blocks.push(Block::Picture(svg, caption.to_owned()));
    }

    /// Adds what could not be shown here, and why.
    pub(super) fn missing(&mut self, reason: impl Into<String>) {
        self.blocks.push(Block::Missing(reason.into()));
    }

    /// Adds why the step could not be done to its end. What it has to remember is missing then.
    pub(super) fn failed(&mut self, reason: impl Into<String>) {
        self.blocks.push(Block::Failed(reason.into()));
    }

    /// Adds what to remember of the step: its last line.
    pub(super) fn remember(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Remember(text.into()));
    }
}

/// The lines of a function that begins at the margin, up to its closing brace.
fn function_of(source: &str, name: &str) -> Option<String> {
    let begins = |line: &&str| {
        let is_item = !line.starts_with([' ', '/']);
        is_item && line.split_once("fn ").is_some_and(|(_, rest)| rest.split(['(', '<']).next() == Some(name))
    };
    let mut lines = source.lines().skip_while(|line| !begins(line)).peekable();
    lines.peek()?;
    let mut code = String::new();
    for line in lines {
        let line = line.strip_prefix("pub(super) ").unwrap_or(line);
        code.push_str(line);
        if line == "}" {
            return Some(code);
        }
        code.push('\n');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_shown_up_to_its_closing_brace() {
        let source =
            "//! fn b()\nfn ab() {\n}\n\n/// Doc.\npub(super) fn b<T>(x: T) {\n    if x {\n    }\n}\nfn c() {\n";
        assert_eq!(function_of(source, "b").as_deref(), Some("fn b<T>(x: T) {\n    if x {\n    }\n}"));
        assert_eq!(function_of(source, "ab").as_deref(), Some("fn ab() {\n}"));
        assert_eq!((function_of(source, "c"), function_of(source, "d")), (None, None));
    }
}
