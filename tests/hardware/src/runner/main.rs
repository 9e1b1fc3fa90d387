//! Starts machines in QEMU, lets a guest drive their devices by mapio-device, and counts the checks. See `HELP`.

mod build;
mod debian;
mod host;
mod initrd;
mod machine;
mod photograph;
mod qemu;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use host::Tally;
use machine::{MACHINES, Machine};

const HELP: &str = "\
Drives the devices of machines that QEMU makes, by mapio-device in guests.

Usage: cargo run -p mapio-hardware -- [MACHINE]... [--keep DIR]

MACHINE     x86_64 or aarch64; both, unless named
--keep DIR  keep the pictures of the screens there, as PNG

Kernels are Debian's, fetched by apt-get and kept below the target folder, where the console of each machine is logged
too. Without QEMU or kernels it says why, and skips. Exit status: 0 all checks passed, or were skipped; 1 some failed;
2 it could not be tried.";

/// What was asked for.
struct Arguments {
    machines: Vec<&'static Machine>,
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    let run = || -> Result<bool> {
        let Some(arguments) = arguments()? else {
            println!("{HELP}");
            return Ok(true);
        };
        run(&arguments)
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("mapio-hardware: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// `None` when help was asked for.
fn arguments() -> Result<Option<Arguments>> {
    let mut words = std::env::args().skip(1);
    let mut asked = Arguments { machines: Vec::new(), keep: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "-h" | "--help" => return Ok(None),
            "--keep" => asked.keep = Some(words.next().context("--keep needs a folder")?.into()),
            name => match MACHINES.iter().find(|machine| machine.name == name) {
                Some(machine) => asked.machines.push(machine),
                None => bail!("{name}: there is no such machine or option; see --help"),
            },
        }
    }
    if asked.machines.is_empty() {
        asked.machines.extend(&MACHINES);
    }
    Ok(Some(asked))
}

/// Runs the machines one after the other; whether nothing has failed.
fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(folder) = &arguments.keep {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let target = build::target_folder()?;
    let mut all_passed = true;
    for machine in &arguments.machines {
        let tally = run_machine(machine, &target, arguments)?;
        println!("{tally}");
        all_passed &= tally.failed == 0;
    }
    Ok(all_passed)
}

/// Prepares a machine, runs it and counts. What is not to be had on this computer is skipped.
fn run_machine(machine: &'static Machine, target: &Path, arguments: &Arguments) -> Result<Tally> {
    let start = Instant::now();
    println!("\nmachine {}: {}", machine.name, machine.text);
    let folder = target.join("hardware").join(machine.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut tally = Tally::default();
    if let Err(error) = qemu::version(machine) {
        tally.skip(machine.name, &format!("{error:#}; apt-get install {}", machine.qemu_package));
        return Ok(tally);
    }
    if let Err(error) = debian::fetch(machine, &folder) {
        tally.skip(machine.name, &format!("no kernel: {error:#}"));
        return Ok(tally);
    }
    let kernel = debian::kernel(machine, &folder)?;
    let programs = match build::programs(machine, target)? {
        Ok(programs) => programs,
        Err(reason) => {
            tally.skip(machine.name, &reason);
            return Ok(tally);
        }
    };
    let initrd = initrd::write(&folder, &kernel, &programs)?;
    println!("  prepared in {:.1} s", start.elapsed().as_secs_f64());
    let mut guest = qemu::Guest::start(machine, &folder, &kernel.image, &initrd)?;
    host::attend(&mut guest, &mut tally, arguments.keep.as_deref())?;
    println!("  {} took {:.1} s", machine.name, start.elapsed().as_secs_f64());
    Ok(tally)
}
