//! File systems small enough to fill, one of which can lose its power.
#![expect(unsafe_code, reason = "the ioctl that shuts a file system down")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::ioctl::{Setter, ioctl, opcode};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::image::Image;

/// `EXT4_IOC_SHUTDOWN` of Linux, fs/ext4/ext4.h: `_IOR('X', 125, __u32)`, as `XFS_IOC_GOINGDOWN`,
/// ioctl_xfs_goingdown(2).
const SHUTDOWN: rustix::ioctl::Opcode = opcode::read::<u32>(b'X', 125);
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing more is written, not even the journal.
const NO_LOG_FLUSH: u32 = 2;

/// A mounted file system of a given size; unmounted when dropped. Needs root.
#[derive(Debug)]
pub struct SmallFs {
    medium: Medium,
}

/// Where its bytes are.
#[derive(Debug)]
enum Medium {
    /// In memory; mounted on this folder.
    Memory(TempDir),
    Disk(Image),
    /// Folders of `dir`; mounted on one of them.
    Overlay {
        #[expect(dead_code, reason = "removed when dropped")]
        dir: TempDir,
        path: PathBuf,
    },
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
        Ok(Self { medium: Medium::Memory(dir) })
    }

    /// Makes an ext4 in an image of `size_bytes`, its journal and tables included, at least 16 MiB, and mounts it by a
    /// loop device. No blocks are kept for root.
    ///
    /// # Errors
    /// What is missing: mkfs.ext4, of e2fsprogs; root; a loop device.
    pub fn ext4(size_bytes: u64) -> io::Result<Self> {
        let mut make_fs = Command::new("mkfs.ext4");
        // Complete now, so that no thread of the kernel writes to it later.
        make_fs.args(["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        Ok(Self { medium: Medium::Disk(Image::new(size_bytes.max(16 << 20), &mut make_fs)?) })
    }

    /// Makes an XFS that shares blocks in an image of `size_bytes`, at least 300 MiB, which is what mkfs.xfs wants, and
    /// mounts it by a loop device. The image takes as much room as what is written.
    ///
    /// # Errors
    /// What is missing: mkfs.xfs, of xfsprogs; root; a loop device; XFS in the kernel.
    pub fn xfs(size_bytes: u64) -> io::Result<Self> {
        let mut make_fs = Command::new("mkfs.xfs");
        make_fs.args(["-q", "-m", "reflink=1"]);
        Ok(Self { medium: Medium::Disk(Image::new(size_bytes.max(300 << 20), &mut make_fs)?) })
    }

    /// Makes a btrfs in an image of `size_bytes`, at least 128 MiB, and mounts it by a loop device.
    ///
    /// # Errors
    /// What is missing: mkfs.btrfs, of btrfs-progs; root; a loop device; btrfs in the kernel.
    pub fn btrfs(size_bytes: u64) -> io::Result<Self> {
        let image = Image::new(size_bytes.max(128 << 20), Command::new("mkfs.btrfs").arg("--quiet"))?;
        Ok(Self { medium: Medium::Disk(image) })
    }

    /// Mounts an overlay of new folders in the temporary folder.
    ///
    /// # Errors
    /// What mount(2) says: `EPERM` without root, `EINVAL` where folders there can't be the upper ones.
    pub fn overlay() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let folder = |name| {
            let path = dir.path().join(name);
            fs::create_dir(&path).map(|()| path)
        };
        let (lower, upper, work, path) = (folder("lower")?, folder("upper")?, folder("work")?, folder("mount")?);
        let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let options = std::ffi::CString::new(options)?;
        mount("mapio-test", &path, "overlay", MountFlags::empty(), &*options)?;
        Ok(Self { medium: Medium::Overlay { dir, path } })
    }

    /// Its root folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.medium {
            Medium::Overlay { path, .. } => path,
            Medium::Memory(dir) => dir.path(),
            Medium::Disk(image) => image.path(),
        }
    }

    /// Does what a loss of power does, and mounts it again: only what was on the disk before is there.
    ///
    /// # Errors
    /// A file is still open or mapped (`EBUSY`), the kernel does not know how (`ENOTTY`), or it has no disk of its own
    /// (`Unsupported`).
    pub fn lose_power(&self) -> io::Result<()> {
        let Medium::Disk(image) = &self.medium else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let root = File::open(image.path())?;
        // SAFETY: the opcode is the one of the source above, and takes a u32.
        let shutdown = unsafe { Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH) };
        // SAFETY: `root` is open, and the call changes no memory of this process.
        unsafe { ioctl(&root, shutdown) }?;
        drop(root);
        image.unmount()?;
        image.mount()
    }
}

impl Drop for SmallFs {
    fn drop(&mut self) {
        let path = match &self.medium {
            Medium::Memory(dir) => dir.path(),
            Medium::Overlay { path, .. } => path,
            // The image does that.
            Medium::Disk(_) => return,
        };
        // Detached: a file of it that is still open keeps it alive for its user, and nothing is left when that is
        // closed. It fails only if somebody else has unmounted it.
        let _ = unmount(path, UnmountFlags::DETACH);
    }
}
