//! Files with several names: the second name that is met becomes a hard link to the copy of the first.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::place::{Link, Place, Trail};
use crate::session::lock;
use crate::status::FileId;
use crate::sys::{self, CWD, Errno, OFlags};

/// Where the copy of a file with several names is.
#[derive(Debug, Clone)]
pub(crate) struct Copied {
    /// The folder; `None` if the name is the whole path.
    pub(crate) trail: Option<Arc<Trail>>,
    pub(crate) name: CString,
}

/// The copies of files with several names, by the source.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    files: Mutex<HashMap<FileId, Slot>>,
}

/// The copy of one file, once there is one. Whoever copies it keeps the lock meanwhile, so that others wait.
pub(crate) type Slot = Arc<Mutex<Option<Copied>>>;

impl LinkTable {
    /// The place for the copy of this file.
    pub(crate) fn slot(&self, source: FileId) -> Slot {
        Arc::clone(lock(&self.files).entry(source).or_default())
    }
}

impl Copied {
    /// Gives the copy another name. No link on the way is followed, so it is the copy that gets it.
    pub(crate) fn link(&self, place: Place<'_>) -> Result<(), Errno> {
        let folder = self.open_folder()?;
        let dir = folder.as_ref().map_or(CWD, sys::dir);
        sys::linkat((dir, &self.name), (place.dir, place.name), Link::Itself)
    }

    /// For messages.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.trail {
            Some(trail) => trail.join(&self.name),
            None => sys::path(self.name.to_bytes()),
        }
    }

    /// The folder that the copy is in, opened name by name; `None` for the current one.
    fn open_folder(&self) -> Result<Option<File>, Errno> {
        let Some(trail) = &self.trail else { return Ok(None) };
        let folder = trail.open(OFlags::PATH)?;
        Ok(Some(folder))
    }
}
