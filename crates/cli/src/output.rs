//! What the subcommands say, and how: text to people, JSON to programs, complaints in one line.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

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
}

/// Prints a line to standard output.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}")?;
    Ok(())
}

/// Prints a value as one line of JSON to standard output.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints an error and its causes as one line to standard error.
pub(crate) fn complain(error: &anyhow::Error) {
    let causes: Vec<String> = error.chain().map(|cause| one_line(&cause.to_string())).collect();
    // A closed standard error leaves nobody to tell; the exit status still does.
    let _ = writeln!(io::stderr().lock(), "mapio: {}", causes.join(": "));
}

/// A file name may hold a line break; a message may not.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// Whether the error is that nobody reads our output any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.root_cause().is::<io::Error>() && error.chain().next().and_then(kind) == Some(io::ErrorKind::BrokenPipe)
}

/// How often the bar is drawn again.
const REDRAW: Duration = Duration::from_millis(100);

/// Does some work while a bar on the terminal shows how far `meter` has come; without a terminal, only the work.
pub(crate) fn with_progress<T: Send>(total_bytes: u64, meter: &Meter, work: impl FnOnce() -> T + Send) -> T {
    if !io::stderr().is_terminal() {
        return work();
    }
    let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::stderr());
    let template = "{bytes:>10} of {total_bytes} [{wide_bar}] {bytes_per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let answer = std::thread::scope(|scope| {
        let working = scope.spawn(work);
        while !working.is_finished() {
            bar.set_position(meter.bytes());
            std::thread::park_timeout(REDRAW);
        }
        working.join()
    });
    bar.finish_and_clear();
    answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
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
    fn a_complaint_is_one_line_whatever_the_file_is_called() {
        assert_eq!(one_line("opening 'a\nb\r'"), "opening 'a\\nb\\r'");
    }
}
