//! Step: a file copied through two mappings.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::mm::ProtFlags;
use serde::{Deserialize, Serialize};

use super::measure::{Cost, mapping_at, milliseconds};
use super::page::Page;
use super::raw::{Mapped, READ_WRITE, map, memcpy, report_faults};
use super::scene::{FILE_BYTES, Scene};
use super::{Part, Step};
use crate::output;

pub(super) const STEP: Step = Step { title: "Copying by two mappings and memcpy", run, parts: PARTS };
const PARTS: &[(&str, Part)] = &[("mapped-copy", copy_in_part)];
const SOURCE: &str = include_str!("mapped_copy.rs");

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "So the destination is given its length before it is mapped. In one way, a seek to its end and a byte there:",
    );
    page.code(SOURCE, "lengthen")?;
    page.text("In the other, which also has the file system set aside the space, or say now that there is none:");
    page.code(SOURCE, "allocate")?;
    page.text("Then both files are memory, and a copy of memory copies the file:");
    page.code(SOURCE, "copy")?;
    page.code(include_str!("raw.rs"), "map")?;
    page.code(include_str!("raw.rs"), "memcpy")?;
    let mut rows = Vec::new();
    for (name, way) in WAYS {
        let to = create(&scene.path("mapped-copy"))?;
        match way(&to, u64::try_from(FILE_BYTES)?) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                page.missing(format!("{name}: {}", output::without_number(&error.to_string())));
                continue;
            }
            lengthened => lengthened.context(name)?,
        }
        let set_aside = to.metadata()?.blocks() * 512;
        // In a process of its own: if the disk is full, a store into a hole kills it.
        let told = scene.play("mapped-copy")?.expect_done().context(name)?;
        let copied: Copied = serde_json::from_str(&told).with_context(|| format!("'{told}'"))?;
        if rows.is_empty() {
            page.output(copied.mappings);
        }
        let [calls, faults, ms] = copied.cost;
        rows.push([name.to_owned(), set_aside.to_string(), calls, faults, ms]);
    }
    if !rows.is_empty() {
        page.table(["way", "bytes set aside", "reads, writes", "page faults", "ms"], rows);
        page.text(
            "The two lines are the kernel's list of what the process had mapped: `r--s` may be read, `rw-s` also \
             written, and `s` is shared with all who use the file. Between `mmap` and `munmap` there is no system \
             call: the page faults of the memory copy brought in what it needed, page by page. Behind `lseek` the \
             file is a hole, and what has no space on the disk shows as a bus error in the middle of `memcpy`; behind \
             `fallocate` it shows before anything is copied.",
        );
    }
    page.remember("length first, then map; and space first, if a full disk is to be an error and not a signal.");
    Ok(())
}

const WAYS: [(&str, Way); 2] = [("lseek, write", lengthen), ("fallocate", allocate)];

/// A way to make a destination as long as it has to be.
type Way = fn(&File, u64) -> io::Result<()>;

fn lengthen(file: &File, bytes: u64) -> io::Result<()> {
    rustix::fs::seek(file, SeekFrom::Start(bytes - 1))?;
    rustix::io::write(file, &[0])?;
    Ok(())
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes)?;
    Ok(())
}

/// Answers the two mappings, the source's first.
fn copy(source: &File, to: &File, len: usize) -> io::Result<[Mapped; 2]> {
    let source = map(source, len, ProtFlags::READ)?;
    let to = map(to, len, READ_WRITE)?;
    memcpy(&to, &source);
    Ok([source, to])
}

/// What a process that has copied the file tells.
#[derive(Debug, Serialize, Deserialize)]
struct Copied {
    /// The lines of the two mappings in /proc/self/maps.
    mappings: String,
    /// Reads and writes, page faults, and milliseconds, as they are shown.
    cost: [String; 3],
}

/// Copies the file to the destination, which is there and has its length.
fn copy_in_part(scene: &Scene) -> anyhow::Result<()> {
    report_faults()?;
    let (source, path) = (File::open(scene.file())?, scene.path("mapped-copy"));
    let to = File::options().read(true).write(true).open(&path)?;
    let (mappings, cost) = Cost::of(|| copy(&source, &to, FILE_BYTES))?;
    let [source, to] = mappings?;
    anyhow::ensure!(fs::read(path)? == fs::read(scene.file())?, "the copy differs from the file");
    let mappings = format!("{}\n{}", mapping_at(source.addr())?, mapping_at(to.addr())?);
    let cost = [cost.calls_text(), cost.faults().to_string(), milliseconds(cost.real)];
    output::line(&serde_json::to_string(&Copied { mappings, cost })?)
}

/// A new file, or the one that is there without its bytes.
pub(super) fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).open(path)
}
