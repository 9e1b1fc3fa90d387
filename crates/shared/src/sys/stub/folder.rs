//! Folders of systems where no log can be kept, since files are not mapped there.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use mapio_map::Mapping;
use mapio_map::descriptor::BorrowedDescriptor;

use super::unsupported;
use crate::sys::{NewFile, Opening, Unusable};

/// There is none.
#[derive(Debug)]
pub(crate) struct Folder(Infallible);

impl Folder {
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn file(&self, _: &str, _: Opening) -> Result<Option<File>, Unusable> {
        match self.0 {}
    }

    pub(crate) fn unnamed_file(&self, _: &'static str) -> io::Result<NewFile> {
        match self.0 {}
    }

    pub(crate) fn temporary_file(&self, _: &str) -> io::Result<File> {
        match self.0 {}
    }

    pub(crate) fn give_name(&self, _: &NewFile, _: &str) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn remove(&self, _: &str) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn sweep(&self) {
        match self.0 {}
    }

    pub(crate) fn names(&self, _: impl FnMut(&[u8])) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn has(&self, _: &str, _: BorrowedDescriptor<'_>) -> io::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match self.0 {}
    }
}

pub(crate) fn set_aside(_: &File, _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn prepare(_: BorrowedDescriptor<'_>, _: Range<u64>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn is_written(_: usize) -> bool {
    false
}

pub(crate) fn write_all_at(_: &File, _: &[u8], _: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn write_parts_at(_: BorrowedDescriptor<'_>, _: [&[u8]; 2], _: u64) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn sync_file(_: &File) -> io::Result<()> {
    unsupported()
}

pub(crate) fn sync_mapping(_: &Mapping) -> io::Result<()> {
    unsupported()
}

pub(crate) fn next_data(_: BorrowedDescriptor<'_>, _: u64) -> io::Result<Option<Range<u64>>> {
    unsupported()
}

pub(crate) fn claim(_: &File) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn is_claimed(_: &File) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn give_up(_: &File) -> io::Result<()> {
    unsupported()
}
