//! A page as text of 80 columns, in colour on a terminal.

use std::io::{self, IsTerminal};

use super::page::{Block, Page, Table};
use crate::sys;

/// Columns of the text at most; of narrower terminals, theirs.
const COLUMNS: usize = 80;
/// Columns of the text at least: narrower terminals break the lines themselves.
const COLUMNS_AT_LEAST: usize = 40;

/// The colour of code: cyan.
const CODE: &str = "36";

/// The page for standard output.
pub(super) fn render(page: &Page) -> String {
    let stdout = io::stdout();
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let style = if stdout.is_terminal() && !is_plain { Style::Colour } else { Style::Plain };
    let terminal = sys::terminal_size().map(|(columns, _)| usize::from(columns)).filter(|&columns| columns > 0);
    as_text(page, style, terminal.unwrap_or(COLUMNS).clamp(COLUMNS_AT_LEAST, COLUMNS))
}

/// Whether there are escape sequences in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Colour,
}

impl Style {
    /// The text, marked by this sequence (ECMA-48, SGR).
    fn mark(self, sgr: &str, text: &str) -> String {
        match self {
            _ if sgr.is_empty() || text.is_empty() => text.to_owned(),
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{sgr}m{text}\x1b[0m"),
        }
    }
}

fn as_text(page: &Page, style: Style, columns: usize) -> String {
    let heading = format!("{}. {}", page.number, page.title);
    let rule = "=".repeat(heading.chars().count().min(columns));
    let mut text = format!("{}\n{}\n", style.mark("1", &heading), style.mark("1", &rule));
    for block in page.blocks.iter().filter(|block| !matches!(block, Block::Chart(..) | Block::Picture(..))) {
        text.push('\n');
        match block {
            Block::Text(words) => paragraph(&mut text, words, columns, style, ""),
            Block::Code(lines) => indented(&mut text, lines, |line| style.mark(CODE, line)),
            Block::Output(lines) => indented(&mut text, lines, |line| style.mark("33", line)),
            Block::Table(table) => text.push_str(&table_text(table, columns)),
            // Its figures stand in a table.
            Block::Chart(..) | Block::Picture(..) => {}
            Block::Missing(reason) => {
                paragraph(&mut text, &format!("Not here: {reason}"), columns, style, "35");
            }
            Block::Failed(reason) => {
                paragraph(&mut text, &format!("This step has failed: {reason}"), columns, style, "1;31");
            }
            Block::Remember(words) => {
                paragraph(&mut text, &format!("Remember: {words}"), columns, style, "1;32");
            }
        }
    }
    text + "\n\n"
}

/// Adds lines behind a margin.
fn indented(text: &mut String, lines: &str, mark: impl Fn(&str) -> String) {
    for line in lines.lines() {
        let line = if line.is_empty() { String::new() } else { format!("    {}", mark(line)) };
        text.push_str(&line);
        text.push('\n');
    }
}

/// Adds a paragraph that is marked by `sgr`, and the code in it by a colour of its own instead of the backticks.
fn paragraph(text: &mut String, words: &str, columns: usize, style: Style, sgr: &str) {
    let mut is_code = false;
    for line in wrap(words, columns) {
        if style == Style::Plain {
            text.push_str(&line);
        } else {
            // Code may begin on one line and end on the next.
            for (index, part) in line.split('`').enumerate() {
                is_code ^= index > 0;
                text.push_str(&style.mark(if is_code { CODE } else { sgr }, part));
            }
        }
        text.push('\n');
    }
}

/// Breaks a text between words into lines of so many columns; only a longer word makes a longer line.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().filter(|line| width(line) + 1 + width(word) <= columns || line.is_empty());
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Columns of a text: no wide characters are used here.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// Figures stand to the right, words to the left; words in the last column are wrapped.
fn table_text(table: &Table, columns: usize) -> String {
    let is_figure =
        |cell: &String| cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || "-+~".contains(c));
    let count = table.head.len();
    let mut widths: Vec<_> = table.head.iter().map(|cell| width(cell)).collect();
    for row in &table.rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = width(cell).max(*column);
        }
    }
    let figures: Vec<_> = (0..count).map(|at| table.rows.iter().all(|row| is_figure(&row[at]))).collect();
    let margin = 4;
    let before: usize = margin + widths[..count - 1].iter().map(|column| column + 2).sum::<usize>();
    widths[count - 1] = widths[count - 1].min(columns.saturating_sub(before)).max(10);
    let mut text = String::new();
    for row in std::iter::once(&table.head).chain(&table.rows) {
        let last = wrap(&row[count - 1], widths[count - 1]);
        for (line_number, last) in last.iter().enumerate() {
            let mut line = " ".repeat(margin);
            for at in 0..count {
                let cell = if at == count - 1 {
                    last
                } else if line_number == 0 {
                    &row[at]
                } else {
                    ""
                };
                let padding = " ".repeat(widths[at].saturating_sub(width(cell)));
                line += &if figures[at] { format!("{padding}{cell}  ") } else { format!("{cell}{padding}  ") };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_and_tables_are_aligned() {
        let mut page = Page::new(3, "Three");
        page.text("`one two` three four five six seven eight nine ten eleven");
        page.table(
            ["name", "n", "what"],
            [["a".into(), "5".into(), "long ".repeat(10)], ["b".into(), "10".into(), "x".into()]],
        );
        let text = as_text(&page, Style::Plain, 40);
        let wanted = [
            "3. Three\n========\n",
            "`one two` three four five six seven\neight nine ten eleven\n",
            "    name   n  what\n    a      5  long long long long long",
            "              long long long long long\n    b     10  x\n\n\n",
        ];
        let wanted = wanted.join("\n");
        assert_eq!(text, wanted);
        let marked = as_text(&page, Style::Colour, 8);
        // Code that is broken goes on in its colour.
        let broken = "\n\x1b[36mone\x1b[0m\n\x1b[36mtwo\x1b[0m\nthree\n";
        assert!(marked.contains(broken) && !marked.contains('`'), "{marked:?}");
    }
}
