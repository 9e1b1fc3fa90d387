//! What the subcommands say, and how: text to people, JSON to programs, complaints in one line.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapio_copy::Meter;
use serde::Serialize;

/// The answer of a subcommand that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done; the files are the same.
    Yes,
    /// The files differ.
    No,
    /// Some of it could not be done, and has been told of.
    Partly,
}

/// Whether somebody still reads standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Listening,
    Gone,
}

/// Prints a line to standard output. That nobody reads it any more is no error, and changes no answer.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n")).map(drop)
}

/// Prints a text to standard output as it is, and answers whether somebody may read more.
pub(crate) fn print(text: &str) -> anyhow::Result<Reader> {
    bytes(text.as_bytes())
}

/// The same for any bytes.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<Reader> {
    let mut stdout = io::stdout().lock();
    // What has no line break at its end would wait for one.
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        written => written.map(|()| Reader::Listening).context("writing to standard output"),
    }
}

/// Prints a value as one line of JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints an error and its causes as one line to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    complain_as("mapio", printable(&causes(error.as_ref())));
}

/// Prints a message to standard error, after the name of the program, by one write.
pub(crate) fn complain_as(program: &str, text: impl fmt::Display) {
    complain_plain(&format!("{program}: {text}"));
}

/// Prints a line to standard error.
pub(crate) fn complain_plain(text: &str) {
    // A closed standard error leaves nobody to tell; the exit status still does.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// An error and its causes, on one line. The system's are in its own words, without their numbers.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = without_number(&error.to_string()).to_owned();
    let mut next = error.source();
    while let Some(cause) = next {
        text += ": ";
        text += without_number(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The text of a system's error without the ` (os error 2)` that Rust puts behind it.
pub(crate) fn without_number(text: &str) -> &str {
    text.rfind(" (os error ").filter(|_| text.ends_with(')')).map_or(text, |end| &text[..end])
}

/// A path as it can be shown.
pub(crate) fn name(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// A text without control characters: a file name may hold line breaks and escape sequences, a message may not.
pub(crate) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

/// How long to work without a bar, and then how often to draw it again.
const REDRAW: Duration = Duration::from_millis(200);

/// Does some work while a bar on the terminal shows how far `meter` has come; without a terminal, only the work.
pub(crate) fn with_progress<T>(total_bytes: u64, meter: &Meter, work: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        // Without a thread for it there is no bar, and the work is done all the same.
        let _ = thread::Builder::new().spawn_scoped(scope, move || draw_progress(total_bytes, meter, &is_done));
        let answer = work();
        drop(done);
        answer
    })
}

/// Draws the bar until the other side of the channel is gone.
fn draw_progress(total_bytes: u64, meter: &Meter, is_done: &mpsc::Receiver<()>) {
    let waiting = || is_done.recv_timeout(REDRAW) == Err(mpsc::RecvTimeoutError::Timeout);
    if !waiting() {
        return;
    }
    let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr());
    let template = "{decimal_bytes:>10} of {decimal_total_bytes} [{wide_bar}] {decimal_bytes_per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    while waiting() {
        bar.set_position(meter.bytes());
    }
    bar.finish_and_clear();
}

/// A rate in the unit that fits: bytes a second, in powers of 1000.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> String {
    match bytes_per_second(bytes, elapsed) {
        Some(rate) => format!("{}/s", bytes_text(rate)),
        None => "too fast to measure".to_owned(),
    }
}

/// Bytes a second; `None` if no time has passed.
pub(crate) fn bytes_per_second(bytes: u64, elapsed: Duration) -> Option<u64> {
    let rate = u128::from(bytes) * 1_000_000_000 / elapsed.as_nanos().max(1);
    (!elapsed.is_zero()).then(|| u64::try_from(rate).unwrap_or(u64::MAX))
}

/// A count as a number that can be multiplied; exact up to 2^53.
#[expect(clippy::as_conversions, reason = "there is no other way to turn a u64 into an f64")]
pub(crate) fn whole(count: u64) -> f64 {
    count as f64
}

/// A number of bytes in the unit that fits, in powers of 1000.
pub(crate) fn bytes_text(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.into_iter().find(|&(size, _)| bytes >= size) {
        Some((size, unit)) => format!("{}.{:02} {unit}", bytes / size, bytes % size * 100 / size),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_rates_are_cut_to_two_digits() {
        assert_eq!(bytes_text(0), "0 B");
        assert_eq!(bytes_text(999), "999 B");
        assert_eq!(bytes_text(1000), "1.00 kB");
        assert_eq!(bytes_text(12_345_678), "12.34 MB");
        assert_eq!(bytes_text(u64::MAX), "18446744073.70 GB");
        assert_eq!(rate(1_000_000, Duration::from_millis(500)), "2.00 MB/s");
        assert_eq!(rate(1, Duration::ZERO), "too fast to measure");
    }

    #[test]
    fn what_is_printed_has_no_control_characters() {
        assert_eq!(printable("opening 'a\nb\r\x1b[31m ä'"), "opening 'a\\nb\\r\\u{1b}[31m ä'");
    }

    #[test]
    fn the_bar_can_be_drawn() {
        // indicatif finds mistakes in a template only when it is used.
        let (done, is_done) = mpsc::channel::<()>();
        let meter = Meter::new();
        thread::scope(|scope| {
            scope.spawn(move || draw_progress(1000, &meter, &is_done));
            drop(done);
        });
    }
}
