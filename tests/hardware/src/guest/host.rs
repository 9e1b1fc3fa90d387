//! The host, as the guest sees it: somebody at the other end of the console.

use std::io::{self, BufRead, Write};

use anyhow::{Context, Result, bail};
use mapio_hardware::protocol::{Line, Request};

/// The console.
pub(crate) struct Host(());

impl Host {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// Says something.
    pub(crate) fn say(&mut self, line: &Line) {
        // Who doesn't hear this hears nothing else; the host ends the machine.
        let _ = writeln!(io::stdout(), "{line}");
    }

    /// Has a line shown.
    pub(crate) fn note(&mut self, text: &str) {
        self.say(&Line::Note(text.into()));
    }

    /// Asks for something, and waits until it is done.
    pub(crate) fn ask(&mut self, request: Request) -> Result<()> {
        self.say(&Line::Ask(request));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).context("hearing the host")?;
        match answer.trim() {
            "ok" => Ok(()),
            reason => bail!("the host: {reason}"),
        }
    }

    /// Have these bytes come out of a wire, and no others since the last time?
    pub(crate) fn expect(&mut self, wire: &str, bytes: &[u8]) -> Result<()> {
        self.ask(Request::Expect { wire: wire.into(), bytes: bytes.into() })
    }

    /// Sends bytes into a wire.
    pub(crate) fn send(&mut self, wire: &str, bytes: &[u8]) -> Result<()> {
        self.ask(Request::Send { wire: wire.into(), bytes: bytes.into() })
    }

    /// Sends bytes into a wire, a few at a time, and goes on meanwhile.
    pub(crate) fn trickle(&mut self, wire: &str, bytes: &[u8]) -> Result<()> {
        self.ask(Request::Trickle { wire: wire.into(), bytes: bytes.into() })
    }
}
