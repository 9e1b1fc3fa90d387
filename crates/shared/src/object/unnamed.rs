//! Files that come into being whole: they have no name until nothing is missing in them.
//!
//! Where a file system has no unnamed files (open(2), `O_TMPFILE`), a file has a temporary name meanwhile. Its maker
//! holds its gate, so whoever finds the gate free has found what a dead process has left; see [`is_temporary`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use mapio_map::descriptor::{self, BorrowedDescriptor};

use crate::error::Error;
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
        if let Some(file) = sys::new_unnamed(folder)? {
            return Ok(Self { file, temporary: None });
        }
        let named = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).make_in(folder, sys::create_temporary)?;
        let (file, path) = named.keep().map_err(|error| error.error)?;
        let unnamed = Self { file, temporary: Some(path) };
        // Should somebody clean up in this very moment, the file is lost, which `link` finds out.
        sys::try_lock(descriptor::of(&unnamed.file), participant::GATE, Hold::Exclusive)?;
        Ok(unnamed)
    }

    /// Gives the file a name that nothing has.
    pub(super) fn link(&self, path: &Path) -> io::Result<Linked> {
        let linked = match &self.temporary {
            None => sys::name_unnamed(descriptor::of(&self.file), path),
            Some(temporary) => sys::name_temporary(descriptor::of(&self.file), temporary, path),
        };
        match linked {
            Ok(()) => Ok(Linked::Done),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Linked::Taken),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.temporary.is_some() => Ok(Linked::Lost),
            Err(error) => Err(error),
        }
    }

    /// Sets the owner and the permissions that were asked for.
    pub(super) fn give_away(&self, options: &SharedOptions, object: &str) -> Result<(), Error> {
        give_away(descriptor::of(&self.file), options, object)
    }
}

/// Sets owner and permissions of a new file, which has a temporary name or none.
pub(super) fn give_away(file: BorrowedDescriptor<'_>, options: &SharedOptions, object: &str) -> Result<(), Error> {
    let given = sys::give_away(file, options.owner, options.permissions);
    given.map_err(Error::os("setting owner and permissions of", object))
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // If it fails, the file stays as what it is: a temporary one in the folder.
            let _ = std::fs::remove_file(temporary);
            // The object's gate is open from now on. It fails for no reason that fcntl(2) gives.
            let _ = sys::unlock(descriptor::of(&self.file), participant::GATE);
        }
    }
}

/// Whether a file of this name is one that is just being made, or was when its maker died.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX)
}
