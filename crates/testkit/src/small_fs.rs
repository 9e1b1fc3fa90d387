//! File systems small enough to fill.

use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A mounted file system of a given size; unmounted when dropped. Needs root.
#[derive(Debug)]
pub struct SmallFs {
    dir: TempDir,
}

impl SmallFs {
    /// Mounts a tmpfs that holds `size_bytes`, rounded up to pages, on a new temporary folder.
    ///
    /// # Errors
    /// What mount(2) says: `EPERM` without root.
    pub fn tmpfs(size_bytes: u64) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let options = std::ffi::CString::new(format!("size={size_bytes}"))?;
        mount("mapio-test", dir.path(), "tmpfs", MountFlags::empty(), &*options)?;
        Ok(Self { dir })
    }

    /// Its root folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for SmallFs {
    fn drop(&mut self) {
        // Detached: a file of it that is still open keeps it alive for its user, and nothing is left when that is closed.
        // It fails only if somebody else has unmounted it.
        let _ = unmount(self.dir.path(), UnmountFlags::DETACH);
    }
}
