//! `mapio bench channel`, which says why there is none.

use clap::Args;

use crate::output::Answer;
use crate::sys::Refused;

/// Not there on Windows: says so
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    refused: Refused,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        self.refused
            .because("bench channel: what channels are measured beside, pipes and sockets of Unix, is Linux's here")
    }
}
