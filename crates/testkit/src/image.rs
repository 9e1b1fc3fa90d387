//! A file system in an image, on a loop device.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

/// How often a busy file system is asked again; far more than starting a process takes.
const UNMOUNT_ATTEMPTS: usize = 100_000;

/// A file system in an image file, mounted by a loop device; unmounted when dropped, and the loop device with it.
#[derive(Debug)]
pub(crate) struct Image {
    /// Holds the image and the folder that it is mounted on.
    dir: TempDir,
    /// That folder.
    path: PathBuf,
}

impl Image {
    /// Makes an image of `len` bytes, runs `make_fs` with its path as the last argument, and mounts it.
    pub(crate) fn new(len: u64, make_fs: &mut Command) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let image = Self { path: dir.path().join("mount"), dir };
        fs::create_dir(image.path())?;
        File::create(image.file())?.set_len(len)?;
        run(make_fs.arg(image.file()))?;
        image.mount()?;
        Ok(image)
    }

    /// The folder that it is mounted on.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The image file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub(crate) fn mount(&self) -> io::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.file()).arg(self.path()))
    }

    /// Unmounts it. Fails when a file of it is open.
    pub(crate) fn unmount(&self) -> io::Result<()> {
        for _ in 0..UNMOUNT_ATTEMPTS {
            match unmount(self.path(), UnmountFlags::empty()) {
                // A process that another test is just starting has our open files until it becomes another program.
                Err(Errno::BUSY) => thread::yield_now(),
                ended => return Ok(ended?),
            }
        }
        Err(Errno::BUSY.into())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Detached, so that a test that has failed with a file open leaves nothing either. It fails if it is not
        // mounted.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
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
