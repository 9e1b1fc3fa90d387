//! `mapio copy`, and `cp`: cp(1) with its own options and meanings, and some more.
//!
//! The words of the command line are read here and not by clap, because scripts rely on how getopt_long(3) reads them,
//! and because a copy of a small file must not take longer to begin than cp takes for all of it.

mod arguments;
mod console;
mod getopt;
mod help;
mod progress;
mod request;
mod tell;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use mapio_copy::{CopyOptions, Follow, Meter, Summary, Target};

pub(crate) use help::{Called, command, subcommand_help};

use crate::interrupt::StopSignals;
use crate::output;
use arguments::{Arguments, Stop};
use console::{Console, Says};
use getopt::Order;
use progress::{Progress, Scope};
use request::{Operands, TargetKind};

/// From this length on a copy may take so long that somebody waits for it, or wants it to end, in bytes.
const LONG_FROM: u64 = 16 << 20;
/// From so many sources on, too.
const MANY_FROM: usize = 64;

/// What is to be done, and how.
struct Request {
    options: CopyOptions,
    operands: Operands,
    arguments: Arguments,
}

/// Carries out a command line, without the name of the command.
pub(crate) fn run(called: &Called, words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut words = words.peekable();
    // cp has no such option, and all of our own commands have.
    if called.is_subcommand() && words.peek().is_some_and(|word| word == "-h") {
        return explain(called, Stop::Help);
    }
    match read(words) {
        Ok(request) => request.run(called),
        Err(stop) => explain(called, stop),
    }
}

fn read(words: impl Iterator<Item = OsString>) -> Result<Request, Stop> {
    let order = if request::is_posix() { Order::OptionsFirst } else { Order::Any };
    let mut arguments = Arguments::read(words, order)?;
    let options = request::options(&arguments)?;
    let operands = request::operands(&mut arguments)?;
    Ok(Request { options, operands, arguments })
}

/// Says why nothing is copied.
fn explain(called: &Called, stop: Stop) -> ExitCode {
    let (text, may_help) = match stop {
        Stop::Help => return say(called, &help::text(&called.command)),
        Stop::Version => return say(called, &format!("{}\n", help::version(called))),
        Stop::Words(text) => (text, true),
        Stop::Plain(text) => (text, false),
        Stop::Absent(text) => {
            output::complain_as(&called.program, text);
            return ExitCode::from(2);
        }
    };
    output::complain_as(&called.program, text);
    if may_help {
        output::complain_plain(&format!("Try '{} --help' for more information.", called.command));
    }
    ExitCode::FAILURE
}

fn say(called: &Called, text: &str) -> ExitCode {
    match output::print(text) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain_as(&called.program, format!("write error: {}", output::causes(error.root_cause())));
            ExitCode::FAILURE
        }
    }
}

impl Request {
    fn run(&self, called: &Called) -> ExitCode {
        if self.arguments.context {
            let why = "warning: ignoring --context; it requires an SELinux-enabled kernel";
            output::complain_as(&called.program, why);
        }
        // It lives as long as the program, since a signal handler has it.
        let meter: &'static Meter = Box::leak(Box::new(match self.arguments.io_limit {
            Some(rate) => Meter::new().limit(rate),
            None => Meter::new(),
        }));
        let is_long = self.is_long();
        // Signals that can't be caught end the copy as they end any program.
        let signals = if is_long { StopSignals::catch(meter).ok() } else { None };
        let says = Says::from_arguments(&self.arguments);
        let console = Console::new(&called.program, says, meter, signals.as_ref());
        let copy = || self.copy(meter, &console);
        let summary = if is_long && progress::is_wanted(self.arguments.progress) {
            let (sources, when) = (&self.operands.sources, self.arguments.progress);
            Progress::new(when, sources, self.scope(), meter, &console).during(copy)
        } else {
            copy()
        };
        if self.arguments.json {
            console.line(&tell::json_summary(&summary));
        }
        self.end(&summary, &console, signals.as_ref())
    }

    fn copy(&self, meter: &Meter, console: &Console<'_>) -> Summary {
        let Operands { sources, target, kind } = &self.operands;
        let target = match kind {
            TargetKind::Any => Target::Any(target),
            TargetKind::Folder => Target::Folder(target),
            TargetKind::Name => Target::Name(target),
        };
        self.options.copy_all(sources, target, meter, console)
    }

    /// Says what is left to say, and answers how it went.
    fn end(&self, summary: &Summary, console: &Console<'_>, signals: Option<&StopSignals>) -> ExitCode {
        let output_failure = console.output_failure();
        if let Some(error) = &output_failure {
            console.complain(format!("write error: {}", output::causes(error.root_cause())));
        }
        if let Some(signals) = signals
            && let Some(signal) = signals.caught()
        {
            let (files, bytes) = (summary.files, output::bytes_text(summary.bytes));
            let rest = if self.arguments.resume { "; --resume goes on from here" } else { "" };
            console.complain(format!("stopped: {files} files and {bytes} were copied{rest}"));
            signal.end_program();
        }
        if summary.failed > 0 || output_failure.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Whether it may take so long that it pays to show progress, and to end in order when asked to.
    fn is_long(&self) -> bool {
        let sources = &self.operands.sources;
        self.arguments.recursive
            || self.arguments.progress == words::When::Always
            || self.arguments.io_limit.is_some()
            || sources.len() >= MANY_FROM
            || sources.iter().map(|source| len(source)).fold(0, u64::saturating_add) >= LONG_FROM
    }

    fn scope(&self) -> Scope {
        let default = if self.arguments.recursive { Follow::Never } else { Follow::Always };
        Scope {
            recursive: self.arguments.recursive,
            one_file_system: self.arguments.one_file_system,
            follow: self.arguments.follow.unwrap_or(default),
        }
    }
}

/// The length of a regular file. What can't be asked will be an error of the copy.
fn len(source: &Path) -> u64 {
    source.metadata().map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
}
