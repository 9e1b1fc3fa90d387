//! What was found out, as text with pictures or as JSON.
//!
//! Both are printed as they come, file by file: a tree has more files than memory has room for.

use std::io::{self, IsTerminal};
use std::ops::Range;
use std::path::Path;

use mapio_map::page_bytes;
use serde::Serialize;

use super::part::{Part, Residency, page_size};
use super::picture::{self, Marks};
use super::touch::Touched;
use crate::output::{self, Reader, whole};
use crate::size;
use crate::sys;

/// Columns of a terminal that does not say, and of what is no terminal.
const COLUMNS: u16 = 80;
/// Files of a tree that are named as those that have most in memory.
const LARGEST: usize = 5;

/// A file, as JSON and for the text. What the kernel does not tell is `None`.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// What is not UTF-8 is replaced by U+FFFD.
    path: String,
    /// Length of the file.
    bytes: u64,
    /// The bytes that were asked about: from `start` to before `end`. Pages are those that hold them.
    start: u64,
    end: u64,
    pages: u64,
    resident_pages: Option<u64>,
    /// Of the bytes asked about.
    resident_bytes: Option<u64>,
    /// Of the pages; `None` without pages, too.
    percent: Option<f64>,
    dirty_pages: Option<u64>,
    writeback_pages: Option<u64>,
    /// The same file, perhaps by another name, has come before: it is not in the totals.
    pub(crate) counted_before: bool,
    /// Offset in the file and length of each range that is in memory, of those asked about.
    ranges: Option<Vec<[u64; 2]>>,
    touched: Option<Touched>,
    #[serde(skip)]
    runs: Vec<Range<u64>>,
}

/// Sums over files. Files that the kernel does not tell of are in `unknown_*` alone, but for `files`, `bytes` and
/// `pages`.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Totals {
    files: u64,
    /// Bytes asked about.
    bytes: u64,
    pages: u64,
    resident_pages: u64,
    resident_bytes: u64,
    dirty_pages: Option<u64>,
    writeback_pages: Option<u64>,
    unknown_files: u64,
    unknown_pages: u64,
}

/// A folder that was named, as JSON and for the text.
#[derive(Debug, Serialize)]
pub(crate) struct Folder {
    path: String,
    #[serde(flatten)]
    pub(crate) totals: Totals,
    /// Those with most in memory, most first.
    largest: Vec<Largest>,
}

#[derive(Debug, Serialize)]
struct Largest {
    path: String,
    bytes: u64,
    resident_bytes: u64,
}

impl Figures {
    pub(crate) fn new(part: &Part<'_>, residency: Option<Residency>, touched: Option<Touched>) -> Self {
        let (pages, counts) = (part.page_count(), residency.as_ref().and_then(|residency| residency.counts));
        let is_known = residency.is_some();
        let runs = residency.map_or_else(Vec::new, |residency| residency.runs);
        let ranges = runs.iter().map(|run| {
            let bytes = part.bytes_of(run);
            [bytes.start, bytes.end - bytes.start]
        });
        let ranges = is_known.then(|| ranges.collect::<Vec<_>>());
        let resident_pages = is_known.then(|| runs.iter().map(|run| run.end - run.start).sum());
        Self {
            path: part.path.display().to_string(),
            bytes: part.metadata.len(),
            start: part.bytes.start,
            end: part.bytes.end,
            pages,
            resident_pages,
            resident_bytes: ranges.as_ref().map(|ranges| ranges.iter().map(|[_, len]| len).sum()),
            percent: resident_pages.and_then(|resident| percent(resident, pages)),
            dirty_pages: counts.map(|counts| counts.dirty),
            writeback_pages: counts.map(|counts| counts.writeback),
            counted_before: false,
            ranges,
            touched,
            runs,
        }
    }

    fn asked_bytes(&self) -> u64 {
        self.end - self.start
    }

