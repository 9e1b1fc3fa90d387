//! The words of a subcommand that Windows has nothing for.

use std::ffi::OsString;

use clap::Args;

use crate::output::Answer;

/// Whatever the subcommand would take.
#[derive(Debug, Args)]
pub(crate) struct Refused {
    /// Whatever it would take
    #[arg(value_name = "WORDS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Refused {
    /// The error that says why.
    pub(crate) fn because(self, reason: &'static str) -> anyhow::Result<Answer> {
        drop(self.words);
        Err(anyhow::Error::msg(reason))
    }
}
