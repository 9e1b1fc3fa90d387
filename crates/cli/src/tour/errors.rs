//! Step: the same faults through mapio, which makes errors of them.

use std::fmt::Write;
use std::fs::File;
use std::process;

use anyhow::Context;
use mapio_map::{Fault, MapOptions, Mapping};

use super::page::Page;
use super::scene::{FILE_BYTES, Scene};
use super::small_disk::mount_small_disk;
use super::{Part, Step};
use crate::output;

pub(super) const STEP: Step = Step { title: "What mapio adds: the same faults as errors", run, parts: PARTS };
const PARTS: &[(&str, Part)] = &[("full-guarded", fill_small_disk)];
const SOURCE: &str = include_str!("errors.rs");

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(format!(
        "What would have been a fault, through a `View` of mapio, and in this very process, number {}, which goes on \
         behind each. The first is found by the check of bounds, before any access; the others are signals that were \
         caught:",
        process::id()
    ));
    let mut lines = String::new();
    for (name, case) in CASES {
        page.code(SOURCE, name)?;
        let fault = case(scene).context(name)?.err().with_context(|| format!("{name}: no fault"))?;
        // The access, and in a line of its own what was wrong with it.
        writeln!(lines, "{name}: {}", fault.to_string().replace(": ", ":\n    "))?;
    }
    page.output(lines);
    page.text("And the full disk of step 3, again in a process that has one, which ends in order:");
    page.code(SOURCE, "fill_small_disk")?;
    let end = scene.play("full-guarded")?;
    match end.complaint() {
        Some(reason) => page.missing(reason),
        None => page.output(format!("{}{}", end.output, end.how())),
    }
    page.text(
        "Each load and store of a `View` is one instruction, after a check of its bounds, and its address stands in a \
         table. When a fault comes, the handler of mapio looks there: for one of its own it goes on where the error \
         is made, and any other fault it passes on, so that a wild pointer still ends the program.",
    );
    page.remember("with mapio a fault at a mapped file is an `Err` at the access that met it, in safe Rust.");
    Ok(())
}

const CASES: [(&str, Case); 4] =
    [("outside", outside), ("empty", empty), ("cut_short", cut_short), ("read_only", read_only)];

/// An access that is to fail.
type Case = fn(&Scene) -> anyhow::Result<Result<(), Fault>>;

fn outside(scene: &Scene) -> anyhow::Result<Result<(), Fault>> {
    let mapping = MapOptions::read_only().open(scene.file())?;
    Ok(mapping.view().load::<u8>(FILE_BYTES).map(drop))
}

fn empty(scene: &Scene) -> anyhow::Result<Result<(), Fault>> {
    let mapping = map_new(scene, 0)?;
    Ok(mapping.view().store(0, b'x'))
}

fn cut_short(scene: &Scene) -> anyhow::Result<Result<(), Fault>> {
    let mapping = map_new(scene, FILE_BYTES)?;
    mapping.view().load::<u8>(FILE_BYTES - 1)?;
    File::options().write(true).open(scene.path("cut"))?.set_len(5)?;
    Ok(mapping.view().load::<u8>(FILE_BYTES - 1).map(drop))
}

fn read_only(scene: &Scene) -> anyhow::Result<Result<(), Fault>> {
    let mapping = MapOptions::read_only().open(scene.file())?;
    Ok(mapping.view().store(0, b'x'))
}

/// Maps 2 MiB of a new file that has so many bytes.
fn map_new(scene: &Scene, bytes: usize) -> anyhow::Result<Mapping> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true).open(scene.path("cut"))?;
    file.set_len(u64::try_from(bytes)?)?;
    Ok(MapOptions::read_write().len(FILE_BYTES).map(&file)?)
}

fn fill_small_disk(scene: &Scene) -> anyhow::Result<()> {
    let disk = mount_small_disk(scene)?;
    let mut options = File::options();
    let new = options.read(true).write(true).create_new(true);
    let file = new.open(disk.join("hole"))?;
    file.set_len(u64::try_from(FILE_BYTES)?)?;
    let mapping = MapOptions::read_write().map(&file)?;
    for offset in (0..FILE_BYTES).step_by(4096) {
        if let Err(fault) = mapping.view().store(offset, b'x') {
            return output::line(&fault.to_string());
        }
    }
    anyhow::bail!("a disk of 64 KiB has taken 2 MiB")
}
