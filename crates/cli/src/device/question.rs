//! The question before hardware is changed.

use std::io::{self, BufRead, IsTerminal, Write as _};

use anyhow::Context;

use crate::output;

/// Whether hardware may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    Given,
    Withheld,
}

/// Asks on the terminal whether to do this to a device that is hardware; only a yes is one. Waits for the answer.
///
/// # Errors
/// If there is no terminal to ask on, and that of reading it.
pub(super) fn consent(device: &str, what: &str) -> anyhow::Result<Consent> {
    let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
    anyhow::ensure!(can_ask, "{device} is hardware, and nobody can be asked: --yes writes to it");
    let mut stderr = io::stderr().lock();
    // By one write, so that nothing comes between.
    let question = format!("mapio: {} [y/N] ", output::printable(what));
    stderr.write_all(question.as_bytes()).context("asking on the terminal")?;
    stderr.flush().context("asking on the terminal")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("reading standard input")?;
    let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
    Ok(if is_yes { Consent::Given } else { Consent::Withheld })
}
