//! The command `mapio`.
//!
//! Exit status: 0 done, 1 the answer is no (files differ), 2 an error, told in one line on standard error. A reader
//! that closes our standard output early, as `head` does, changes none of that.

mod bench_copy;
mod compare;
mod copy;
mod interrupt;
mod output;
mod pages;
mod signals;
mod size;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use output::Answer;

/// Memory-mapped I/O: copy, compare and measure files, and see which pages of them are in memory
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Copy(copy::Arguments),
    Compare(compare::Arguments),
    Pages(Box<pages::Arguments>),
    /// Measure ways of doing I/O beside each other
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
enum Bench {
    Copy(bench_copy::Arguments),
}

fn main() -> ExitCode {
    signals::ignore_file_size_limit();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    let answer = match arguments.command {
        Command::Copy(arguments) => arguments.run(),
        Command::Compare(arguments) => arguments.run(),
        Command::Pages(arguments) => arguments.run(),
        Command::Bench(Bench::Copy(arguments)) => arguments.run(),
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

/// Prints the help that was asked for, or what is wrong with the words that were given.
fn explain(error: &clap::Error) -> ExitCode {
    let asked_for = !error.use_stderr();
    if asked_for || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A closed pipe: whoever asked has seen enough.
        let _ = error.print();
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
    }

    #[test]
    fn wrong_words_are_explained_in_one_line() {
        let explained = |words: &[&str]| {
            first_paragraph(&Arguments::try_parse_from(words).expect_err("wrong words").render().to_string())
        };
        let engine = explained(&["mapio", "copy", "a", "b", "--engine", "warp"]);
        assert_eq!(engine, "invalid value 'warp' for '--engine <NAME>' [possible values: auto, read-write, mapped]");
        let missing = explained(&["mapio", "copy", "a"]);
        assert_eq!(missing, "the following required arguments were not provided: <DST>");
        let buffer = explained(&["mapio", "copy", "a", "b", "--buffer", "0"]);
        assert_eq!(buffer, "invalid value '0' for '--buffer <N>': a buffer has 1 byte to 1 GiB");
    }
}
