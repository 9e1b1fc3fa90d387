//! Emulators, loop devices, and what accesses in storms have answered.

use std::collections::BTreeMap;
use std::fmt;

use mapio_map::{Fault, FaultKind};

/// A loop device on a file; detached when dropped. Needs root.
pub(crate) struct LoopDevice(std::path::PathBuf);

impl LoopDevice {
    pub(crate) fn attach(file: &std::path::Path) -> std::io::Result<Self> {
        let output = std::process::Command::new("losetup").args(["--find", "--show"]).arg(file).output()?;
        match output.status.success() {
            true => Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into())),
            false => Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // A failure must not hide the one of the test.
        let _ = std::process::Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

/// How many accesses were `Ok`, and how many an `Err` of which kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ok: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts an answer, and gives it back.
    pub(crate) fn count<T>(&mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        match &answer {
            Ok(_) => self.ok += 1,
            Err(fault) => *self.faults.entry(name(fault.kind)).or_default() += 1,
        }
        answer
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Ok", self.ok)?;
        for (kind, count) in &self.faults {
            write!(f, ", {count} Err({kind})")?;
        }
        write!(f, ", 0 deaths")
    }
}

fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Truncated { .. } => "Truncated",
        FaultKind::NoSpace => "NoSpace",
        FaultKind::Io(libc::EIO) => "Io(EIO)",
        FaultKind::Io(libc::ENOTCONN) => "Io(ENOTCONN)",
        FaultKind::Io(_) => "Io",
        _ => "another kind",
    }
}
