//! A part of an open file, and its pages in the page cache: counting them, bringing them in, taking them out.
//!
//! A part is given in bytes and acts on the whole pages that hold them. A large file is mapped by stretches, one after
//! the other: mapping costs no memory, but asking which pages are in memory takes a byte for each page, so that is done
//! by windows, and only for those of which the page cache has something.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::Path;

use anyhow::Context;
use mapio_copy::open_regular;
use mapio_map::{Access, Advice, CacheCounts, Error, Fault, MapMode, MapOptions, Mapping, View, page_bytes};

use crate::output;
use crate::sys;

/// Bytes that are mapped at a time, where the address space has room: half a million steps for the largest file there
/// can be.
const STRETCH_BYTES: u64 = 1 << 44;
/// Bytes whose pages are asked for at a time, and that are mapped at a time where there is little room; a multiple of
/// any page.
pub(crate) const WINDOW_BYTES: usize = 1 << 30;
/// Bytes that are read in or locked at a time; in between, a signal can end it.
const STEP_BYTES: usize = 64 << 20;

/// A part of an open regular file.
pub(crate) struct Part<'a> {
    pub(crate) path: &'a Path,
    file: File,
    pub(crate) metadata: Metadata,
    /// The bytes asked for, as far as the file has them.
    pub(crate) bytes: Range<u64>,
}

/// What was found out about the pages of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Residency {
    /// The pages in memory, by number from the part's first page on; in order, with gaps between them.
    pub(crate) runs: Vec<Range<u64>>,
    /// What cachestat(2) says, where the kernel and the file system have it.
    pub(crate) counts: Option<CacheCounts>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Stop,
}

impl<'a> Part<'a> {
    /// Opens a file for what `mode` does, and looks at these bytes of it, as far as it has them.
    pub(crate) fn open(path: &'a Path, asked: &Range<u64>, mode: MapMode) -> anyhow::Result<Self> {
        let mut file = open_regular(path)?;
        let fails = |doing: &str| format!("{doing} '{}'", output::name(path));
        if mode == MapMode::ReadWrite {
            // Should it have become a pipe meanwhile, mapping it will be refused.
            file = sys::open_to_write(path).with_context(|| fails("opening for writing"))?;
        }
        let metadata = file.metadata().with_context(|| fails("reading the status of"))?;
        let bytes = asked.start.min(metadata.len())..asked.end.min(metadata.len());
        Ok(Self { path, file, metadata, bytes })
    }

    /// The pages that hold its bytes, by number in the file.
    fn pages(&self) -> Range<u64> {
        if self.bytes.is_empty() {
            return 0..0;
        }
        self.bytes.start / page_size()..self.bytes.end.div_ceil(page_size())
    }

    /// How many pages hold its bytes.
    pub(crate) fn page_count(&self) -> u64 {
        self.pages().end - self.pages().start
    }

    /// The bytes of the part that a run of its pages holds, by offset in the file.
    pub(crate) fn bytes_of(&self, run: &Range<u64>) -> Range<u64> {
        let first = self.pages().start;
        let at = |page: u64| ((first + page) * page_size()).clamp(self.bytes.start, self.bytes.end);
        at(run.start)..at(run.end)
    }