    /// A block of lines: what it is, what is in memory, the picture.
    fn as_text(&self, cells: u64, marks: Marks) -> Vec<String> {
        let (name, len) = (output::printable(&self.path), output::bytes_text(self.bytes));
        let what = if self.asked_bytes() == self.bytes {
            format!("'{name}': {len}")
        } else {
            let (start, end, asked) =
                (offset_text(self.start), offset_text(self.end), output::bytes_text(self.asked_bytes()));
            format!("'{name}' ({len}) from {start} to {end}: {asked}")
        };
        let mut first = format!("{what}, {}", pages_text(self.pages));
        match picture::pages_a_cell(self.pages, cells) {
            0 | 1 => {}
            pages => first += &format!(", {pages} to a cell"),
        }
        if self.counted_before {
            first += ", counted before";
        }
        let mut lines = vec![first];
        match (self.resident_pages, self.resident_bytes) {
            (Some(pages), Some(bytes)) if self.pages > 0 => {
                lines.push(in_memory_text(pages, bytes, self.percent, self.dirty_pages.zip(self.writeback_pages)));
                lines.push(format!("  [{}]", picture::draw(&self.runs, self.pages, cells, marks)));
            }
            (Some(_), _) => {}
            (None, _) => {
                lines.push("  not known: the kernel tells only who owns the file or may write to it".to_owned())
            }
        }
        lines.extend(
            self.touched.iter().flat_map(|touched| touched.as_text().lines().map(str::to_owned).collect::<Vec<_>>()),
        );
        lines
    }

    /// One line of a table.
    fn as_row(&self) -> String {
        match (self.resident_bytes, self.percent) {
            (Some(resident), percent) => row(resident, self.asked_bytes(), percent, &self.path),
            (None, _) => format!(
                "   not known of {:>10}          {}",
                output::bytes_text(self.asked_bytes()),
                output::printable(&self.path)
            ),
        }
    }
}

impl Totals {
    pub(crate) const NONE: Self = Self {
        files: 0,
        bytes: 0,
        pages: 0,
        resident_pages: 0,
        resident_bytes: 0,
        dirty_pages: Some(0),
        writeback_pages: Some(0),
        unknown_files: 0,
        unknown_pages: 0,
    };

    pub(crate) fn add(&mut self, file: &Figures) {
        self.files += 1;
        self.bytes += file.asked_bytes();
        self.pages += file.pages;
        let (Some(resident_pages), Some(resident_bytes)) = (file.resident_pages, file.resident_bytes) else {
            self.unknown_files += 1;
            self.unknown_pages += file.pages;
            return;
        };
        self.resident_pages += resident_pages;
        self.resident_bytes += resident_bytes;
        self.dirty_pages = self.dirty_pages.zip(file.dirty_pages).map(|(sum, dirty)| sum + dirty);
        self.writeback_pages = self.writeback_pages.zip(file.writeback_pages).map(|(sum, writeback)| sum + writeback);
    }

    pub(crate) fn add_all(&mut self, others: &Self) {
        let sum = |own: Option<u64>, other: Option<u64>| own.zip(other).map(|(own, other)| own + other);
        *self = Self {
            files: self.files + others.files,
            bytes: self.bytes + others.bytes,
            pages: self.pages + others.pages,
            resident_pages: self.resident_pages + others.resident_pages,
            resident_bytes: self.resident_bytes + others.resident_bytes,
            dirty_pages: sum(self.dirty_pages, others.dirty_pages),
            writeback_pages: sum(self.writeback_pages, others.writeback_pages),
            unknown_files: self.unknown_files + others.unknown_files,
            unknown_pages: self.unknown_pages + others.unknown_pages,
        };
    }

    fn as_text(&self, what: &str) -> Vec<String> {
        let files = files_text(self.files);
        let mut lines =
            vec![format!("{what}: {files}, {}, {}", output::bytes_text(self.bytes), pages_text(self.pages))];
        if self.unknown_files < self.files {
            let percent = percent(self.resident_pages, self.pages - self.unknown_pages);
            let counts = self.dirty_pages.zip(self.writeback_pages);
            lines.push(in_memory_text(self.resident_pages, self.resident_bytes, percent, counts));
        }
        if self.unknown_files > 0 {
            lines.push(format!(
                "  not known of {}: the kernel tells only who owns a file or may write to it",
                files_text(self.unknown_files)
            ));
        }
        lines
    }
}

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.display().to_string(), totals: Totals::NONE, largest: Vec::new() }
    }

    /// Whether no file was found in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.totals.files == 0
    }

    pub(crate) fn add(&mut self, file: &Figures) {
        self.totals.add(file);
        let resident_bytes = file.resident_bytes.unwrap_or(0);
        let place = self.largest.partition_point(|other| other.resident_bytes >= resident_bytes);
        if place < LARGEST && resident_bytes > 0 {
            self.largest.insert(place, Largest { path: file.path.clone(), bytes: file.asked_bytes(), resident_bytes });
            self.largest.truncate(LARGEST);
        }
    }
}

