//! The one descriptor that stands for all processes that are watched.

use std::os::fd::{AsFd, BorrowedFd};

use super::Watch;

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watcher.as_fd()
    }
}
