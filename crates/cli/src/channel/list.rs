//! `mapio channel list`: all channels that have a name of POSIX shared memory, or on Windows of sections.

use clap::Args;
use mapio_shared::Error;
use mapio_shared::channel::CONTENTS;

use super::look_at;
use super::stat::Seen;
use crate::output::{self, Answer};

/// List all channels of POSIX shared memory
///
/// On Windows, all that are sections.
/// Those that may not be opened are left out; 'mapio shared list' shows them, too.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio channel list --json")]
pub(crate) struct Arguments {
    /// Print everything as JSON, a line for each channel
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let mut answer = Answer::Yes;
        let all = mapio_shared::list_all()?.into_iter();
        for name in all.filter(|object| object.contents == CONTENTS).map(|object| object.name.to_string()) {
            match look_at(&name).and_then(|channel| Seen::of(&channel)) {
                Ok(seen) if self.json => output::json(&seen)?,
                Ok(seen) => output::line(&seen.text())?,
                // Removed meanwhile.
                Err(Error::NotFound { .. }) => {}
                Err(error) => {
                    output::complain(&error.into());
                    answer = Answer::Partly;
                }
            }
        }
        Ok(answer)
    }
}
