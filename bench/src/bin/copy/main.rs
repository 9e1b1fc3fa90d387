//! `mapio copy` beside GNU cp and others that copy: as processes, on real file systems, with each copy looked at.
//!
//! `cargo run --release --bin copy -- [CASE]... [--quick] [--json] [--peers DIR]`; see README.md.

mod case;
mod check;
mod mapio;
mod material;
mod measure;
mod place;
mod plot;
mod process;
mod report;
mod sweep;
mod tool;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use mapio_bench::interrupt::Interrupt;
use mapio_bench::machine::Machine;

use case::{Case, NAMES, SWEEP, Scale};
use mapio::Mapio;
use report::{Outcome, Report};
use tool::Tool;

/// Where the picture of the sweep belongs.
const SVG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/img/engines.svg");

/// Measure mapio copy beside GNU cp, and others that are found
///
/// Exit status: 0, 1 if mapio has failed or copied wrongly, 2 for an error.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; default: everything
    #[arg(value_name = "CASE", value_parser = PossibleValuesParser::new(NAMES))]
    cases: Vec<String>,
    /// Copy next to nothing, to see that everything runs: the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Where xcp, fcp, cpz and uutils cp are, besides the path: a folder, or one with a folder `bin`
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// The mapio to measure; default: built from this repository
    #[arg(long, value_name = "FILE")]
    mapio: Option<PathBuf>,
    /// Whose file system is measured; default: the folder of this program
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Measured copies by each tool; default: by the case
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Where the sweep is drawn; default: docs/img/engines.svg, and nowhere that lasts with --quick
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// All that cases need.
struct Bench {
    arguments: Arguments,
    folder: PathBuf,
    mapio: Mapio,
    tools: Vec<Tool>,
    interrupt: Interrupt,
}

fn main() -> ExitCode {
    match Bench::new(Arguments::parse()).and_then(|bench| bench.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("copy: {error:#}");
            ExitCode::from(2)
        }
    }
}

impl Bench {
    fn new(arguments: Arguments) -> anyhow::Result<Self> {
        // From here on a signal ends things in order.
        let interrupt = Interrupt::catch()?;
        let program = std::env::current_exe()?;
        let folder = arguments.folder.clone().or_else(|| program.parent().map(Path::to_owned)).unwrap_or_default();
        let mapio = Mapio::find(arguments.mapio.clone())?;
        let tools = tool::find(mapio.cp(), arguments.peers.as_deref())?;
        if tools.len() < tool::MOST {
            eprintln!("copy: not all peers are there; to get them: {}", tool::HOW_TO_GET_PEERS);
        }
        Ok(Self { arguments, folder, mapio, tools, interrupt })
    }

    fn run(&self) -> anyhow::Result<ExitCode> {
        let versions = self.tools.iter().map(Tool::text).collect();
        let mut report = Report { machine: Machine::look(&self.folder), versions, cases: Vec::new() };
        if !self.arguments.json {
            println!("{}", report.heading());
        }
        let is_chosen =
            |name: &str| self.arguments.cases.is_empty() || self.arguments.cases.iter().any(|case| case == name);
        for name in NAMES.into_iter().filter(|name| is_chosen(name)) {
            let outcome = match self.outcome(name) {
                Ok(outcome) => outcome,
                Err(error) if self.interrupt.is_set() => return Err(error),
                Err(error) => Outcome::Skipped { name, reason: format!("{error:#}") },
            };
            if !self.arguments.json {
                println!("{}", outcome.text());
            }
            report.cases.push(outcome);
        }
        if self.arguments.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        }
        Ok(if report.is_ours_right(tool::OURS) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Measures a case; an error is the reason to skip it.
    fn outcome(&self, name: &'static str) -> anyhow::Result<Outcome> {
        let scale = if self.arguments.quick { Scale::Quick } else { Scale::Full };
        let rounds = self.arguments.rounds.map(usize::from);
        let Some(mut case) = Case::new(name, scale) else { return self.sweep(scale, rounds) };
        case.rounds = rounds.unwrap_or(case.rounds);
        Ok(Outcome::Copied(measure::measure(&case, &self.folder, &self.tools, &self.interrupt)?))
    }

    fn sweep(&self, scale: Scale, rounds: Option<usize>) -> anyhow::Result<Outcome> {
        debug_assert!(NAMES.contains(&SWEEP));
        let nowhere = tempfile::tempdir()?;
        let svg = match (&self.arguments.svg, scale) {
            (Some(svg), _) => svg.clone(),
            (None, Scale::Full) => PathBuf::from(SVG),
            (None, Scale::Quick) => nowhere.path().join("engines.svg"),
        };
        let swept = sweep::sweep(&self.mapio.mapio(), &self.folder, scale, rounds, &svg, &self.interrupt)?;
        Ok(Outcome::Swept(swept))
    }
}
