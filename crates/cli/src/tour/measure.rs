//! What was seen: time, page faults and system calls of an operation, and the mappings of this process.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use mapio_map::Usage;

use crate::output::whole;

/// What an operation has cost the calling thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) real: Duration,
    /// Processor time and page faults.
    pub(super) used: Usage,
    /// System calls that read and write, as the kernel counts them (proc_pid_io(5)); `None` if it does not.
    pub(super) calls: Option<u64>,
}

impl Cost {
    /// Runs an operation and answers what it cost.
    pub(super) fn of<T>(operation: impl FnOnce() -> T) -> anyhow::Result<(T, Self)> {
        let calls_before = read_write_calls();
        let begin = Instant::now();
        let (result, used) = Usage::during(operation).context("asking for the page faults")?;
        let real = begin.elapsed();
        let calls = read_write_calls().zip(calls_before);
        // Of those that the kernel has counted in between, the first was for `calls_before` itself.
        let calls = calls.map(|(after, before)| after.saturating_sub(before).saturating_sub(1));
        Ok((result, Self { real, used, calls }))
    }

    /// The same for one that may fail.
    ///
    /// # Errors
    /// Its own.
    pub(super) fn of_success(operation: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (done, cost) = Self::of(operation)?;
        done.map(|()| cost)
    }

    /// The cheapest of several: what others do on the machine makes them dearer, and nothing makes them cheaper.
    ///
    /// # Errors
    /// The first one that there was.
    pub(super) fn least(tries: u32, mut one: impl FnMut() -> anyhow::Result<Self>) -> anyhow::Result<Self> {
        let mut least = one()?;
        for _ in 1..tries {
            let next = one()?;
            least = if next.real < least.real { next } else { least };
        }
        Ok(least)
    }

    /// Page faults of both kinds.
    pub(super) fn faults(&self) -> u64 {
        self.used.minor_faults + self.used.major_faults
    }

    /// The number of calls, or a `-`.
    pub(super) fn calls_text(&self) -> String {
        self.calls.map_or_else(|| "-".to_owned(), |calls| calls.to_string())
    }
}

/// System calls of this thread that have read or written so far.
fn read_write_calls() -> Option<u64> {
    // One read(2) has it all, and is counted once it is over.
    let mut text = [0; 512];
    let file = fs::File::open("/proc/thread-self/io").ok()?;
    let len = rustix::io::read(&file, &mut text).ok()?;
    let text = str::from_utf8(&text[..len]).ok()?;
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok();
    Some(value("syscr:")? + value("syscw:")?)
}

/// The line of /proc/self/maps for the mapping that has this address.
///
/// # Errors
/// There is none, or /proc can't be read.
pub(super) fn mapping_at(addr: usize) -> anyhow::Result<String> {
    let maps = fs::read_to_string("/proc/self/maps").context("reading /proc/self/maps")?;
    let has_it = |line: &&str| bounds(line).is_some_and(|(start, end)| (start..end).contains(&addr));
    let line = maps.lines().find(has_it);
    line.map(short).with_context(|| format!("no mapping has the address {addr:#x}"))
}

/// The first line of /proc/self/maps, which is sorted by address.
///
/// # Errors
/// /proc can't be read.
pub(super) fn lowest_mapping() -> anyhow::Result<String> {
    let maps = fs::read_to_string("/proc/self/maps").context("reading /proc/self/maps")?;
    maps.lines().next().map(short).context("/proc/self/maps is empty")
}

/// The addresses of a line: from the first one to the one behind the last.
fn bounds(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    usize::from_str_radix(start, 16).ok().zip(usize::from_str_radix(end, 16).ok())
}

/// Addresses, permissions and offset of a line, and of its path the name: what fits into a line.
fn short(line: &str) -> String {
    let mut fields = line.split_whitespace();
    let first: Vec<_> = fields.by_ref().take(3).collect();
    let path = fields.nth(2).unwrap_or("(anonymous)");
    format!("{} {}", first.join(" "), path.rsplit('/').next().unwrap_or(path))
}

/// A time in milliseconds.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

/// A number of bytes as one that can be drawn and divided by.
pub(super) fn figure(bytes: usize) -> f64 {
    u64::try_from(bytes).map_or(f64::INFINITY, whole)
}

/// A speed in MB/s, that is 10^6 bytes a second.
pub(super) fn rate(bytes: usize, time: Duration) -> String {
    let rate = figure(bytes) / 1e6 / time.as_secs_f64();
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn the_kernel_counts_reads_and_nothing_of_the_measuring() {
        let file = fs::File::open("/proc/self/exe").unwrap();
        for reads in [0, 1, 10] {
            let read = |_| Ok(file.read_exact_at(&mut [0; 16], 0)?);
            let cost = Cost::of_success(|| (0..reads).try_for_each(read)).unwrap();
            assert!(cost.calls.is_none_or(|calls| calls == reads), "{reads}: {cost:?}");
        }
    }

    #[test]
    fn a_mapping_is_found_by_its_address() {
        let here = 1u8;
        let line = mapping_at((&raw const here).addr()).unwrap();
        assert!(line.contains(" rw-p 00000000 "), "{line}");
        assert!(mapping_at(0).is_err());
        let line = "7f00-8f00 rw-s 00001000 fe:00 123   /a/b c";
        assert_eq!((bounds(line), short(line)), (Some((0x7f00, 0x8f00)), "7f00-8f00 rw-s 00001000 b".to_owned()));
    }
}