/// How the figures are told.
pub(crate) struct Report {
    form: Form,
    reader: Reader,
    /// How many arguments there are: one alone is its own total.
    arguments: usize,
    screen: Screen,
    /// What the current document or block already has.
    files: u64,
    folders: Vec<Folder>,
    has_picture: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text(Marks),
    Json,
}

/// Where blocks of text go, if there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    /// One after the other.
    Paper { blocks: u64 },
    /// Each in the place of the last, and no more lines than the terminal has.
    Terminal { rows: usize, printed: usize },
}

impl Report {
    /// `is_redrawn` says that blocks take each other's place, where that can be.
    pub(crate) fn new(form: Form, arguments: usize, repeats: Repeats) -> Self {
        let redraws = repeats == Repeats::UntilInterrupted && form != Form::Json && io::stdout().is_terminal();
        let screen = if redraws { Screen::Terminal { rows: 0, printed: 0 } } else { Screen::Paper { blocks: 0 } };
        Self { form, reader: Reader::Listening, arguments, screen, files: 0, folders: Vec::new(), has_picture: false }
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_unread(&self) -> bool {
        self.reader == Reader::Gone
    }

    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        (self.files, self.has_picture) = (0, false);
        self.folders.clear();
        if self.form == Form::Json {
            return self.print(&format!("{{\"page_bytes\":{},\"files\":[", page_size()));
        }
        match &mut self.screen {
            Screen::Paper { blocks: 0 } => self.screen = Screen::Paper { blocks: 1 },
            Screen::Paper { .. } => self.print("\n")?,
            Screen::Terminal { rows, printed } => {
                // To the top, and over what is there; each line wipes its rest. One that is too long is cut, not
                // wrapped.
                let begin = if *rows == 0 { "\x1b[?7l\x1b[2J\x1b[H" } else { "\x1b[?7l\x1b[H" };
                (*rows, *printed) = (terminal_size().1, 0);
                self.print(begin)?;
            }
        }
        Ok(())
    }

    /// A file that was named.
    pub(crate) fn file(&mut self, file: &Figures) -> anyhow::Result<()> {
        let Form::Text(marks) = self.form else { return self.json_file(file) };
        // Two brackets, and two columns before them.
        let cells = u64::from(terminal_size().0.saturating_sub(4).max(1));
        self.has_picture |= file.pages > 0 && file.resident_pages.is_some();
        self.lines(&file.as_text(cells, marks))
    }

    /// A file that was found in a folder.
    pub(crate) fn row(&mut self, file: &Figures) -> anyhow::Result<()> {
        match self.form {
            Form::Text(_) => self.lines(&[file.as_row()]),
            Form::Json => self.json_file(file),
        }
    }

    /// A folder that was named.
    pub(crate) fn folder(&mut self, folder: Folder) -> anyhow::Result<()> {
        if self.form == Form::Json {
            self.folders.push(folder);
            return Ok(());
        }
        let mut lines = folder.totals.as_text(&format!("'{}'", output::printable(&folder.path)));
        if !folder.largest.is_empty() {
            lines.push("  most in memory:".to_owned());
        }
        lines.extend(
            folder
                .largest
                .iter()
                .map(|file| row(file.resident_bytes, file.bytes, percent(file.resident_bytes, file.bytes), &file.path)),
        );
        self.lines(&lines)
    }

