//! `mapio shared write`.

use std::io::{self, Read};

use anyhow::Context;
use clap::Args;
use mapio_map::MapMode;
use mapio_shared::ObjectName;

use super::{Part, open};
use crate::output::{self, Answer};
use crate::size;

/// Write bytes into an object
///
/// Those of standard input, or a text. All of them must fit; otherwise nothing is written. Others see them as they come;
/// nothing is locked.
#[derive(Debug, Args)]
#[command(after_help = "Example: date | mapio shared write frames --offset 64")]
pub(crate) struct Arguments {
    /// The object
    #[arg(value_name = "NAME", value_parser = super::name)]
    name: ObjectName,
    /// First byte to write to; default: 0
    #[arg(long, value_name = "N", value_parser = size::bytes, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    offset: u64,
    /// This text, without a line break, instead of standard input
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let object = open(&self.name, MapMode::ReadWrite)?;
        let (start, room) = Part { offset: self.offset, len: None }.range(&object, usize::MAX)?;
        let bytes = match self.text {
            Some(text) => text.into_bytes(),
            None => {
                let mut bytes = Vec::new();
                // One more than there is room for tells that there are too many.
                let most = u64::try_from(room)?.saturating_add(1);
                io::stdin().lock().take(most).read_to_end(&mut bytes).context("reading standard input")?;
                bytes
            }
        };
        let name = output::printable(object.name());
        anyhow::ensure!(
            bytes.len() <= room,
            "{name} has room for {room} bytes from offset {start}, and there are more"
        );
        object.view().write_all_at(start, &bytes).with_context(|| format!("writing to {name}"))?;
        Ok(Answer::Yes)
    }
}
