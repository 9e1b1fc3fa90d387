//! Touching pages through a mapping, and what page faults that takes.

use std::io;

use anyhow::Context;
use clap::ValueEnum;
use mapio_map::{Access, Fault, MapMode, MapOptions, Usage, View, page_bytes};
use serde::Serialize;

use super::part::{Next, Part, page_size};
use super::report::count_text;
use crate::output;

/// Bytes that are mapped and touched at a time: as much as a copy-on-write mapping's copies take at most.
const WINDOW_BYTES: u64 = 64 << 20;

/// How pages are touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) direction: Direction,
    pub(crate) sharing: Sharing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// Who sees what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Everybody: the file is written to.
    Shared,
    /// This mapping alone: a page is copied when it is written to.
    Private,
}

/// What touching took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Touched {
    /// `read` or `write`.
    access: &'static str,
    private: bool,
    pages: u64,
    minor_faults: u64,
    major_faults: u64,
    /// For private writes: whether the file still has what it had, looked at through another mapping.
    file_unchanged: Option<bool>,
}

impl Touch {
    /// The mapping that it takes.
    pub(crate) fn mode(self) -> MapMode {
        match (self.sharing, self.direction) {
            (Sharing::Private, _) => MapMode::CopyOnWrite,
            (Sharing::Shared, Direction::Read) => MapMode::ReadOnly,
            (Sharing::Shared, Direction::Write) => MapMode::ReadWrite,
        }
    }

    /// Touches a byte of each page, until `is_stopped`.
    pub(crate) fn run(self, part: &Part<'_>, is_stopped: impl Fn() -> bool) -> anyhow::Result<Touched> {
        let changes_copies = self.sharing == Sharing::Private && self.direction == Direction::Write;
        let mut touched = Touched {
            access: if self.direction == Direction::Read { "read" } else { "write" },
            private: self.sharing == Sharing::Private,
            pages: 0,
            minor_faults: 0,
            major_faults: 0,
            file_unchanged: changes_copies.then_some(true),
        };
        part.by_stretches(self.mode(), WINDOW_BYTES, |mapping| {
            let view = mapping.view();
            let (done, used) = Usage::during(|| pages_of(view).try_for_each(|at| self.touch(view, at)))
                .context("asking for the page faults")?;
            done.map_err(|fault| part.fault_error("touching", view, fault))?;
            touched.pages += u64::try_from(pages_of(view).count())?;
            touched.minor_faults += used.minor_faults;
            touched.major_faults += used.major_faults;
            if changes_copies {
                let file = MapOptions::read_only().offset(mapping.file_offset()).len(mapping.len()).map(&mapping)?;
                let unchanged = only_copies_differ(view, file.view()).map_err(io::Error::from)?;
                touched.file_unchanged = touched.file_unchanged.map(|so_far| so_far && unchanged);
            }
            Ok(if is_stopped() { Next::Stop } else { Next::GoOn })
        })?;
        Ok(touched)
    }

    /// Touches the page that begins at `at`.
    fn touch(self, view: View<'_>, at: usize) -> Result<(), Fault> {
        match (self.direction, self.sharing) {
            (Direction::Read, _) => view.load::<u8>(at).map(drop),
            // Nobody else sees it, so it may as well be a change.
            (Direction::Write, Sharing::Private) => view.store(at, !view.load::<u8>(at)?),
            // The fault of a store without a store: what others write to the byte meanwhile is not lost.
            (Direction::Write, Sharing::Shared) => view.slice(at..=at)?.populate(Access::Write),
        }
    }
}

impl Touched {
    /// What it was, in a line or two.
    pub(crate) fn as_text(&self) -> String {
        let mapping = if self.private { "private" } else { "shared" };
        let counts = format!(
            "  touched {} ({}, {mapping} mapping): {} minor and {} major page faults",
            count_text(self.pages),
            self.access,
            self.minor_faults,
            self.major_faults
        );
        match self.file_unchanged {
            Some(true) => format!(
                "{counts}\n  copy-on-write: {} were copied for this process; the file is unchanged",
                output::bytes_text(self.pages.saturating_mul(page_size()))
            ),
            Some(false) => format!("{counts}\n  copy-on-write; but somebody else has changed the file meanwhile"),
            None => counts,
        }
    }
}

/// The first byte of each page of a view that begins with a page.
fn pages_of(view: View<'_>) -> impl Iterator<Item = usize> {
    (0..view.len()).step_by(page_bytes())
}

/// Whether the file has what it had when each of the copies' pages was changed in its first byte.
fn only_copies_differ(copies: View<'_>, file: View<'_>) -> Result<bool, Fault> {
    for at in pages_of(copies) {
        if copies.load::<u8>(at)? != !file.load::<u8>(at)? {
            return Ok(false);
        }
    }
    Ok(true)
}
