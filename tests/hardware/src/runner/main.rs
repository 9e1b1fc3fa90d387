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
use std::thread;
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

/// A machine that is ready to run.
struct Prepared {
    machine: &'static Machine,
    folder: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

/// Prepares the machines one after the other and runs them side by side; whether nothing has failed.
fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(folder) = &arguments.keep {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let target = build::target_folder()?;
    let start = Instant::now();
    let prepared = arguments.machines.iter().map(|machine| prepare(machine, &target)).collect::<Result<Vec<_>>>()?;
    println!("prepared in {:.1} s", start.elapsed().as_secs_f64());
    let tallies = thread::scope(|scope| {
        let run = |ready| scope.spawn(|| run_machine(ready, arguments.keep.as_deref()));
        let running = prepared.into_iter().map(|ready| ready.map(run)).collect::<Vec<_>>();
        let tallies = running.into_iter().map(|running| match running {
            Ok(thread) => thread.join().unwrap_or_else(|_| bail!("the program has a mistake")),
            Err(skipped) => Ok(skipped),
        });
        tallies.collect::<Result<Vec<_>>>()
    })?;
    for (machine, tally) in arguments.machines.iter().zip(&tallies) {
        println!("\nmachine {}: {}\n{tally}", machine.name, machine.text);
    }
    println!("all in {:.1} s", start.elapsed().as_secs_f64());
    Ok(tallies.iter().all(|tally| tally.failed == 0))
}

/// Fetches and builds what a machine needs. What is not to be had on this computer is skipped: the inner error.
fn prepare(machine: &'static Machine, target: &Path) -> Result<Result<Prepared, Tally>> {
    let folder = target.join("hardware").join(machine.name);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let skipped = |reason: String| {
        let mut tally = Tally::default();
        tally.skip(machine.name, &reason);
        Ok(Err(tally))
    };
    if let Err(error) = qemu::version(machine) {
        return skipped(format!("{error:#}; apt-get install {}", machine.qemu_package));
    }
    if let Err(error) = debian::fetch(machine, &folder) {
        return skipped(format!("no kernel: {error:#}"));
    }
    let kernel = debian::kernel(machine, &folder)?;
    let programs = match build::programs(machine, target)? {
        Ok(programs) => programs,
        Err(reason) => return skipped(reason),
    };
    let initrd = initrd::write(&folder, &kernel, &programs)?;
    Ok(Ok(Prepared { machine, folder, kernel: kernel.image, initrd }))
}

/// Runs a machine, and counts its checks.
fn run_machine(ready: Prepared, keep: Option<&Path>) -> Result<Tally> {
    let start = Instant::now();
    let Prepared { machine, folder, kernel, initrd } = ready;
    let mut tally = Tally::default();
    let mut guest = qemu::Guest::start(machine, &folder, &kernel, &initrd)?;
    host::attend(&mut guest, &mut tally, keep)?;
    tally.note(format!("  it ran for {:.1} s", start.elapsed().as_secs_f64()));
    Ok(tally)
}
