//! `mapio copy`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mapio_copy::{CopyOptions, Engine, Meter, Report};
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
    #[arg(long, value_enum, default_value = "auto")]
    engine: EngineName,
    /// Bytes to read and write at a time: 1 to 1g; default: by the size of the file
    ///
    /// k, m and g stand for 1024, 1024^2 and 1024^3 bytes. The mapped engine has no buffer.
    #[arg(long, value_name = "N", value_parser = size::buffer)]
    buffer: Option<NonZero<usize>>,
    /// Read both files back and compare them, before the destination gets its name
    #[arg(long)]
    verify: bool,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// The engines by the names that `Engine::name` gives them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EngineName {
    /// The fastest for the case
    Auto,
    /// read(2) into a buffer, write(2) from it
    ReadWrite,
    /// Two mappings and a copy between them
    Mapped,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::ReadWrite => Self::ReadWrite,
            EngineName::Mapped => Self::Mapped,
        }
    }
}

/// The report, as JSON. Times are in seconds.
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
    verified: bool,
    verify_seconds: Option<f64>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut options = CopyOptions::new().engine(self.engine.into());
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
        if self.json {
            output::json(&self.as_json(&report))?
        } else {
            output::line(&self.as_text(&report))?
        }
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
            Some(elapsed) => format!(", verified in {:.3} s", elapsed.as_secs_f64()),
            None => String::new(),
        };
        format!(
            "'{}' -> '{}': {} in {:.3} s, {} ({how}){verified}",
            self.source.display(),
            report.destination.display(),
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
            verified: report.verified.is_some(),
            verify_seconds: report.verified.map(|elapsed| elapsed.as_secs_f64()),
        }
    }
}
