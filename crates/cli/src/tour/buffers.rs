//! Step: a file copied by read(2) and write(2), with buffers from tiny to large.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::Duration;

use anyhow::Context;
use mapio_chart::{Axis, Lines};

use super::Step;
use super::mapped_copy::create;
use super::measure::{Cost, figure, milliseconds, rate};
use super::page::Page;
use super::scene::{FILE_BYTES, Scene};
use crate::bench::size_label;
use crate::output::whole;

pub(super) const STEP: Step = Step { title: "Reading and writing: what a buffer is for", run, parts: &[] };
const SOURCE: &str = include_str!("buffers.rs");

/// Buffers in bytes, the smallest first, and how often each is tried: the shortest time counts.
const BUFFERS: [(usize, u32); 8] =
    [(5, 1), (64, 2), (1 << 10, 5), (4 << 10, 9), (16 << 10, 9), (64 << 10, 9), (256 << 10, 9), (1 << 20, 9)];

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(format!(
        "A file of {FILE_BYTES} bytes is copied by a loop of `read` and `write`, with larger and larger buffers. Of \
         several tries, the shortest is shown; with 5 bytes there is one:"
    ));
    page.code(SOURCE, "copy")?;
    let mut costs = Vec::new();
    for (buffer_bytes, tries) in BUFFERS {
        costs.push((buffer_bytes, by_buffer(scene, buffer_bytes, tries)?));
    }
    anyhow::ensure!(fs::read(scene.path("copy"))? == fs::read(scene.file())?, "the copy differs from the file");
    page.table(["buffer", "calls", "ms", "ns a call", "MB/s"], costs.iter().map(|&(bytes, cost)| row(bytes, cost)));
    let points = |value: fn(&Cost) -> f64| costs.iter().map(|(bytes, cost)| (figure(*bytes), value(cost))).collect();
    let chart = Lines::new(
        "Copying by read and write",
        Axis::log_of_sizes("buffer in bytes").labels(size_label),
        Axis::log("time in ms"),
    );
    let chart = chart.line("the copy", points(|cost| cost.real.as_secs_f64() * 1000.0));
    let (_, first) = costs[0];
    let (best_bytes, best) = costs.iter().copied().min_by_key(|(_, cost)| cost.real).context("no buffers")?;
    let is_enough = |&&(_, cost): &&(usize, Cost)| cost.real.as_secs_f64() <= best.real.as_secs_f64() * 1.1;
    let (enough_bytes, _) = *costs.iter().find(is_enough).context("no buffers")?;
    let (largest_bytes, _) = *costs.last().context("no buffers")?;
    let enough = size(enough_bytes);
    let end = if enough_bytes < largest_bytes {
        format!("until a larger one than {enough} gains less than a tenth")
    } else {
        format!("and the largest tried, {enough}, is still faster")
    };
    page.text(format!(
        "With 5 bytes the time goes into entering and leaving the kernel, {} times; the bytes hardly matter. It takes \
         {:.0} times as long as the fastest. Twice the buffer is half the calls, so the speed grows with the buffer, \
         {end}. What takes the time then?",
        first.calls_text(),
        first.real.as_secs_f64() / best.real.as_secs_f64(),
    ));
    let buffer = size(best_bytes);
    let onto = onto_itself(scene, best_bytes)?;
    let memory = memory_twice(&fs::read(scene.file())?)?;
    let level = memory.as_secs_f64() * 1000.0;
    page.chart(chart.level("memory to memory, twice", level), "Both axes are logarithmic; lower is better.");
    page.table(
        ["the same bytes", "ms"],
        [
            ["copied twice from memory to memory".to_owned(), milliseconds(memory)],
            [format!("read and written by {buffer} onto the copy that is there"), milliseconds(onto)],
            [format!("read and written by {buffer} into a new file, as above"), milliseconds(best.real)],
        ],
    );
    let of_best = |time: Duration| format!("{:.0} %", time.as_secs_f64() * 100.0 / best.real.as_secs_f64());
    page.text(format!(
        "Each byte is copied twice: from the kernel's pages of the source, its page cache, into the buffer, and from \
         there into pages of the copy. The first row is that alone, {} of the time of the last. The second row adds \
         the calls, and that the kernel finds each page of both files: {} more. The last adds that the file is new, \
         and each of its pages has to be found in free memory and set up by the file system: {} more. No buffer \
         spares the copying, nor what the pages take. A file that is not in memory yet comes from the disk before all \
         that.",
        of_best(memory),
        of_best(onto.saturating_sub(memory)),
        of_best(best.real.saturating_sub(onto)),
    ));
    page.remember(format!(
        "entering the kernel costs the same for 5 bytes and for many: with {enough} at a time, the work on each page \
         of the file is what counts.",
    ));
    Ok(())
}

fn copy(mut from: File, mut to: File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let count = from.read(buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
    }
}

/// Copies the file with such a buffer into a new one, so many times, and answers the cheapest.
pub(super) fn by_buffer(scene: &Scene, buffer_bytes: usize, tries: u32) -> anyhow::Result<Cost> {
    let mut buffer = vec![1; buffer_bytes];
    Cost::least(tries, || {
        let (from, to) = (File::open(scene.file())?, create(&scene.path("copy"))?);
        Cost::of_success(|| Ok(copy(from, to, &mut buffer)?))
    })
}

/// How long it takes to write the file over its copy, whose pages are all there.
fn onto_itself(scene: &Scene, buffer_bytes: usize) -> anyhow::Result<Duration> {
    let mut buffer = vec![1; buffer_bytes];
    let cost = Cost::least(9, || {
        let (from, to) = (File::open(scene.file())?, File::options().write(true).open(scene.path("copy"))?);
        Cost::of_success(|| Ok(copy(from, to, &mut buffer)?))
    })?;
    Ok(cost.real)
}

/// How long it takes to copy the bytes from memory to memory and on to a third place, which all are there already.
fn memory_twice(bytes: &[u8]) -> anyhow::Result<Duration> {
    let (mut buffer, mut copy) = (bytes.to_vec(), bytes.to_vec());
    let cost = Cost::least(9, || {
        Cost::of_success(|| {
            buffer.copy_from_slice(black_box(bytes));
            copy.copy_from_slice(black_box(&buffer));
            black_box(&copy);
            Ok(())
        })
    })?;
    Ok(cost.real)
}

fn row(buffer_bytes: usize, cost: Cost) -> [String; 5] {
    let of_a_call = |calls: u64| format!("{:.0}", cost.real.as_secs_f64() * 1e9 / whole(calls));
    let a_call = cost.calls.map_or_else(|| "-".to_owned(), of_a_call);
    [size(buffer_bytes), cost.calls_text(), milliseconds(cost.real), a_call, rate(FILE_BYTES, cost.real)]
}

/// A size in bytes or, of whole ones, KiB and MiB.
fn size(bytes: usize) -> String {
    match bytes {
        mib if mib % (1 << 20) == 0 => format!("{} MiB", mib >> 20),
        kib if kib % (1 << 10) == 0 => format!("{} KiB", kib >> 10),
        bytes => format!("{bytes} B"),
    }
}
