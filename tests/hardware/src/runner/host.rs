//! What the runner does while the guest runs: answers its requests, prints and counts its checks.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use mapio_hardware::protocol::{Line, Request};

use crate::photograph::Photograph;
use crate::qemu::Guest;

/// How many checks had which end, and what there is to tell of them: machines run side by side, and each one's lines belong
/// together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    skipped: u32,
    lines: Vec<String>,
}

impl Tally {
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        self.note(format!("skipped: {name}: {reason}"));
        self.skipped += 1;
    }

    /// Adds a line.
    pub(crate) fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    fn pass(&mut self, name: &str, figures: &str) {
        self.note(format!("  ok      {name}{}{figures}", if figures.is_empty() { "" } else { ": " }));
        self.passed += 1;
    }

    fn fail(&mut self, name: &str, reason: &str) {
        self.note(format!("  FAILED  {name}: {reason}"));
        self.failed += 1;
    }
}

impl fmt::Display for Tally {
    /// All lines, and the sum as cargo's tests have it, who count a skipped one as passed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        let result = if self.failed == 0 { "ok" } else { "FAILED" };
        let passed = self.passed + self.skipped;
        write!(f, "test result: {result}. {passed} passed; {} failed; {} of them skipped", self.failed, self.skipped)
    }
}

/// Attends to a guest until it has ended.
pub(crate) fn attend(guest: &mut Guest, tally: &mut Tally, keep: Option<&Path>) -> Result<()> {
    let start = Instant::now();
    let mut photograph = None;
    let mut has_ended = false;
    let mut has_begun = false;
    while let Some(line) = guest.line()? {
        let said = Line::parse(&line);
        if said.is_some() && !has_begun {
            tally.note(format!("  the guest has started after {:.1} s", start.elapsed().as_secs_f64()));
            has_begun = true;
        }
        match said {
            Some(Line::Passed { name, figures }) => tally.pass(&name, &figures),
            Some(Line::Failed { name, reason }) => tally.fail(&name, &reason),
            Some(Line::Skipped { name, reason }) => tally.skip(&name, &reason),
            Some(Line::Note(text)) => tally.note(format!("          {text}")),
            Some(Line::Ask(request)) => {
                let done = serve(guest, &request, &mut photograph, keep);
                guest.answer(&done.map_or_else(|error| format!("{error:#}").replace('\n', "; "), |()| "ok".into()))?;
            }
            Some(Line::End) => has_ended = true,
            // Chatter; it is in the log.
            None => {}
        }
    }
    if !has_ended {
        tally.fail("the guest's end", &format!("it has stopped in the middle{}", guest.end_of_logs()));
    }
    for (name, bytes) in guest.left_over() {
        tally
            .fail(name, &format!("{} bytes came that nobody asked about, the first is {:#04x}", bytes.len(), bytes[0]));
    }
    Ok(())
}

/// Does what the guest asks for.
fn serve(guest: &mut Guest, request: &Request, photograph: &mut Option<Photograph>, keep: Option<&Path>) -> Result<()> {
    let taken = |photograph: &Option<Photograph>| {
        photograph.clone().ok_or_else(|| anyhow::anyhow!("no picture was taken before"))
    };
    match request {
        Request::Send { wire, bytes } => guest.wire(wire)?.send(bytes),
        Request::Trickle { wire, bytes } => guest.wire(wire)?.trickle(bytes.clone()),
        Request::Expect { wire, bytes } => {
            let received = guest.wire(wire)?.take(bytes.len());
            ensure!(received == *bytes, "{wire}: received {:?}", String::from_utf8_lossy(&received));
            Ok(())
        }
        Request::Photograph { name } => {
            let png = keep.map(|folder| folder.join(format!("{}-{name}.png", guest.name)));
            *photograph = Some(Photograph::read(&guest.photograph(png.as_deref())?)?);
            Ok(())
        }
        Request::CompareText { cells, font } => taken(photograph)?.compare_text(cells, font),
        Request::ComparePicture => taken(photograph)?.compare_picture(),
    }
}
