//! The command `mapio`.
//!
//! Exit status: 0 done, 1 the answer is no (files differ), 2 an error, told in one line on standard error. A reader that
//! closes our standard output early, as `head` does, ends the program with status 0.

mod bench_copy;
mod compare;
mod copy;
mod output;
mod size;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use output::Answer;

/// Memory-mapped I/O: copy, compare and measure files
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
    /// Measure ways of doing I/O beside each other
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
enum Bench {
    Copy(bench_copy::Arguments),
}

fn main() -> ExitCode {
    let answer = match Arguments::parse().command {
        Command::Copy(arguments) => arguments.run(),
        Command::Compare(arguments) => arguments.run(),
        Command::Bench(Bench::Copy(arguments)) => arguments.run(),
    };
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
