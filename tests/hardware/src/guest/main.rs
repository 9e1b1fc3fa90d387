//! The first process of a guest, and its only one: makes the checks of its machine, and switches it off.

mod command;
mod counted;
mod edu;
mod framebuffer;
mod host;
mod machine;
mod models;
mod serial;
mod uio;

use std::ffi::CString;
use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, id};

use anyhow::{Context, Result};
use mapio_hardware::protocol::Line;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot};

use host::Host;

/// A check: does what it does, and answers what it has measured.
type Check = fn(&mut Host) -> Result<String>;

/// An error that says that a check could not be made.
#[derive(Debug)]
struct Impossible(String);

impl std::fmt::Display for Impossible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Impossible {}

fn main() -> ExitCode {
    if id() != 1 {
        eprintln!("guest: it is the first process of a machine, and switches it off; see tests/hardware/README.md");
        return ExitCode::from(2);
    }
    let mut host = Host::new();
    if let Err(error) = prepare() {
        host.say(&Line::Failed { name: "preparing".into(), reason: format!("{error:#}") });
    }
    for (name, check) in machine::CHECKS {
        let name = (*name).to_owned();
        let made = catch_unwind(AssertUnwindSafe(|| check(&mut host)));
        host.say(&match made {
            Ok(Ok(figures)) => Line::Passed { name, figures },
            Ok(Err(error)) if error.is::<Impossible>() => Line::Skipped { name, reason: format!("{error:#}") },
            Ok(Err(error)) => Line::Failed { name, reason: format!("{error:#}") },
            Err(_) => Line::Failed { name, reason: "it has panicked; the console's log has the reason".into() },
        });
    }
    host.say(&Line::End);
    // If it fails, this process ends, and the kernel panics, which ends the machine as well.
    let _ = reboot(RebootCommand::PowerOff);
    ExitCode::FAILURE
}

/// Mounts what the kernel tells about devices, and loads modules.
fn prepare() -> Result<()> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(kind, place, kind, MountFlags::empty(), None).with_context(|| format!("mounting {place}"))?;
    }
    let list = fs::read_to_string("/modules/list").context("reading the list of modules")?;
    for line in list.lines() {
        let (file, parameters) = line.split_once(' ').unwrap_or((line, ""));
        let module = File::open(format!("/modules/{file}")).with_context(|| format!("opening {file}"))?;
        let parameters = CString::new(parameters).context("a module's parameters")?;
        finit_module(&module, &parameters, 0).with_context(|| format!("loading {file}"))?;
    }
    Ok(())
}
