//! Step: reading and writing beside mapping: the theory, and what is measured.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use mapio_chart::{Axis, Bars};
use mapio_map::{Access, Fault, MapOptions, View};

use super::Step;
use super::buffers::by_buffer;
use super::mapped_copy::create;
use super::measure::{Cost, milliseconds};
use super::page::Page;
use super::scene::{FILE_BYTES, Scene};
use crate::output::whole;

pub(super) const STEP: Step = Step { title: "Reading and writing against mapping", run, parts: &[] };
const SOURCE: &str = include_str!("side_by_side.rs");

/// Buffer of the copy by calls.
const BUFFER_BYTES: usize = 64 << 10;
/// Numbers that are read here and there.
const READS: usize = 20_000;
/// Times that each way is tried: the shortest counts.
const TRIES: u32 = 9;

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(format!(
        "In theory mapping is the faster copy: it spares nearly all system calls, and one of the two copies of each \
         byte, as there is no buffer between the page cache and the page cache. The same file, by both, the shortest \
         of {TRIES} tries:",
    ));
    let calls = by_buffer(scene, BUFFER_BYTES, TRIES)?;
    let mapped = whole_file(scene, copy_mapped)?;
    let populated = whole_file(scene, copy_populated)?;
    let text = |value: fn(&Cost) -> String| [&calls, &mapped, &populated].map(value);
    let row = |name: &str, [a, b, c]: [String; 3]| [name.to_owned(), a, b, c];
    page.table(
        ["copying all of it", "read/write, 64 KiB", "two mappings", "populated"],
        [
            row("copies of a byte", ["2", "1", "1"].map(str::to_owned)),
            row("reads and writes", text(Cost::calls_text)),
            row("page faults", text(|cost| cost.faults().to_string())),
            row("ms", text(|cost| milliseconds(cost.real))),
        ],
    );
    let bars = Bars::stacked("Copying the whole file", Axis::linear("time in ms"), ["ms"]);
    let named = [("read/write, 64 KiB", calls), ("two mappings", mapped), ("populated", populated)];
    let bar = |bars: Bars, (name, cost): (&str, Cost)| bars.row(name, vec![cost.real.as_secs_f64() * 1000.0]);
    page.chart(named.into_iter().fold(bars, bar), "Shorter is better.");
    let (slower, faster, winner) =
        if mapped.real > calls.real { (mapped, calls, "reading and writing") } else { (calls, mapped, "mapping") };
    page.text(format!(
        "Measured here, {winner} is {:.1} times as fast. What mapping pays for are page faults: {} of them, most of \
         them first stores to a page. Such a store enters the kernel, too, which finds a page for the new file, has \
         the file system set it up, and enters it into the page table; `write` does {} pages by one call. All of the \
         mapped copy, divided by its faults, is {:.0} ns: that has `mmap`, `munmap` and the copying of the bytes in \
         it. `populated` has all pages brought in by two calls of `madvise` before the copy: the kernel counts its \
         work on each page as a fault all the same, and that work stays.",
        slower.real.as_secs_f64() / faster.real.as_secs_f64(),
        mapped.faults(),
        BUFFER_BYTES / mapio_map::page_bytes(),
        mapped.real.as_secs_f64() * 1e9 / whole(mapped.faults().max(1)),
    ));
    page.text(format!("Where a file is read here and there, a page is mapped once and used often. {READS} numbers:"));
    page.code(SOURCE, "sum_by_calls")?;
    page.code(SOURCE, "sum_by_loads")?;
    let (by_calls, by_loads) = here_and_there(scene)?;
    page.table(
        ["8 bytes at a time", "pread", "loads"],
        [
            ["system calls".to_owned(), by_calls.calls_text(), by_loads.calls_text()],
            ["page faults".to_owned(), by_calls.faults().to_string(), by_loads.faults().to_string()],
            ["ms".to_owned(), milliseconds(by_calls.real), milliseconds(by_loads.real)],
        ],
    );
    page.remember(
        "mapping exchanges system calls for page faults: it gains where a page is used often, not where it \
         is used once.",
    );
    Ok(())
}

/// Copies the file by two mappings in this way, several times, and answers the cheapest.
fn whole_file(scene: &Scene, way: fn(&File, &File) -> anyhow::Result<()>) -> anyhow::Result<Cost> {
    let once = || {
        let (from, to) = (File::open(scene.file())?, create(&scene.path("copy"))?);
        to.set_len(u64::try_from(FILE_BYTES)?)?;
        Cost::of_success(|| way(&from, &to))
    };
    // The first one also does what is done once in a process.
    once()?;
    let cost = Cost::least(TRIES, once)?;
    anyhow::ensure!(fs::read(scene.path("copy"))? == fs::read(scene.file())?, "the copy differs from the file");
    Ok(cost)
}

/// As the step before this one does, but by views: if the disk is full, that is an error.
fn copy_mapped(from: &File, to: &File) -> anyhow::Result<()> {
    let (from, to) = (MapOptions::read_only().map(from)?, MapOptions::read_write().map(to)?);
    from.view().copy_to(&to.view())?;
    Ok(())
}

/// The same, with all pages entered into the page table before.
fn copy_populated(from: &File, to: &File) -> anyhow::Result<()> {
    let (from, to) = (MapOptions::read_only().map(from)?, MapOptions::read_write().map(to)?);
    from.view().populate(Access::Read)?;
    to.view().populate(Access::Write)?;
    from.view().copy_to(&to.view())?;
    Ok(())
}

/// Reads numbers here and there, by calls and by loads.
fn here_and_there(scene: &Scene) -> anyhow::Result<(Cost, Cost)> {
    let file = File::open(scene.file())?;
    let mapping = MapOptions::read_only().map(&file)?;
    // A step that has no factor in common with the file's length goes everywhere, and is far enough to leave the page.
    let offsets: Vec<_> = (0..READS).map(|at| at * 99_991 % (FILE_BYTES - 8)).collect();
    let file_offsets = offsets.iter().map(|&at| u64::try_from(at)).collect::<Result<Vec<_>, _>>()?;
    let mut sums = [0u64; 2];
    let by_calls = Cost::least(TRIES, || {
        Cost::of_success(|| {
            sums[0] = sum_by_calls(&file, &file_offsets)?;
            Ok(())
        })
    })?;
    let by_loads = Cost::of_success(|| {
        sums[1] = sum_by_loads(mapping.view(), &offsets)?;
        Ok(())
    })?;
    anyhow::ensure!(sums[0] == sums[1], "the sums differ: {sums:?}");
    Ok((by_calls, by_loads))
}

fn sum_by_calls(file: &File, offsets: &[u64]) -> io::Result<u64> {
    let mut sum = 0u64;
    for &offset in offsets {
        let mut number = [0; 8];
        file.read_exact_at(&mut number, offset)?;
        sum = sum.wrapping_add(u64::from_ne_bytes(number));
    }
    Ok(sum)
}

fn sum_by_loads(view: View<'_>, offsets: &[usize]) -> Result<u64, Fault> {
    let mut sum = 0u64;
    for &offset in offsets {
        sum = sum.wrapping_add(view.load(offset)?);
    }
    Ok(sum)
}
