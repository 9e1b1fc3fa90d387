//! What the command says of itself: its front page, and all that the manual and the completions of shells tell.

use std::fmt::Write;

use clap::CommandFactory;
use clap::builder::Styles;

use crate::{Arguments, copy};

/// The front page: every command, in groups. A test holds it to the commands that there are.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Files", &["copy", "compare", "pages"]),
    ("Processes", &["shared", "channel", "log"]),
    ("Devices", &["device"]),
    ("Learning and measuring", &["tour", "bench"]),
    ("Manual", &["man", "completions"]),
];

/// What the manual says of all of it.
const ABOUT: &str = "\
Memory-mapped I/O: a range of addresses stands for something else, and loads and stores do the I/O. Between files, mapio \
copies, compares and shows which of their pages are in memory. Between processes it shares memory under a name, passes \
messages through it and keeps them in logs. To devices it reads and writes registers by name.

Exit status: 0 done, 1 the answer is no, as where files differ, 2 an error, told in one line on standard error. That of \
mapio copy is cp's.";

/// The command line, as it is read.
pub(crate) fn command() -> clap::Command {
    let command = Arguments::command();
    let front_page = front_page(&command);
    command.help_template(front_page)
}

/// The command line, as it is told of: with the options of `copy`, which reads its own words.
pub(crate) fn described() -> clap::Command {
    let command = Arguments::command().long_about(ABOUT).after_help("Example: mapio copy -a --verify photos backup");
    command.disable_help_subcommand(true).mut_subcommand("copy", |plain| {
        let about = plain.get_about().cloned().unwrap_or_default();
        copy::command().about(about).display_order(plain.get_display_order())
    })
}

/// The template of the first page of help, which clap fills in.
fn front_page(command: &clap::Command) -> String {
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut page = String::from("{about}\n\n{usage-heading} {usage}\n\n");
    for (group, names) in GROUPS {
        // Writing to a string can't fail.
        let _ = writeln!(page, "{header}{group}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let _ = writeln!(page, "  {literal}{name:<12}{literal:#} {}", about.cloned().unwrap_or_default());
        }
    }
    page + "\nmapio COMMAND --help tells more of each; mapio --version, which one this is."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_has_every_command_once_and_fits_a_screen() {
        let command = command();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut there: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        there.sort_unstable();
        assert_eq!(grouped, there);
        let page = command.clone().render_help().to_string();
        // A line is the prompt's, under it.
        assert!(page.lines().count() < 24, "{page}");
        assert!(page.lines().all(|line| line.len() <= 80), "{page}");
        assert_eq!(page, command.clone().render_long_help().to_string());
    }

    #[test]
    fn every_command_has_an_example_and_says_what_it_does() {
        let mut commands = vec![described()];
        commands[0].build();
        while let Some(command) = commands.pop() {
            let name = command.get_bin_name().unwrap_or_default().to_owned();
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.lines().count() == 1 && !about.ends_with('.'), "{name}: '{about}'");
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            // A longer one would be broken into lines that can't be typed.
            let is_example = |line: &str| line.starts_with("Example: ") && line.len() <= 80;
            // What only says that it is not there is no example of anything.
            let is_absent = about == "Not there on Windows: says so";
            assert!((!examples.is_empty() || is_absent) && examples.lines().all(is_example), "{name}: '{examples}'");
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
