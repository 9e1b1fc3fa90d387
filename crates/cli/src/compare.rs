//! `mapio compare`.

use std::path::PathBuf;

use clap::Args;
use mapio_copy::{Comparison, Meter};
use serde::Serialize;

use crate::output::{self, Answer};

/// Compare two files through mappings of them
///
/// Exit status: 0 they are the same, 1 they differ, 2 error. Offsets count from 0, in bytes.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio compare old.img new.img && echo same")]
pub(crate) struct Arguments {
    /// The first file
    #[arg(value_name = "A")]
    left: PathBuf,
    /// The second file
    #[arg(value_name = "B")]
    right: PathBuf,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// The answer, as JSON. `offset` and the bytes are null where there is no difference, or no byte.
#[derive(Debug, Serialize)]
struct Json {
    same: bool,
    bytes: Option<u64>,
    offset: Option<u64>,
    left: Option<u8>,
    right: Option<u8>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        // Only for the bar: what can't be asked will be an error of the comparison.
        let total = self.left.metadata().map_or(0, |metadata| metadata.len());
        let meter = Meter::new();
        let compare = || mapio_copy::compare(&self.left, &self.right, &meter);
        let found = output::with_progress(total, &meter, compare)?;
        if self.json {
            output::json(&as_json(found))?;
        } else if let Comparison::Differ { offset, left, right } = found {
            output::line(&format!(
                "'{}' and '{}' differ at offset {offset}: {}, {}",
                output::name(&self.left),
                output::name(&self.right),
                byte_text(left),
                byte_text(right)
            ))?;
        }
        Ok(if matches!(found, Comparison::Same { .. }) { Answer::Yes } else { Answer::No })
    }
}

fn as_json(found: Comparison) -> Json {
    match found {
        Comparison::Differ { offset, left, right } => {
            Json { same: false, bytes: None, offset: Some(offset), left, right }
        }
        Comparison::Same { bytes } => Json { same: true, bytes: Some(bytes), offset: None, left: None, right: None },
    }
}

fn byte_text(byte: Option<u8>) -> String {
    byte.map_or_else(|| "end of file".to_owned(), |byte| format!("0x{byte:02x}"))
}
