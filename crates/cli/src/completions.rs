//! `mapio completions`.

use std::ffi::OsString;

use clap::{Args, value_parser};
use clap_complete::{Shell, generate};

use crate::manual;
use crate::output::{self, Answer};

/// Print what completes words of mapio in a shell
///
/// Commands, options and their words are completed, those of mapio copy too. Bash takes the script from
/// /usr/share/bash-completion/completions/mapio, zsh from a file _mapio in a folder of $fpath, fish from
/// ~/.config/fish/completions/mapio.fish. Exit status: 0 done, 2 error.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: source <(mapio completions bash)
Example: mapio completions zsh > _mapio
Example: mapio completions fish > mapio.fish")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<Answer> {
        output::bytes(&script(self.shell))?;
        Ok(Answer::Yes)
    }
}

fn script(shell: Shell) -> Vec<u8> {
    let mut command = manual::described();
    if shell == Shell::Bash {
        // Of an option whose word stands behind '=' or is missing, bash would complete the word as the next one.
        command = command.mut_subcommand("copy", |copy| {
            copy.mut_args(|argument| match argument.is_require_equals_set() {
                true => argument.value_parser(value_parser!(OsString)),
                false => argument,
            })
        });
    }
    let mut script = Vec::new();
    generate(shell, &mut command, "mapio", &mut script);
    script
}
