//! The command `mapio`.
//!
//! Exit status: 0 done, 1 the answer is no (files differ), 2 an error, told in one line on standard error, or several
//! where some of it could not be done and the rest was. A reader that closes our standard output early, as `head` does,
//! changes none of that. `copy` is cp, and has cp's: 0 or 1; 2 for what the system has nothing
//! for.
//!
//! Called by the name `cp`, through a link, it is cp and nothing else.

mod bench;
mod channel;
mod compare;
mod completions;
mod copy;
#[cfg_attr(windows, path = "sys/windows/device.rs")]
mod device;
mod duration;
#[cfg_attr(windows, path = "sys/windows/interrupt.rs")]
mod interrupt;
mod log;
mod man;
mod manual;
mod messages;
mod output;
mod pages;
mod permissions;
mod shared;
#[cfg_attr(windows, path = "sys/windows/signals.rs")]
mod signals;
mod size;
mod sys;
#[cfg_attr(windows, path = "sys/windows/tour.rs")]
mod tour;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{FromArgMatches, Parser, Subcommand};

use output::Answer;

/// Memory-mapped I/O for files, processes and devices
#[derive(Debug, Parser)]
#[command(name = "mapio", version, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copy files and folders: cp, with its options, and faster
    #[command(disable_help_flag = true, override_help = copy::subcommand_help())]
    Copy {
        /// What `mapio copy --help` tells
        #[arg(value_name = "OPTIONS, SOURCES, DESTINATION", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    Compare(compare::Arguments),
    Pages(Box<pages::Arguments>),
    Shared(shared::Arguments),
    #[command(subcommand)]
    Channel(channel::Command),
    #[command(subcommand)]
    Log(log::Command),
    Device(Box<device::Arguments>),
    Tour(tour::Arguments),
    /// Measure ways of doing I/O beside each other
    #[command(subcommand, after_help = "Example: mapio bench copy --runs 9 disk.img")]
    Bench(bench::Command),
    Man(man::Arguments),
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    signals::ignore_file_size_limit();
    if let Some((called, words)) = copy_words() {
        return copy::run(&called, words);
    }
    let matches = manual::command().try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let answer = match arguments.command {
        Command::Copy { words } => return copy::run(&copy::Called::as_subcommand(), words.into_iter()),
        Command::Compare(arguments) => arguments.run(),
        Command::Pages(arguments) => arguments.run(),
        Command::Shared(arguments) => arguments.run(),
        Command::Channel(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Device(arguments) => arguments.run(),
        Command::Tour(arguments) => arguments.run(),
        Command::Bench(command) => command.run(),
        Command::Man(arguments) => arguments.run(),
        Command::Completions(arguments) => arguments.run(),
    };
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Partly) => ExitCode::from(2),
        Err(error) => {
            output::complain(&error);
            ExitCode::from(2)
        }
    }
}

/// The command line of a copy, if this is one: under the name `cp`, or as the subcommand.
///
/// It is looked for before anything else is made, so that a copy of a small file starts as fast as cp.
fn copy_words() -> Option<(copy::Called, std::env::ArgsOs)> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    if Path::new(&name).file_name() == Some(format!("cp{}", std::env::consts::EXE_SUFFIX).as_ref()) {
        return Some((copy::Called::as_cp(output::printable(&name.to_string_lossy())), words));
    }
    (words.next()? == "copy").then(|| (copy::Called::as_subcommand(), words))
}

/// Prints the help that was asked for, or what is wrong with the words that were given.
fn explain(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        match error.print() {
            // Whoever asked has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                output::complain(&anyhow::Error::new(error).context("writing to standard output"));
                return ExitCode::from(2);
            }
            Ok(()) => {}
        }
        return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    output::complain(&anyhow::anyhow!("{}", first_paragraph(&error.render().to_string())));
    ExitCode::from(2)
}

/// What clap has to say before it goes on to tips and the usage, on one line.
fn first_paragraph(text: &str) -> String {
    let ends = ["\n\nUsage:", "\n\nFor more information", "\n\n  tip:"];
    let end = ends.into_iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let words = text[..end].trim_start_matches("error: ").trim();
    words.replace("\n  ", " ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        // Not the package's name.
        assert!(Arguments::command().render_version().starts_with("mapio "));
    }

    #[test]
    fn wrong_words_are_explained_in_one_line() {
        let explained = |words: &[&str]| {
            first_paragraph(&Arguments::try_parse_from(words).expect_err("wrong words").render().to_string())
        };
        let missing = explained(&["mapio", "compare", "a"]);
        assert_eq!(missing, "the following required arguments were not provided: <B>");
        let runs = explained(&["mapio", "bench", "copy", "a", "--runs", "0"]);
        assert!(runs.starts_with("invalid value '0' for '--runs <"), "{runs}");
    }
}
