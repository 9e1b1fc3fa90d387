//! A file system with checksums, in an image whose sectors can be made bad.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Smallest image that mkfs.btrfs takes without complaint, in bytes.
const IMAGE_BYTES: u64 = 128 << 20;

/// A btrfs in an image, mounted by a loop device; unmounted when dropped. Needs root and btrfs-progs.
#[derive(Debug)]
pub struct CheckedFs {
    /// Holds the image and the folder that it is mounted on.
    dir: TempDir,
}

impl CheckedFs {
    /// Makes and mounts it.
    ///
    /// # Errors
    /// What is missing: the tool, the right, or the loop device.
    pub fn new() -> io::Result<Self> {
        let fs = Self { dir: tempfile::tempdir()? };
        fs::create_dir(fs.dir.path().join("mount"))?;
        File::create(fs.image())?.set_len(IMAGE_BYTES)?;
        run(Command::new("mkfs.btrfs").arg("--quiet").arg(fs.image()))?;
        fs.mount()?;
        Ok(fs)
    }

    /// Its root folder.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("mount")
    }

    /// Makes every sector bad that holds these bytes, and mounts it again, with nothing of it in the page cache. Answers
    /// how many there were.
    ///
    /// # Errors
    /// It could not be unmounted, because a file is still open, or not be mounted again.
    pub fn spoil(&self, bytes: &[u8]) -> io::Result<usize> {
        run(Command::new("umount").arg(self.path()))?;
        let image = fs::read(self.image())?;
        let places = image.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at);
        let file = File::options().write(true).open(self.image())?;
        let mut spoilt = 0;
        for at in places {
            file.write_all_at(b"!", u64::try_from(at).map_err(io::Error::other)?)?;
            spoilt += 1;
        }
        file.sync_all()?;
        self.mount()?;
        Ok(spoilt)
    }

    fn image(&self) -> std::path::PathBuf {
        self.dir.path().join("image")
    }

    fn mount(&self) -> io::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.image()).arg(self.path()))
    }
}

impl Drop for CheckedFs {
    fn drop(&mut self) {
        if is_mounted(&self.path()) {
            // Lazily, so that a test that has failed with a file open leaves nothing either.
            let _ = run(Command::new("umount").arg("--lazy").arg(self.path()));
        }
    }
}

fn is_mounted(path: &Path) -> bool {
    let path = path.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(&path))
}

/// Runs a command, and turns its failure into an error with its own words.
fn run(command: &mut Command) -> io::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name}: {}", words.lines().next().unwrap_or("failed"))))
}
