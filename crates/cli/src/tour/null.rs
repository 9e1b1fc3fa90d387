//! Step: a load from an address that nobody has mapped.
#![expect(unsafe_code, reason = "a load from NULL")]

use std::fs;

use rustix::process::Signal;

use super::measure::lowest_mapping;
use super::page::Page;
use super::raw::{load_from_null, report_faults};
use super::scene::Scene;
use super::{Part, Step};
use crate::output;

pub(super) const STEP: Step = Step { title: "Dereferencing NULL: the segmentation fault", run, parts: PARTS };
const PARTS: &[(&str, Part)] = &[("null", dereference)];
const SOURCE: &str = include_str!("null.rs");

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "An address is a number, and means something only if a page is mapped there. A process of its own loads the \
         byte at address 0, which C calls NULL. What the kernel tells it of its end, `report_faults` has it print:",
    );
    page.code(SOURCE, "dereference")?;
    page.code(include_str!("raw.rs"), "load_from_null")?;
    let end = scene.play("null")?.expect_fault(Signal::SEGV)?;
    page.output(format!("{}{}", end.output, end.how()));
    page.text(
        "The processor found no entry for that page in the page table and raised a page fault. The kernel looked for \
         a mapping that has the address, as `/proc/self/maps` lists them, and found none: nothing could be loaded, so \
         it sent the signal, whose default is to end the process.",
    );
    let lowest = fs::read_to_string("/proc/sys/vm/mmap_min_addr").ok().and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(lowest @ 1..) = lowest {
        page.text(format!(
            "That it is always so has a reason: Linux lets no ordinary program map below {lowest} \
             (`vm.mmap_min_addr`), so that a pointer that was never set is found out at its first use.",
        ));
    }
    page.remember("a segmentation fault is an address at which nothing is mapped, or not for this access.");
    Ok(())
}

fn dereference(_scene: &Scene) -> anyhow::Result<()> {
    report_faults()?;
    output::line(&format!("lowest mapping: {}", lowest_mapping()?))?;
    // SAFETY: the lowest mapping lies above it, and this process is there
    // to be killed.
    let byte = unsafe { load_from_null() };
    output::line(&format!("the byte at address 0 is {byte}"))
}
