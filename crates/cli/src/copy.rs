//! `mapio copy`.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use mapio_copy::{CopyOptions, Engine, Meter, Report, Verified, VerifiedFrom};
use serde::Serialize;

use crate::output::{self, Answer};
use crate::size;

/// Copy a file: all of it or nothing
///
/// The destination is written beside its place and renamed, so it is the old file until the new one is whole.
///
/// Example: mapio copy --engine read-write --buffer 64k --verify big.iso /mnt/backup/
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The file to copy
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// Where to: a new name, a file to replace, or a folder
    #[arg(value_name = "DST")]
    destination: PathBuf,
    /// How to move the bytes
    #[arg(long, value_enum, value_name = "NAME", default_value = "auto")]
    engine: EngineName,
    /// Bytes to read and write at a time: 1 to 1g; default: by the size of the file
    ///
    /// k, m and g stand for 1024, 1024^2 and 1024^3 bytes. The mapped engine has no buffer.
    #[arg(long, value_name = "N", value_parser = size::buffer, allow_hyphen_values = true)]
    buffer: Option<NonZero<usize>>,
    /// Read both files back and compare them, before the destination gets its name
    #[arg(long)]
    verify: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// The engines by the names that `Engine::name` gives them, and the choice between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// The fastest for the case
    Auto,
    /// read(2) into a buffer, write(2) from it
    ReadWrite,
    /// Two mappings and a copy between them
    Mapped,
}

impl EngineName {
    fn engine(self) -> Option<Engine> {
        match self {
            Self::Auto => None,
            Self::ReadWrite => Some(Engine::ReadWrite),
            Self::Mapped => Some(Engine::Mapped),
        }
    }
}

/// The report, as JSON. Times are in seconds. What is not UTF-8 in a name is replaced by U+FFFD. `verified` says where
/// the copy was read from.
#[derive(Debug, Serialize)]
struct Json<'a> {
    source: String,
    destination: String,
    engine: &'a str,
    buffer_bytes: Option<usize>,
    threads: usize,
    preallocated: bool,
    bytes: u64,
    calls: u64,
    seconds: f64,
    bytes_per_second: Option<u64>,
    verified: Option<&'a str>,
    verify_seconds: Option<f64>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut options = CopyOptions::new();
        if let Some(engine) = self.engine.engine() {
            options = options.engine(engine);
        }
        anyhow::ensure!(
            self.engine != EngineName::Mapped || self.buffer.is_none(),
            "'--buffer' is for engines that have a buffer, and 'mapped' has none"
        );
        if let Some(bytes) = self.buffer {
            options = options.buffer_bytes(bytes);
        }
        if self.verify {
            options = options.verify();
        }
        // Only for the bar: what can't be asked will be an error of the copy.
        let total = self.source.metadata().map_or(0, |metadata| metadata.len());
        let meter = Meter::new();
        let copy = || options.copy_metered(&self.source, &self.destination, &meter);
        let report = output::with_progress(total, &meter, copy)?;
        let told = if self.json { output::json(&self.as_json(&report)) } else { output::line(&self.as_text(&report)) };
        told.with_context(|| format!("'{}' was written, but not told of", output::name(&report.destination)))?;
        Ok(Answer::Yes)
    }

    fn as_text(&self, report: &Report) -> String {
        let plan = report.plan;
        let how = match (plan.engine, plan.threads.get()) {
            (Engine::Mapped, _) => "mapped".to_owned(),
            (engine, 1) => format!("{engine} {}", size::text(plan.buffer_bytes.get())),
            (engine, threads) => format!("{engine} {}, {threads} threads", size::text(plan.buffer_bytes.get())),
        };
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
            "'{}' -> '{}': {} in {:.3} s, {} ({how}){verified}",
            output::name(&self.source),
            output::name(&report.destination),
            output::bytes_text(report.bytes),
            report.elapsed.as_secs_f64(),
            output::rate(report.bytes, report.elapsed),
        )
    }

    fn as_json(&self, report: &Report) -> Json<'static> {
        let plan = report.plan;
        Json {
            source: self.source.display().to_string(),
            destination: report.destination.display().to_string(),
            engine: plan.engine.name(),
            buffer_bytes: (plan.engine == Engine::ReadWrite).then(|| plan.buffer_bytes.get()),
            threads: plan.threads.get(),
            preallocated: plan.preallocate,
            bytes: report.bytes,
            calls: report.calls,
            seconds: report.elapsed.as_secs_f64(),
            bytes_per_second: output::bytes_per_second(report.bytes, report.elapsed),
            verified: report.verified.map(|verified| match verified.from {
                VerifiedFrom::Disk => "disk",
                VerifiedFrom::Memory => "memory",
            }),
            verify_seconds: report.verified.map(|verified| verified.elapsed.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_have_the_names_that_the_reports_give_them() {
        for name in EngineName::value_variants() {
            let written = name.to_possible_value().expect("none is hidden");
            assert_eq!(written.get_name(), name.engine().map_or("auto", Engine::name));
        }
    }
}
