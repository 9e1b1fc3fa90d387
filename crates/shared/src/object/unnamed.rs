//! Files that come into being whole: they have no name until nothing is missing in them.
//!
//! Where a file system has no unnamed files (open(2), `O_TMPFILE`), a file has a temporary name meanwhile. Its maker holds
//! its gate, so whoever finds the gate free has found what a dead process has left; see [`is_temporary`].

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::error::Error;
use crate::new_file::give_name;
use crate::participant;
use crate::sys::{self, Hold};

use super::SharedOptions;

/// How the names of files begin that have not got their object's name yet.
const TEMPORARY_PREFIX: &str = ".mapio-new-";

/// A file that has no name yet, or one that nobody knows.
pub(super) struct Unnamed {
    pub(super) file: File,
    /// Its temporary name; lost when dropped.
    temporary: Option<PathBuf>,
}

/// What has become of the attempt to give a file its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linked {
    /// It has the name.
    Done,
    /// Something else has it.
    Taken,
    /// Somebody has removed the temporary name: the file must be made anew.
    Lost,
}

impl Unnamed {
    /// A new file in the folder of `path`, which only this process knows, for the user alone.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => Ok(Self { file: fd.into(), temporary: None }),
            // What file systems without unnamed files answer; see open(2).
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let named = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
                let (file, path) = named.keep().map_err(|error| error.error)?;
                let unnamed = Self { file, temporary: Some(path) };
                // Should somebody clean up in this very moment, the file is lost, which `link` finds out.
                sys::try_lock(unnamed.file.as_fd(), participant::GATE, Hold::Exclusive)?;
                Ok(unnamed)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file a name that nothing has.
    pub(super) fn link(&self, path: &Path) -> io::Result<Linked> {
        let linked = match &self.temporary {
            None => give_name(self.file.as_fd(), CWD, path),
            Some(temporary) => rustix::fs::link(temporary, path),
        };
        match linked {
            Ok(()) => Ok(Linked::Done),
            Err(Errno::EXIST) => Ok(Linked::Taken),
            Err(Errno::NOENT) if self.temporary.is_some() => Ok(Linked::Lost),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the owner and the permissions that were asked for.
    pub(super) fn give_away(&self, options: &SharedOptions, object: &str) -> Result<(), Error> {
        give_away(self.file.as_fd(), options, object)
    }
}

/// Sets owner and permissions of a new file.
pub(super) fn give_away(file: BorrowedFd<'_>, options: &SharedOptions, object: &str) -> Result<(), Error> {
    let os = |operation| Error::os(operation, object);
    // The owner first: chown(2) clears bits of the mode.
    let (user, group) = (options.owner.0.map(Uid::from_raw), options.owner.1.map(Gid::from_raw));
    if user.is_some() || group.is_some() {
        rustix::fs::fchown(file, user, group).map_err(io::Error::from).map_err(os("giving away"))?;
    }
    let mode = Mode::from_raw_mode(options.permissions & 0o777);
    rustix::fs::fchmod(file, mode).map_err(io::Error::from).map_err(os("setting the permissions of"))
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // If it fails, the file stays as what it is: a temporary one in the folder.
            let _ = std::fs::remove_file(temporary);
            // The object's gate is open from now on. It fails for no reason that fcntl(2) gives.
            let _ = sys::unlock(self.file.as_fd(), participant::GATE);
        }
    }
}

/// Whether a file of this name is one that is just being made, or was when its maker died.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX)
}
