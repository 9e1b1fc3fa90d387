//! A folder that looks like a machine: its /sys and /dev.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use mapio_device::System;
use tempfile::TempDir;

pub(crate) struct Machine(TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn system(&self) -> System {
        System::at(self.0.path())
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Makes a file, and the folders above it.
    pub(crate) fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("room");
        fs::write(path, bytes).expect("room");
        self
    }

    pub(crate) fn link(&self, path: &str, target: &str) -> &Self {
        symlink(self.path(target), self.path(path)).expect("room");
        self
    }

    pub(crate) fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(path)).expect("a file")).into_owned()
    }
}
