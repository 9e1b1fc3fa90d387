//! What moves messages between two processes, and to several: rivals in turns, in one run.
//!
//! `cargo run --release --bin ipc -- [PART]... [--quick] [--json] [--without NAME]`; see README.md.
//!
//! To add a contender: a file with a type that is a [`link::Link`], and a line in [`contender::ALL`].

mod bounce;
mod contender;
mod descriptors;
mod group;
mod iceoryx;
mod ipc_channel;
mod link;
mod mapio;
mod measure;
mod place;
mod report;
mod ring;
mod run;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use mapio_bench::interrupt::Interrupt;
use mapio_bench::machine::Machine;

use group::{Group, PARTS, Scale};
use link::Task;
use report::Report;

/// Measure channels between processes beside each other
///
/// Exit status: 0, 2 for an error, such as a message with a wrong number.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; default: everything
    #[arg(value_name = "PART", value_parser = PossibleValuesParser::new(PARTS))]
    parts: Vec<String>,
    /// Send few messages, to see that everything runs: the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Leave a contender out; may be given several times
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(contender::names()))]
    without: Vec<String>,
    /// Runs of each contender; default: 9
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Be one end of a channel, as this process's other self has told it
    #[arg(long, hide = true, value_name = "TASK")]
    end: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.end {
        Some(task) => be_end(task),
        None => bench(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ipc: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The work of one end; what it has measured goes to standard output.
fn be_end(task: &str) -> anyhow::Result<()> {
    let task: Task = serde_json::from_str(task).context("not a task")?;
    run::settle(&task)?;
    if let Some(nanoseconds) = contender::find(&task.contender)?.work(&task)? {
        println!("{nanoseconds}");
    }
    Ok(())
}

fn bench(arguments: &Arguments) -> anyhow::Result<()> {
    // From here on a signal ends things in order.
    let interrupt = Interrupt::catch()?;
    let scale = if arguments.quick { Scale::Quick } else { Scale::Full };
    let rounds = arguments.rounds.map_or(scale.rounds(), usize::from);
    let is_chosen = |part: &str| arguments.parts.is_empty() || arguments.parts.iter().any(|chosen| chosen == part);
    let mut report = Report { machine: Machine::look(Path::new(place::PARENT)), groups: Vec::new() };
    if !arguments.json {
        println!("{}", report.machine.text());
    }
    for group in Group::all(scale).into_iter().filter(|group| is_chosen(group.part)) {
        let measured = group.measure(rounds, &arguments.without, &interrupt)?;
        if !arguments.json {
            println!("{}", measured.text());
        }
        report.groups.push(measured);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(())
}
