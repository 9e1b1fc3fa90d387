//! `mapio bench serial`, which says why there is none.

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
        self.refused.because(
            "bench serial: serial ports, simulated ones too, are Linux's here: Windows lets no program at registers",
        )
    }
}