    /// Maps the pages by stretches of this many bytes at most, and does something with each of them.
    pub(crate) fn by_stretches(
        &self,
        mode: MapMode,
        at_most: u64,
        mut act: impl FnMut(Mapping) -> anyhow::Result<Next>,
    ) -> anyhow::Result<()> {
        let mut at_most = usize::try_from(at_most).unwrap_or(WINDOW_BYTES);
        let pages = self.pages();
        let (mut at, end) = (pages.start * page_size(), pages.end * page_size());
        while at < end {
            let len = usize::try_from(end - at).map_or(at_most, |rest| rest.min(at_most));
            match MapOptions::new(mode).offset(at).len(len).map(&self.file) {
                Ok(mapping) => {
                    if act(mapping)? == Next::Stop {
                        break;
                    }
                    at += u64::try_from(len)?;
                }
                // No address space for so much.
                Err(_) if len > WINDOW_BYTES => at_most = WINDOW_BYTES,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Finds out which of the pages are in memory; `None` where the kernel does not tell.
    pub(crate) fn residency(&self) -> anyhow::Result<Option<Residency>> {
        let mut is_told = self.bytes.is_empty() || sys::tells_pages_of(self.path, &self.metadata);
        let mut found = Residency { runs: Vec::new(), counts: Some(CacheCounts::default()) };
        let first = self.pages().start;
        self.by_stretches(MapMode::ReadOnly, STRETCH_BYTES, |mapping| {
            let counts = mapping.view().cache_counts();
            is_told &= !counts.as_ref().is_err_and(is_refusal);
            if !is_told {
                return Ok(Next::Stop);
            }
            found.counts = found.counts.zip(counts.ok()).map(|(sum, counts)| CacheCounts {
                cached: sum.cached + counts.cached,
                dirty: sum.dirty + counts.dirty,
                writeback: sum.writeback + counts.writeback,
                evicted: sum.evicted + counts.evicted,
                recently_evicted: sum.recently_evicted + counts.recently_evicted,
            });
            find_runs(mapping.view(), first, &mut found.runs)?;
            Ok(Next::GoOn)
        })?;
        Ok(is_told.then_some(found))
    }

    /// Reads all pages in, and waits for the disk; until `is_stopped`.
    pub(crate) fn warm(&self, is_stopped: impl Fn() -> bool) -> anyhow::Result<()> {
        self.by_steps(is_stopped, |view| {
            // Large reads of just these pages, and no reading ahead of the faults, which would go on behind them. Where
            // advice is refused, the faults read all the same.
            let _ = view.advise(Advice::Random);
            let _ = view.advise(Advice::WillNeed);
            view.populate(Access::Read).map_err(|fault| self.fault_error("reading", view, fault))
        })?;
        Ok(())
    }

    /// Takes all pages out of memory that nobody uses.
    pub(crate) fn evict(&self) -> anyhow::Result<()> {
        self.by_stretches(MapMode::ReadOnly, STRETCH_BYTES, |mapping| {
            mapping.view().evict()?;
            Ok(Next::GoOn)
        })
    }

    /// Locks all pages in memory, as long as the mappings live that this answers; until `is_stopped`.
    pub(crate) fn lock(&self, is_stopped: impl Fn() -> bool) -> anyhow::Result<Vec<Mapping>> {
        self.by_steps(is_stopped, |view| Ok(view.lock()?))
    }

    /// An access to a byte that was not to be had, told of by its place in the file.
    pub(crate) fn fault_error(&self, doing: &str, view: View<'_>, fault: Fault) -> anyhow::Error {
        let offset = view.mapping().file_offset_of(view.offset().saturating_add(fault.offset));
        anyhow::anyhow!("{doing} '{}' at offset {offset}: {}", output::name(self.path), fault.kind)
    }

    /// Does something with the pages step by step, and answers the mappings of them.
    fn by_steps(
        &self,
        is_stopped: impl Fn() -> bool,
        mut act: impl FnMut(View<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Mapping>> {
        let mut mappings = Vec::new();
        self.by_stretches(MapMode::ReadOnly, STRETCH_BYTES, |mapping| {
            let view = mapping.view();
            for start in (0..view.len()).step_by(STEP_BYTES) {
                if is_stopped() {
                    return Ok(Next::Stop);
                }
                act(view.slice(start..view.len().min(start + STEP_BYTES)).map_err(io::Error::from)?)?;
            }
            mappings.push(mapping);
            Ok(Next::GoOn)
        })?;
        Ok(mappings)
    }
}

/// Bytes of a page, as file offsets count.
pub(crate) fn page_size() -> u64 {
    u64::try_from(page_bytes()).unwrap_or(u64::MAX)
}

/// Whether the kernel does not tell us of the file's pages.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Os { source, .. } if sys::is_refusal_of_pages(source))
}

/// Appends the runs of pages of a view that are in memory, by number from page `first` of the file on.
fn find_runs(view: View<'_>, first: u64, runs: &mut Vec<Range<u64>>) -> anyhow::Result<()> {
    // Where the kernel has no such count, each window is asked for its pages.
    if view.cache_counts().is_ok_and(|counts| counts.cached == 0) {
        return Ok(());
    }
    if view.len() > WINDOW_BYTES {
        let middle = (view.len() / 2).next_multiple_of(WINDOW_BYTES);
        find_runs(view.slice(..middle).map_err(io::Error::from)?, first, runs)?;
        return find_runs(view.slice(middle..).map_err(io::Error::from)?, first, runs);
    }
    let residency = view.residency()?;
    let start = view.mapping().file_offset_of(view.offset()) / page_size() - first;
    // On hugetlbfs the kernel may have answered for more pages than were asked for.
    let pages = (start..).zip(residency.pages()).take(view.len().div_ceil(page_bytes()));
    for (page, _) in pages.filter(|(_, resident)| **resident) {
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => runs.push(page..page + 1),
        }
    }
    Ok(())
}
