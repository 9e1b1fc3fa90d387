//! Where a case runs: a folder on some file system, which vanishes with all that is in it.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use mapio_bench::bytes_text;
use mapio_bench::machine;
use mapio_map::MapOptions;
use mapio_testkit::SmallFs;
use rustix::fs::Advice;
use tempfile::TempDir;

use crate::case::{Before, Cache, Case, How, Medium};

/// A folder for one case.
pub struct Place {
    // Declared, and so dropped, before the file system that it may be on.
    folder: TempDir,
    pub file_system: String,
    /// How many folders of copies were left before this one.
    number: Cell<u32>,
    _image: Option<SmallFs>,
}

impl Place {
    /// Makes it for a case; fails with the reason why the case can't run here.
    pub fn new(medium: Medium, folder: &Path, room_bytes: u64) -> anyhow::Result<Self> {
        let image = match medium {
            Medium::Folder | Medium::Memory => None,
            Medium::Xfs => Some(SmallFs::xfs(2 * room_bytes).context("no XFS")?),
            Medium::Btrfs => Some(SmallFs::btrfs(2 * room_bytes).context("no btrfs")?),
        };
        let parent = match (medium, &image) {
            (Medium::Memory, _) => Path::new("/dev/shm"),
            (_, Some(image)) => image.path(),
            (_, None) => folder,
        };
        let folder = tempfile::Builder::new().prefix("copy-bench-").tempdir_in(parent);
        let folder = folder.with_context(|| format!("no folder in {}", parent.display()))?;
        let file_system = machine::file_system(folder.path());
        let room = rustix::fs::statvfs(folder.path()).context("asking for the room on the disk")?;
        let free_bytes = room.f_bavail * room.f_frsize;
        ensure!(
            image.is_some() || free_bytes >= room_bytes,
            "{file_system} has room for {} only, and {} are needed",
            bytes_text(free_bytes),
            bytes_text(room_bytes)
        );
        let place = Self { folder, file_system, number: Cell::new(0), _image: image };
        place.clear()?;
        Ok(place)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The source's name.
    pub fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// The folder that the tools copy into.
    pub fn target(&self) -> PathBuf {
        self.folder.path().join(format!("into-{}", self.number.get()))
    }

    /// The copy's name.
    pub fn copy(&self) -> PathBuf {
        self.target().join("source")
    }

    /// Removes what was copied.
    pub fn clear(&self) -> anyhow::Result<()> {
        if self.target().exists() {
            fs::remove_dir_all(self.target()).context("removing the copies")?;
        }
        fs::create_dir(self.target()).context("making a folder for copies")
    }

    /// Leaves what was copied where it is, until the end. For a minute or more after files were removed, ext4 looks for
    /// inodes that were not in use lately whenever it makes one: whoever copies first would pay for that.
    fn leave(&self) -> anyhow::Result<()> {
        self.number.set(self.number.get() + 1);
        fs::create_dir(self.target()).context("making a folder for copies")
    }

    /// Lets the disk come to rest: what is dirty is written before anything else is measured.
    pub fn rest(&self) -> anyhow::Result<()> {
        rustix::fs::syncfs(File::open(self.folder.path())?).context("waiting for the disk")
    }

    /// Brings everything into the state that a case begins with.
    pub fn prepare(&self, case: &Case) -> anyhow::Result<()> {
        if case.is_large() && case.how != How::File && case.medium == Medium::Folder {
            self.leave()?;
        } else {
            self.clear()?;
        }
        if case.before == Before::SameTree {
            case.shape.make(&self.copy())?;
        }
        if case.is_large() {
            self.rest()?;
        }
        if case.cache == Cache::Cold {
            drop_from_cache(&self.source())?;
        }
        Ok(())
    }
}

/// Drops a file from the page cache, with all other files if need be and allowed; fails if it is still there.
fn drop_from_cache(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    if resident_pages(&file)? == 0 {
        return Ok(());
    }
    // Pages that wait in a processor's list are not dropped for the asking. Only root may write here.
    let _ = fs::write("/proc/sys/vm/drop_caches", "1");
    match resident_pages(&file)? {
        0 => Ok(()),
        left => bail!("{left} pages of the source stay in the page cache"),
    }
}

fn resident_pages(file: &File) -> anyhow::Result<usize> {
    Ok(MapOptions::read_only().map(file)?.view().residency()?.resident_pages())
}
