//! A handle that can be waited for: an event without a name.

use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle};

use super::event::{Kernel, KernelKind};

/// See `sys`.
#[derive(Debug)]
pub(crate) struct Signal(Kernel);

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Kernel::create(KernelKind::ManualEvent, None)?.0))
    }

    pub(crate) fn set(&self) -> io::Result<()> {
        self.0.set()
    }

    pub(crate) fn clear(&self) -> io::Result<()> {
        self.0.reset()
    }

    pub(crate) fn descriptor(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
