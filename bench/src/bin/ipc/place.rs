//! Where the ends of a channel meet: a folder in memory, removed with all that was made for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use crate::link::{Side, Task};

/// Where it is: the file system that shared memory is in anyway.
pub const PARENT: &str = "/dev/shm";
/// The pipe in it by which far ends say that they have received everything.
pub const DONE: &str = "done";
/// How long the ends wait for each other before they give up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder for one channel.
pub struct Place(TempDir);

impl Place {
    /// Makes it.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("mapio-ipc-").tempdir_in(PARENT).context("making a folder")?;
        mkfifoat(CWD, folder.path().join(DONE), Mode::RUSR | Mode::WUSR).context("making a pipe")?;
        Ok(Self(folder))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Place {
    /// Removes what carries the folder's name beside it, too: what a contender made and did not live to remove.
    fn drop(&mut self) {
        let Some(name) = self.0.path().file_name() else { return };
        for entry in fs::read_dir(PARENT).into_iter().flatten().flatten() {
            let is_of_this = entry.file_name().as_encoded_bytes().starts_with(name.as_encoded_bytes());
            if is_of_this && entry.path() != self.0.path() {
                // It may be gone by now: there is nothing more to do about it.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Waits until `ready` answers something.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if start.elapsed() > PATIENCE {
            bail!("{what} is not there after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The path of a file that the other end makes, once it is there.
pub fn wait_for_file(path: PathBuf) -> anyhow::Result<PathBuf> {
    wait_for(&path.display().to_string(), || Ok(path.exists().then_some(())))?;
    Ok(path)
}

/// Maps memory that both ends share; the near one makes it, of zeros.
pub fn share(task: &Task, bytes: usize) -> anyhow::Result<MmapRaw> {
    let path = task.place.join("memory");
    if task.side == Side::Near {
        let unfinished = task.place.join("memory.new");
        let file = File::options().read(true).write(true).create_new(true).open(&unfinished)?;
        file.set_len(bytes as u64)?;
        fs::rename(&unfinished, &path)?;
    }
    let file = File::options().read(true).write(true).open(wait_for_file(path)?)?;
    Ok(MmapOptions::new().len(bytes).populate().map_raw(&file)?)
}