    /// What comes last: the totals, what is locked, and what the pictures mean.
    pub(crate) fn end(&mut self, totals: &Totals, locked_bytes: Option<u64>) -> anyhow::Result<()> {
        let Form::Text(marks) = self.form else {
            let (folders, totals) = (serde_json::to_string(&self.folders)?, serde_json::to_string(totals)?);
            let locked = locked_bytes.map_or_else(|| "null".to_owned(), |bytes| bytes.to_string());
            return self.print(&format!("],\"folders\":{folders},\"total\":{totals},\"locked_bytes\":{locked}}}\n"));
        };
        if self.arguments > 1 && totals.files > 0 {
            self.lines(&totals.as_text("total"))?;
        }
        if self.has_picture {
            self.lines(&[marks.legend()])?;
        }
        if let Some(bytes) = locked_bytes {
            self.lines(&[format!(
                "locked {} in memory, until interrupted by Ctrl-C or SIGTERM",
                output::bytes_text(bytes)
            )])?;
        }
        if matches!(self.screen, Screen::Terminal { .. }) {
            // What a longer block has left below; and lines wrap again.
            self.print("\x1b[J\x1b[?7h")?;
        }
        Ok(())
    }

    fn json_file(&mut self, file: &Figures) -> anyhow::Result<()> {
        let comma = if self.files > 0 { "," } else { "" };
        self.files += 1;
        self.print(&format!("{comma}{}", serde_json::to_string(file)?))
    }

    fn lines(&mut self, lines: &[String]) -> anyhow::Result<()> {
        for line in lines {
            match &mut self.screen {
                Screen::Paper { .. } => self.print(&format!("{line}\n"))?,
                Screen::Terminal { rows, printed } if *printed + 1 < *rows => {
                    *printed += 1;
                    self.print(&format!("{line}\x1b[K\n"))?;
                }
                Screen::Terminal { .. } => {}
            }
        }
        Ok(())
    }

    fn print(&mut self, text: &str) -> anyhow::Result<()> {
        if self.reader == Reader::Listening {
            self.reader = output::print(text)?;
        }
        Ok(())
    }
}

/// Whether there will be more than one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    Never,
    UntilInterrupted,
}

/// Columns and rows of the terminal that standard output is.
fn terminal_size() -> (u16, usize) {
    let size = sys::terminal_size();
    // Some terminals do not know, and say 0.
    let columns = size.map(|(columns, _)| columns).filter(|&columns| columns > 0).unwrap_or(COLUMNS);
    let rows = size.map(|(_, rows)| usize::from(rows)).filter(|&rows| rows > 0).unwrap_or(usize::MAX);
    (columns, rows)
}

fn percent(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| whole(part) * 100.0 / whole(all))
}

/// With one digit, cut: only all of it is 100.
fn percent_text(percent: f64) -> String {
    format!("{:.1} %", (percent * 10.0).floor() / 10.0)
}

fn files_text(files: u64) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

pub(crate) fn count_text(pages: u64) -> String {
    if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") }
}

fn pages_text(pages: u64) -> String {
    if pages == 0 { "no pages".to_owned() } else { format!("{} of {}", count_text(pages), size::text(page_bytes())) }
}

/// An offset in the largest unit of which it is a multiple.
fn offset_text(offset: u64) -> String {
    usize::try_from(offset).map_or_else(|_| offset.to_string(), size::text)
}

fn in_memory_text(pages: u64, bytes: u64, percent: Option<f64>, dirty_and_writeback: Option<(u64, u64)>) -> String {
    let percent = percent.map_or_else(String::new, |percent| format!(", {}", percent_text(percent)));
    let counts = dirty_and_writeback
        .map_or_else(String::new, |(dirty, writeback)| format!("; {dirty} dirty, {writeback} being written"));
    format!("  in memory: {}, {}{percent}{counts}", count_text(pages), output::bytes_text(bytes))
}

fn row(resident: u64, bytes: u64, percent: Option<f64>, path: &str) -> String {
    let (resident, bytes) = (output::bytes_text(resident), output::bytes_text(bytes));
    let percent = percent.map_or_else(|| "-".to_owned(), percent_text);
    format!("  {resident:>10} of {bytes:>10} {percent:>8}  {}", output::printable(path))
}
