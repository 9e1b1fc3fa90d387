//! A second process that does what it is told, one line after the other.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::child::{is_child_of, start_again, started};
use crate::sys;

/// What the lines begin with that are answers; the test harness prints others.
const ANSWER: &str = "answer: ";

/// A child process that answers each line it is sent with a line; it ends when its `Peer` is dropped.
///
/// It also ends when this process dies, however that happens: the pipe that it reads from is closed then. A signal from
/// the terminal to all of a command does not reach it, so that it can always clean up.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// `None` once the child has been told to end.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `serve` in a new process; it gets each request and answers it. No line may hold a line break.
    ///
    /// As with [`in_child`](crate::in_child), the process is this test executable, started for this test alone, and
    /// `test` is the test's full name. The test's body runs there up to the first call of this function, which never
    /// returns: so call it before anything else, and hand over what the child needs in requests. When it is to end,
    /// `serve` is dropped.
    ///
    /// # Panics
    /// The process could not be started.
    pub fn start(test: &str, serve: impl FnMut(&str) -> String) -> Self {
        // A group of its own: see the type.
        Self::start_prepared(test, serve, sys::apart_from_the_terminal)
    }

    /// The same, with a command that was prepared otherwise.
    pub(crate) fn start_prepared(
        test: &str,
        serve: impl FnMut(&str) -> String,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        if is_child_of(test) {
            serve_all(serve);
        }
        let mut command = start_again(test);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = started(|| command.spawn()).expect("the test executable starts again");
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Self { child, requests, answers }
    }

    /// Sends a request, and waits for the answer.
    ///
    /// # Panics
    /// The process has ended: its body has panicked, or `test` is not the test's name.
    pub fn ask(&mut self, request: &str) -> String {
        self.try_ask(request).unwrap_or_else(|| panic!("the other process has ended instead of answering `{request}`"))
    }

    /// Sends a request, and waits for the answer; `None` if the process dies instead.
    pub fn try_ask(&mut self, request: &str) -> Option<String> {
        writeln!(self.requests.as_mut()?, "{request}").ok()?;
        self.hear()
    }

    /// Sends a request that is not answered, or whose answer is of no interest: nothing else may be asked then.
    ///
    /// # Panics
    /// The process has ended.
    pub fn tell(&mut self, request: &str) {
        let requests = self.requests.as_mut().expect("it was not told to end");
        writeln!(requests, "{request}").expect("the other process reads it");
    }

    /// The next answer; `None` if the process dies instead.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.answers.read_line(&mut line).ok()? > 0 {
            // Behind "test NAME ... ", when the harness has not ended its line.
            if let Some((_, answer)) = line.trim_end_matches('\n').split_once(ANSWER) {
                return Some(answer.to_owned());
            }
            line.clear();
        }
        None
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process as it stands, by SIGKILL or TerminateProcess, and waits until it is gone.
    ///
    /// # Panics
    /// It could not be waited for.
    pub fn kill(mut self) {
        self.kill_now();
    }

    /// Kills the process as [`kill`](Self::kill) does; answers what it had answered before, and nobody had read.
    ///
    /// # Panics
    /// It could not be waited for.
    pub fn kill_and_hear(mut self) -> Option<String> {
        self.kill_now();
        self.hear()
    }

    fn kill_now(&mut self) {
        self.child.kill().expect("it was not waited for");
        self.child.wait().expect("it was not waited for");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.requests = None;
        if std::thread::panicking() {
            // The test that has failed may have stopped it. This fails only as below.
            let _ = self.child.kill();
        }
        // It fails only for a process that was waited for already.
        let _ = self.child.wait();
    }
}

/// Answers every request on standard input, and ends the process with the last one.
fn serve_all(mut serve: impl FnMut(&str) -> String) -> ! {
    for request in io::stdin().lines() {
        let answer = serve(&request.expect("text"));
        // Nobody reads it any more: then there is no further request either.
        let _ = writeln!(io::stdout(), "{ANSWER}{answer}");
    }
    drop(serve);
    process::exit(0);
}
