//! A file system with checksums, in an image whose sectors can be made bad.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::image::Image;

/// Smallest image that mkfs.btrfs takes without complaint, in bytes.
const IMAGE_BYTES: u64 = 128 << 20;

/// A btrfs in an image, mounted by a loop device; unmounted when dropped. Needs root and btrfs-progs.
#[derive(Debug)]
pub struct CheckedFs {
    image: Image,
}

impl CheckedFs {
    /// Makes and mounts it.
    ///
    /// # Errors
    /// What is missing: the tool, the right, or the loop device.
    pub fn new() -> io::Result<Self> {
        Ok(Self { image: Image::new(IMAGE_BYTES, Command::new("mkfs.btrfs").arg("--quiet"))? })
    }

    /// Its root folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// Makes every sector bad that holds these bytes, and mounts it again, with nothing of it in the page cache.
    /// Answers how many there were.
    ///
    /// # Errors
    /// It could not be unmounted, because a file is still open, or not be mounted again.
    pub fn spoil(&self, bytes: &[u8]) -> io::Result<usize> {
        self.image.unmount()?;
        let content = fs::read(self.image.file())?;
        let places = content.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at);
        let file = File::options().write(true).open(self.image.file())?;
        let mut spoilt = 0;
        for at in places {
            file.write_all_at(b"!", u64::try_from(at).map_err(io::Error::other)?)?;
            spoilt += 1;
        }
        file.sync_all()?;
        self.image.mount()?;
        Ok(spoilt)
    }
}
