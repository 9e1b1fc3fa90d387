//! The conversation of a copy: what it tells, what it asks, and in which words.
//!
//! A copy has several threads, and each of them may have something to say: every message is one write, under a lock,
//! so that no two share a line.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use mapio_copy::{Error, Event, Meter, Observer, Question, Quoted, Report};

use super::arguments::{Arguments, Asking};
use super::tell;
use crate::interrupt::StopSignals;
use crate::{output, sys};

/// What is told besides errors.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Says {
    /// Each name before it is copied.
    names: bool,
    /// Names one after the other, since each may be asked about.
    in_order: bool,
    /// How each file was copied, in cp's words.
    debug: bool,
    /// Why each file was copied as it was.
    explain: bool,
    /// What each file's copy has done, for programs.
    json: bool,
    /// What it has done, in a line for people.
    report: bool,
}

impl Says {
    pub(super) fn from_arguments(arguments: &Arguments) -> Self {
        Self {
            names: arguments.verbose || arguments.debug,
            in_order: arguments.asking == Asking::Ask,
            debug: arguments.debug,
            explain: arguments.explain,
            json: arguments.json,
            report: arguments.verify && !arguments.json,
        }
    }

    fn anything(self) -> bool {
        self.names || self.debug || self.explain || self.json || self.report
    }
}

/// Where a copy speaks and listens.
pub(super) struct Console<'a> {
    /// The name that messages begin with.
    program: &'a str,
    says: Says,
    meter: &'a Meter,
    /// What wakes it from waiting for an answer, if anything but the default can.
    signals: Option<&'a StopSignals>,
    talk: Mutex<Talk>,
}

/// What only one thread may have at a time.
#[derive(Default)]
struct Talk {
    /// Why standard output can't be written to; nothing more is written then.
    output_failed: Option<anyhow::Error>,
    /// What was read of the answers, and not yet used.
    input: Vec<u8>,
    /// The bar that has to make room for every line.
    bar: Option<ProgressBar>,
}

impl<'a> Console<'a> {
    pub(super) fn new(program: &'a str, says: Says, meter: &'a Meter, signals: Option<&'a StopSignals>) -> Self {
        Self { program, says, meter, signals, talk: Mutex::default() }
    }

    /// Makes every line go above this bar.
    pub(super) fn show_above(&self, bar: ProgressBar) {
        self.talk().bar = Some(bar);
    }

    /// Prints a line to standard output.
    pub(super) fn line(&self, text: &str) {
        let mut talk = self.talk();
        if talk.output_failed.is_none() {
            let print = || output::print(&format!("{text}\n"));
            let printed = talk.bar.as_ref().map_or_else(print, |bar| bar.suspend(print));
            talk.output_failed = printed.err();
        }
    }

    /// Prints a message to standard error, after the program's name.
    pub(super) fn complain(&self, text: impl fmt::Display) {
        let talk = self.talk();
        let print = || output::complain_as(self.program, text);
        match talk.bar.as_ref() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Why some of what was to be told was not.
    pub(super) fn output_failure(&self) -> Option<anyhow::Error> {
        self.talk().output_failed.take()
    }

    fn copied(&self, report: &Report) {
        if self.says.report {
            self.line(&tell::report(report));
        }
        if self.says.debug {
            self.line(&tell::debug(report));
        }
        if self.says.explain {
            self.line(&tell::explanation(report));
        }
        if self.says.json {
            self.line(&tell::json(report));
        }
    }

    /// Reads an answer: whether it begins like `yes`. No answer is no.
    fn answer(&self, talk: &mut Talk) -> bool {
        let line_end = loop {
            if let Some(end) = talk.input.iter().position(|&byte| byte == b'\n') {
                break end + 1;
            }
            if self.signals.is_some_and(|signals| !signals.wait_for_input(self.meter)) {
                // What is said next has a line of its own.
                output::complain_plain("");
                return false;
            }
            let mut bytes = [0; 1024];
            match sys::read_input(&mut bytes) {
                Ok(count) if count > 0 => talk.input.extend(&bytes[..count]),
                // The end of the input, or no input at all.
                _ => break talk.input.len(),
            }
        };
        let line: Vec<u8> = talk.input.drain(..line_end).collect();
        give_back(&mut talk.input);
        matches!(line.first(), Some(b'y' | b'Y'))
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        // What a thread that panicked has left is still true.
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Console<'_> {
    fn wants_every_name(&self) -> bool {
        self.says.anything()
    }

    fn wants_order(&self) -> bool {
        self.says.in_order
    }

    fn event(&self, event: Event<'_>) {
        match event {
            Event::Begun { source, destination, backup } if self.says.names => {
                self.line(&tell::names(source, destination, backup));
            }
            Event::ParentMade { source, destination } if self.says.names => {
                self.line(&output::printable(&format!("{} -> {}", source.display(), destination.display())));
            }
            Event::Removed(path) if self.says.names => self.line(&format!("removed {}", Quoted(path))),
            Event::Kept(path) if self.says.debug => self.line(&format!("skipped {}", Quoted(path))),
            Event::Repeated { source, is_folder } => {
                let what = if is_folder { "directory" } else { "file" };
                self.complain(format!("warning: source {what} {} specified more than once", Quoted(source)));
            }
            Event::Copied(report) => self.copied(report),
            _ => {}
        }
    }

    fn failed(&self, error: Error) {
        // That it was stopped is told once, at the end.
        if !matches!(error, Error::Cancelled { .. }) {
            self.complain(output::causes(&error));
        }
    }

    fn ask(&self, question: Question<'_>) -> bool {
        let mut talk = self.talk();
        let text = format!("{}: {} ", self.program, question_text(question));
        let print = || {
            // Who can't see the question answers it all the same.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        };
        match talk.bar.clone() {
            Some(bar) => bar.suspend(|| {
                print();
                self.answer(&mut talk)
            }),
            None => {
                print();
                self.answer(&mut talk)
            }
        }
    }
}

/// Gives input that was read too far back to whoever reads it next, as cp's stdio does: another command of a script may.
fn give_back(input: &mut Vec<u8>) {
    let Ok(count) = i64::try_from(input.len()) else { return };
    // A pipe and a terminal take nothing back: what was read of them stays for the next question.
    if count > 0 && sys::give_back(count).is_ok() {
        input.clear();
    }
}

fn question_text(question: Question<'_>) -> String {
    let protected = |path: &Path, mode: u32| (Quoted(path).to_string(), mode & 0o7777, tell::permissions(mode));
    match question {
        Question::Overwrite(path) => format!("overwrite {}?", Quoted(path)),
        Question::OverwriteUnwritable { path, mode, replace: true } => {
            let (path, mode, letters) = protected(path, mode);
            format!("replace {path}, overriding mode {mode:04o} ({letters})?")
        }
        Question::OverwriteUnwritable { path, mode, replace: false } => {
            let (path, mode, letters) = protected(path, mode);
            format!("unwritable {path} (mode {mode:04o}, {letters}); try anyway?")
        }
        _ => "go on?".to_owned(),
    }
}
