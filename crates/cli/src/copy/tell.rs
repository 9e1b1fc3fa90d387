//! What a copy says, in words and in JSON.

use std::path::Path;

use mapio_copy::{Engine, Holes, Placed, Quoted, Reflink, Report, Summary, Transferred, Verified, VerifiedFrom};
use serde::Serialize;

use crate::{output, size};

/// `'a' -> 'b' (backup: 'b~')`.
pub(super) fn names(source: &Path, destination: &Path, backup: Option<&Path>) -> String {
    let backup = backup.map(|backup| format!(" (backup: {})", Quoted(backup))).unwrap_or_default();
    format!("{} -> {}{backup}", Quoted(source), Quoted(destination))
}

/// One line on what the copy of a file has done: how much, how fast, by what, and how it was verified.
pub(super) fn report(report: &Report) -> String {
    let plan = report.plan;
    let engine = report.transferred.engine;
    let buffer = buffer_bytes(report).map(|bytes| format!(" {}", size::text(bytes))).unwrap_or_default();
    let threads = if plan.threads.get() > 1 { format!(", {} threads", plan.threads) } else { String::new() };
    let verified = match report.verified {
        Some(Verified { elapsed, from: VerifiedFrom::Disk }) => {
            format!(", verified from the disk in {:.3} s", elapsed.as_secs_f64())
        }
        Some(Verified { elapsed, from: VerifiedFrom::Memory }) => {
            format!(", verified in memory, where it is, in {:.3} s", elapsed.as_secs_f64())
        }
        None => String::new(),
    };
    format!(
        "{} -> {}: {} in {:.3} s, {} ({engine}{buffer}{threads}){verified}",
        Quoted(&report.source),
        Quoted(&report.destination),
        output::bytes_text(report.transferred.bytes),
        report.elapsed.as_secs_f64(),
        output::rate(report.transferred.bytes, report.elapsed),
    )
}

/// The planned buffer, if it was used: an engine that takes over has one that fits itself.
fn buffer_bytes(report: &Report) -> Option<usize> {
    let Transferred { engine, fallback, .. } = &report.transferred;
    (engine.has_buffer() && fallback.is_none()).then(|| report.plan.buffer_bytes.get())
}

/// What cp says of a file for `--debug`.
pub(super) fn debug(report: &Report) -> String {
    let offload = match report.transferred.engine {
        Engine::CopyFileRange => "yes",
        Engine::Reflink => "unknown",
        _ => "no",
    };
    let reflink = match (report.transferred.engine, report.plan.reflink) {
        (Engine::Reflink, _) => "yes",
        (_, Reflink::Never) => "no",
        _ => "unsupported",
    };
    let sparse = match report.plan.holes {
        Holes::Absent | Holes::Filled => "no",
        Holes::Kept => "SEEK_HOLE",
        Holes::Made => "SEEK_HOLE + zeros",
    };
    format!("copy offload: {offload}, reflink: {reflink}, sparse detection: {sparse}")
}

/// Why a file was copied as it was, and what did not work out.
pub(super) fn explanation(report: &Report) -> String {
    let mut text = format!("{}: {}", names(&report.source, &report.destination, None), report.plan.reason());
    if let Some(fallback) = &report.transferred.fallback {
        let reason = output::without_number(&fallback.reason);
        text += &format!("; {} could not ({reason}), so {} did", fallback.from, report.transferred.engine);
    }
    output::printable(&text)
}

/// A mode as ls(1) shows it, without the letter for the kind of file.
pub(super) fn permissions(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// What the copy of a file has done. Times are in seconds. What is not UTF-8 in a name is replaced by U+FFFD.
/// `verified` says where the copy was read from; `buffer_bytes` is null for an engine that took over from another.
#[derive(Debug, Serialize)]
struct JsonReport<'a> {
    source: String,
    destination: String,
    placed: &'a str,
    engine: &'a str,
    buffer_bytes: Option<usize>,
    threads: usize,
    preallocated: bool,
    reason: String,
    fallback: Option<JsonFallback<'a>>,
    bytes: u64,
    hole_bytes: u64,
    resumed_bytes: u64,
    calls: u64,
    seconds: f64,
    bytes_per_second: Option<u64>,
    verified: Option<&'a str>,
    verify_seconds: Option<f64>,
}

/// An engine that could not do it, and why.
#[derive(Debug, Serialize)]
struct JsonFallback<'a> {
    from: &'a str,
    reason: &'a str,
}

/// What the copy of one file has done, as one line of JSON.
pub(super) fn json(report: &Report) -> String {
    let (plan, transferred) = (report.plan, &report.transferred);
    let json = JsonReport {
        source: report.source.display().to_string(),
        destination: report.destination.display().to_string(),
        placed: match report.placed {
            Placed::Whole => "whole",
            Placed::Written => "written",
            Placed::Replaced => "replaced",
            Placed::InPlace => "in-place",
        },
        engine: transferred.engine.name(),
        buffer_bytes: buffer_bytes(report),
        threads: plan.threads.get(),
        preallocated: plan.preallocate && transferred.engine != Engine::Reflink,
        reason: plan.reason(),
        fallback: transferred
            .fallback
            .as_ref()
            .map(|fallback| JsonFallback { from: fallback.from.name(), reason: &fallback.reason }),
        bytes: transferred.bytes,
        hole_bytes: transferred.hole_bytes,
        resumed_bytes: report.resumed_bytes,
        calls: report.calls,
        seconds: report.elapsed.as_secs_f64(),
        bytes_per_second: output::bytes_per_second(transferred.bytes, report.elapsed),
        verified: report.verified.map(|verified| match verified.from {
            VerifiedFrom::Disk => "disk",
            VerifiedFrom::Memory => "memory",
        }),
        verify_seconds: report.verified.map(|verified| verified.elapsed.as_secs_f64()),
    };
    text(&json)
}

/// What all of it has done: the last line of JSON, and the only one with this one field.
#[derive(Debug, Serialize)]
struct JsonEnd {
    summary: JsonSummary,
}

#[derive(Debug, Serialize)]
struct JsonSummary {
    files: u64,
    folders: u64,
    links: u64,
    special: u64,
    skipped: u64,
    failed: u64,
    bytes: u64,
    hole_bytes: u64,
    seconds: f64,
}

/// What all of it has done, as one line of JSON.
pub(super) fn json_summary(summary: &Summary) -> String {
    text(&JsonEnd {
        summary: JsonSummary {
            files: summary.files,
            folders: summary.folders,
            links: summary.links,
            special: summary.special,
            skipped: summary.skipped,
            failed: summary.failed,
            bytes: summary.bytes,
            hole_bytes: summary.hole_bytes,
            seconds: summary.elapsed.as_secs_f64(),
        },
    })
}

fn text(json: &impl Serialize) -> String {
    serde_json::to_string(json).unwrap_or_else(|error| unreachable!("strings and numbers only: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_shown_as_ls_shows_them() {
        for (mode, letters) in [
            (0o444, "r--r--r--"),
            (0o7777, "rwsrwsrwt"),
            (0o7000, "--S--S--T"),
            (0o4755, "rwsr-xr-x"),
            (0o100_640, "rw-r-----"),
        ] {
            assert_eq!(permissions(mode), letters);
        }
    }
}
