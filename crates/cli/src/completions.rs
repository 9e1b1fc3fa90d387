//! `mapio completions`.

use std::ffi::OsString;

use clap::{ArgGroup, Args, Command, value_parser};
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
Example: mapio completions bash > mapio.bash && source mapio.bash
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
    let mut command = visible(&manual::described());
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

/// A command without its hidden arguments, which clap completes as any others and can't take away: a new one of what
/// scripts tell of.
fn visible(command: &Command) -> Command {
    let (hidden, shown): (Vec<_>, Vec<_>) =
        command.get_arguments().cloned().partition(|argument| argument.is_hide_set());
    let groups = command.get_groups().map(|group| {
        let members = group.get_args().filter(|id| hidden.iter().all(|argument| argument.get_id() != *id));
        // Of an argument that excludes a group, zsh excludes the members.
        ArgGroup::new(group.get_id().clone()).args(members.cloned()).multiple(group.clone().is_multiple())
    });
    let mut told = Command::new(command.get_name().to_owned())
        .args(shown)
        .groups(groups)
        .subcommands(command.get_subcommands().map(visible))
        .disable_help_flag(command.is_disable_help_flag_set())
        .disable_version_flag(command.is_disable_version_flag_set())
        .disable_help_subcommand(command.is_disable_help_subcommand_set());
    if let Some(about) = command.get_about() {
        told = told.about(about.clone());
    }
    if let Some(about) = command.get_long_about() {
        told = told.long_about(about.clone());
    }
    if let Some(version) = command.get_version() {
        told = told.version(version.to_owned());
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The long options of a command and of all below it that are hidden, or that are not.
    fn options(command: &Command, is_hidden: bool) -> Vec<String> {
        let wanted = command.get_arguments().filter(|argument| argument.is_hide_set() == is_hidden);
        let own = wanted.filter_map(|argument| argument.get_long().map(str::to_owned));
        own.chain(command.get_subcommands().flat_map(|below| options(below, is_hidden))).collect()
    }

    #[test]
    fn what_the_help_hides_is_not_completed_and_all_else_is() {
        let all = manual::described();
        let (hidden, shown) = (options(&all, true), options(&all, false));
        // What there is to hide is Linux's.
        assert_eq!(hidden.is_empty(), cfg!(windows), "{hidden:?}");
        let command = visible(&all);
        assert_eq!((options(&command, true), options(&command, false)), (Vec::new(), shown.clone()));
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let script = String::from_utf8(script(shell)).unwrap();
            let mark = if shell == Shell::Fish { "-l " } else { "--" };
            let is_told = |name: &String| {
                let option = format!("{mark}{name}");
                let mut rests = script.split(&option).skip(1);
                rests.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-'))
            };
            let left: Vec<_> = hidden.iter().filter(|name| !shown.contains(name) && is_told(name)).collect();
            let lost: Vec<_> = shown.iter().filter(|name| !is_told(name)).collect();
            assert!(left.is_empty() && lost.is_empty(), "{shell}: {left:?} {lost:?}");
        }
    }
}
