//! `mapio shared read`.

use clap::Args;
use mapio_map::MapMode;
use mapio_shared::ObjectName;

use super::{Part, dump, open};
use crate::output::{self, Answer, Reader};

/// Bytes that are printed at a time.
const CHUNK: usize = 1 << 20;

/// Print an object's bytes as they are
///
/// Others may change them meanwhile; nothing is locked.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared read frames --offset 4k --len 64 > part")]
pub(crate) struct Arguments {
    /// The object
    #[arg(value_name = "NAME", value_parser = super::name)]
    name: ObjectName,
    #[command(flatten)]
    part: Part,
    /// In hexadecimal and as text, sixteen bytes a line
    #[arg(long)]
    hex: bool,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let object = open(&self.name, MapMode::ReadOnly)?;
        let (start, len) = self.part.range(&object, usize::MAX)?;
        let mut bytes = vec![0; len.min(CHUNK)];
        let mut done = 0;
        while done < len {
            let piece = &mut bytes[..(len - done).min(CHUNK)];
            object.view().read_exact_at(start + done, piece)?;
            let reader = if self.hex { output::print(&dump(start + done, piece))? } else { output::bytes(piece)? };
            if reader == Reader::Gone {
                break;
            }
            done += piece.len();
        }
        Ok(Answer::Yes)
    }
}
