//! Step: a mapping that reaches beyond what its file has.

use std::fs::File;

use rustix::process::Signal;

use super::measure::mapping_at;
use super::page::Page;
use super::raw::{READ_WRITE, map, report_faults, store};
use super::scene::{FILE_BYTES, Scene};
use super::small_disk::mount_small_disk;
use super::{Part, Step};
use crate::output;

pub(super) const STEP: Step = Step { title: "A destination without space: the bus error", run, parts: PARTS };
const PARTS: &[(&str, Part)] = &[("empty", store_to_empty), ("full", store_to_full)];
const SOURCE: &str = include_str!("no_space.rs");

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "To copy by mapping, one maps the destination and stores into it. But a new file has no bytes, and `mmap` \
         gives it none. A process of its own maps 2 MiB of an empty file, which succeeds, and stores one byte:",
    );
    page.code(SOURCE, "store_to_empty")?;
    page.code(include_str!("raw.rs"), "store")?;
    let end = scene.play("empty")?.expect_fault(Signal::BUS)?;
    page.output(format!("{}{}", end.output, end.how()));
    page.text(
        "This time the address lies in a mapping, so it is no segmentation fault. The kernel asked the file for the \
         page, and the file ends before it: there is nothing to put there, and the signal says so. The same happens \
         to a reader when somebody cuts the file short under its mapping, and when the disk fails.",
    );
    page.text(
        "And when the disk is full. A file with a length may have holes, which get their space when they are first \
         stored to, and an instruction can't answer \"no space left\". Here a file of 2 MiB, all of it a hole, lies \
         on a disk of 64 KiB (a `tmpfs`, mounted for that process alone), and a byte is stored to each of its pages:",
    );
    page.code(SOURCE, "store_to_full")?;
    let end = scene.play("full")?;
    match end.complaint() {
        Some(reason) => page.missing(reason),
        None => {
            let end = end.expect_fault(Signal::BUS)?;
            let (mapping, stores) = end.output.split_once('\n').unwrap_or((&end.output, ""));
            let (count, last) = (stores.lines().count(), stores.lines().last().unwrap_or_default());
            page.output(format!("{mapping}\n({count} lines, the last one:) {last}\n{}", end.how()));
        }
    }
    page.remember("a bus error is an address that is mapped, and has no byte behind it: mapping makes no space.");
    Ok(())
}

fn store_to_empty(scene: &Scene) -> anyhow::Result<()> {
    let mut options = File::options();
    let empty = options.read(true).write(true).create(true).truncate(true);
    let file = empty.open(scene.path("empty"))?;
    let mapped = map(&file, FILE_BYTES, READ_WRITE)?;
    output::line(&format!("mapped: {}", mapping_at(mapped.addr())?))?;
    report_faults()?;
    store(&mapped, 0, b'x');
    output::line("the byte was stored")
}

fn store_to_full(scene: &Scene) -> anyhow::Result<()> {
    let disk = mount_small_disk(scene)?;
    let mut options = File::options();
    let new = options.read(true).write(true).create_new(true);
    let file = new.open(disk.join("hole"))?;
    file.set_len(u64::try_from(FILE_BYTES)?)?;
    let mapped = map(&file, FILE_BYTES, READ_WRITE)?;
    output::line(&format!("mapped: {}", mapping_at(mapped.addr())?))?;
    report_faults()?;
    for offset in (0..FILE_BYTES).step_by(4096) {
        store(&mapped, offset, b'x');
        output::line(&format!("stored at {offset:#x}"))?;
    }
    Ok(())
}
