//! Ctrl-C for processes that a test has started.

use std::process::{Child, Command};

use crate::peer::Peer;
use crate::sys;

/// A process that sends others what Ctrl-C on a terminal sends: SIGINT; on Windows `CTRL_C_EVENT`, which goes to all
/// processes of a console, so that whoever sends it has to leave its own for the other's.
#[derive(Debug)]
pub struct Interrupter(Peer);

impl Interrupter {
    /// Starts it. As [`Peer::start`], it is this test executable, so call it before anything else.
    ///
    /// # Panics
    /// The process could not be started.
    #[must_use]
    pub fn start(test: &str) -> Self {
        let serve = |request: &str| {
            let pid = request.parse().expect("the number of a process");
            sys::interrupt(pid).map_or_else(|error| error.to_string(), |()| String::from(DONE))
        };
        // In the group of those that it is to reach: Wine sends to the sender's alone.
        Self(Peer::start_prepared(test, serve, |_| {}))
    }

    /// Has a command that is started later get a console of its own where that is what makes it interruptible.
    pub fn prepare(command: &mut Command) -> &mut Command {
        sys::own_console(command);
        command
    }

    /// Sends Ctrl-C to a child whose command was [prepared](Self::prepare).
    ///
    /// # Panics
    /// It could not be sent.
    pub fn interrupt(&mut self, child: &Child) {
        assert_eq!(self.0.ask(&child.id().to_string()), DONE, "sending Ctrl-C to process {}", child.id());
    }
}

/// What the process answers that has sent it.
const DONE: &str = "done";
