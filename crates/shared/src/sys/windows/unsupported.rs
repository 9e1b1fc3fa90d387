//! What Windows has nothing for.

use std::fs::Metadata;
use std::io;

use crate::sys::SegmentStatus;

/// Who has mapped a file, Windows tells nobody.
#[derive(Debug, Default)]
pub(crate) struct Maps {}

impl Maps {
    pub(crate) fn of_file(&mut self, _: &Metadata) -> Option<&[u32]> {
        None
    }

    pub(crate) fn of_segment(&mut self, _: i32) -> Option<&[u32]> {
        None
    }
}

pub(crate) fn remove_segment(_: i32) -> io::Result<()> {
    no_segments()
}

pub(crate) fn segments() -> io::Result<Vec<SegmentStatus>> {
    no_segments()
}

pub(crate) fn segment(_: i32) -> io::Result<Option<SegmentStatus>> {
    no_segments()
}

fn no_segments<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, super::NO_SEGMENTS.unwrap_or_default()))
}
