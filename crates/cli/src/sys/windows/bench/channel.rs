//! `mapio bench channel`, which says why there is none.

use std::ffi::OsString;

use clap::Args;

use crate::output::Answer;

/// Not there on Windows: says so
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = "Example: mapio bench copy big")]
pub(crate) struct Arguments {
    /// Whatever it would take
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        drop(self.words);
        anyhow::bail!("bench channel: what channels are measured beside, pipes and sockets of Unix, is Linux's here");
    }
}
