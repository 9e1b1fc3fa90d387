//! Puts all tools to a case, in turns.
//!
//! As everywhere in these benches nothing is compared across runs: in each round every tool copies once, in an order
//! that rotates, and a ratio is the median over the rounds of the first tool's time divided by this one's of the same
//! round. A round before the first is not measured: after it, each copy is looked at.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;

use mapio_bench::interrupt::Interrupt;
use mapio_bench::{bytes_text, median};

use crate::case::{Before, Case, Medium};
use crate::check;
use crate::place::Place;
use crate::process::{Complaints, Cost, run};
use crate::report::{Figures, Measured, Row};
use crate::tool::{Call, Maker, Tool};

/// A tool that takes part in a case.
struct Contender<'a> {
    tool: &'a Tool,
    call: Call,
    /// Its place in the table.
    row: usize,
    costs: Vec<Cost>,
}

/// What a copy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// To be looked at.
    Trial,
    Measured,
}

/// The case, its place, and what every run needs.
struct Bench<'a> {
    case: &'a Case,
    place: Place,
    complaints: Complaints,
    interrupt: &'a Interrupt,
}

/// Measures a case; fails with the reason why it can't be measured here.
pub fn measure(case: &Case, folder: &Path, tools: &[Tool], interrupt: &Interrupt) -> anyhow::Result<Measured> {
    let place = Place::new(case.medium, folder, case.shape.room_bytes())?;
    case.shape.make(&place.source())?;
    place.rest()?;
    let mut bench = Bench { case, place, complaints: Complaints::new()?, interrupt };
    let (mut rows, mut contenders) = (Vec::new(), Vec::new());
    for tool in tools {
        let mut row = Row::new(tool);
        match tool.maker.call(case) {
            Ok(call) => {
                row.options = call.options.join(" ");
                if bench.try_out(tool, &call, &mut row)? {
                    contenders.push(Contender { tool, call, row: rows.len(), costs: Vec::new() });
                }
            }
            Err(reason) => row.unmeasured = Some(reason.to_owned()),
        }
        rows.push(row);
    }
    for round in 0..case.rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            bench.say(format_args!("round {} of {}", round + 1, case.rounds), contenders[index].tool);
            bench.take_turn(&mut contenders[index])?;
        }
    }
    bench.place.clear()?;
    let first = contenders.iter().find(|contender| contender.tool.maker == Maker::Gnu).map(|first| first.costs.clone());
    for contender in &contenders {
        rows[contender.row].figures = Some(figures(&contender.costs, first.as_deref().unwrap_or(&contender.costs)));
    }
    let title = case.text(&bench.place.file_system);
    Ok(Measured { name: case.name, title, rounds: case.rounds, rows })
}

impl Bench<'_> {
    /// Lets a tool copy once, not measured, and looks at the copy; `false` if it can't copy this.
    fn try_out(&mut self, tool: &Tool, call: &Call, row: &mut Row) -> anyhow::Result<bool> {
        self.say(format_args!("trial"), tool);
        let copied = self.copy(tool, call, Turn::Trial)?;
        if let Err(error) = copied {
            let path = format!("{}/", self.place.path().display());
            row.unmeasured = Some(format!("failed: {}", format!("{error:#}").replace(&path, "")));
            return Ok(false);
        }
        let (source, copy) = (self.place.source(), self.place.copy());
        self.place.rest()?;
        if let Err(error) = check::compare(&source, &copy, self.case.same()) {
            row.wrong = Some(format!("wrong: {error:#}"));
            if !copy.exists() {
                return Ok(false);
            }
        }
        let allocated = check::allocated_bytes(&copy)?;
        row.allocated_bytes = Some(allocated);
        if self.case.shape.most_allocated_bytes().is_some_and(|most| allocated > most) {
            row.wrong = Some(format!("wrong: holes filled, {} allocated", bytes_text(allocated)));
        }
        if self.case.is_reflink() {
            match check::is_shared(&copy) {
                Ok(true) => {}
                Ok(false) => row.wrong = Some("wrong: copied, not shared".to_owned()),
                Err(error) => row.wrong = Some(format!("perhaps not shared: {error:#}")),
            }
        }
        Ok(true)
    }

    /// Says who copies now, to somebody who waits at a terminal.
    fn say(&self, turn: Arguments<'_>, tool: &Tool) {
        if io::stderr().is_terminal() {
            eprintln!("{}: {turn}, {}", self.case.name, tool.name);
        }
    }

    fn take_turn(&mut self, contender: &mut Contender<'_>) -> anyhow::Result<()> {
        contender.costs.push(self.copy(contender.tool, &contender.call, Turn::Measured)??);
        Ok(())
    }

    /// Prepares everything and lets a tool copy. The outer error ends the case, the inner one is the tool's.
    fn copy(&mut self, tool: &Tool, call: &Call, turn: Turn) -> anyhow::Result<anyhow::Result<Cost>> {
        self.interrupt.check()?;
        self.place.prepare(self.case)?;
        if turn == Turn::Trial && self.case.before == Before::SameTree {
            // A tool that copies nothing is not to be taken for one that copies rightly.
            check::spoil(&self.place.copy())?;
        }
        let mut command = tool.command(call, &self.place.source(), &self.place.target());
        let copy = self.place.copy();
        let cost = run(&mut command, &mut self.complaints, || match call.needs_sync {
            // As `sync FILE` behind the tool, without the time that starting that takes.
            true => Ok(File::open(&copy)?.sync_all()?),
            false => Ok(()),
        });
        // A tool that was interrupted has not failed.
        self.interrupt.check()?;
        Ok(cost)
    }
}

impl Row {
    fn new(tool: &Tool) -> Self {
        Self {
            tool: tool.name,
            options: String::new(),
            unmeasured: None,
            wrong: None,
            allocated_bytes: None,
            figures: None,
        }
    }
}

fn figures(own: &[Cost], first: &[Cost]) -> Figures {
    let seconds: Vec<f64> = own.iter().map(|cost| cost.real).collect();
    Figures {
        median_seconds: median(seconds.clone()),
        cpu_seconds: median(own.iter().map(|cost| cost.cpu).collect()),
        ratio: median(first.iter().zip(own).map(|(first, own)| first.real / own.real).collect()),
        seconds,
    }
}

/// Where the sweep's file is; as [`Place::new`].
pub fn place_of_sweep(folder: &Path, bytes: u64) -> anyhow::Result<Place> {
    Place::new(Medium::Folder, folder, 2 * bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let costs = |seconds: [f64; 3]| seconds.map(|real| Cost { real, cpu: real / 2.0 });
        let found = figures(&costs([1.0, 10.0, 5.0]), &costs([2.0, 40.0, 5.0]));
        assert_eq!((found.median_seconds, found.cpu_seconds, found.ratio), (5.0, 2.5, 2.0));
    }
}
