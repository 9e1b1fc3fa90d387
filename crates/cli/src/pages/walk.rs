//! The regular files of a folder tree, one after the other.
//!
//! What is kept meanwhile: one open folder, the names of the folders that wait for their turn, and the inodes that may
//! come again.

use std::collections::HashSet;
use std::fs::{self, DirEntry, Metadata, ReadDir};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::output;
use crate::sys::{self, FileId, Identity};

/// Where a walk goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// To where symbolic links lead, too.
    pub(crate) follow: bool,
    /// Not to where another file system is mounted.
    pub(crate) one_file_system: bool,
}

/// The regular files of a tree, by path, in the order in which the folders have them. An error concerns one file or
/// folder, and the walk goes on.
pub(crate) struct Tree {
    rules: Rules,
    /// The file system of the first folder; `None` if that can't be asked.
    device: Option<u64>,
    waiting: Vec<PathBuf>,
    /// The folder that is being read.
    open: Option<(PathBuf, ReadDir)>,
    /// Folders met so far, where links can lead to one again.
    folders: HashSet<FileId>,
}

impl Tree {
    pub(crate) fn new(folder: &Path, metadata: &Metadata, rules: Rules) -> Self {
        let identity = sys::identity(folder, metadata);
        let folders = HashSet::from([identity.file]);
        Self { rules, device: sys::device(folder, metadata), waiting: vec![folder.to_owned()], open: None, folders }
    }

    /// The path of an entry that is a file to be counted; folders are set aside for later.
    fn sort(&mut self, entry: &DirEntry) -> anyhow::Result<Option<PathBuf>> {
        let path = entry.path();
        let asking = || format!("reading the status of '{}'", output::name(&path));
        let is_link = entry.file_type().with_context(asking)?.is_symlink();
        if is_link && !self.rules.follow {
            return Ok(None);
        }
        let metadata = if is_link { fs::metadata(&path) } else { entry.metadata() };
        let metadata = metadata.with_context(asking)?;
        if self.rules.one_file_system && sys::device(&path, &metadata) != self.device {
            return Ok(None);
        }
        if metadata.is_file() {
            return Ok(Some(path));
        }
        let mut is_new = || !self.rules.follow || self.folders.insert(sys::identity(&path, &metadata).file);
        if metadata.is_dir() && is_new() {
            self.waiting.push(path);
        }
        Ok(None)
    }
}

impl Iterator for Tree {
    type Item = anyhow::Result<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((folder, entries)) = &mut self.open else {
                let folder = self.waiting.pop()?;
                match fs::read_dir(&folder) {
                    Ok(entries) => self.open = Some((folder, entries)),
                    Err(error) => return Some(Err(error).context(format!("opening '{}'", output::name(&folder)))),
                }
                continue;
            };
            match entries.next() {
                Some(Ok(entry)) => {
                    if let Some(found) = self.sort(&entry).transpose() {
                        return Some(found);
                    }
                }
                Some(Err(error)) => return Some(Err(error).context(format!("reading '{}'", output::name(folder)))),
                None => self.open = None,
            }
        }
    }
}

/// The inodes that have been counted.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashSet<FileId>);

impl Seen {
    /// Whether a file comes for the first time.
    pub(crate) fn is_new(&mut self, identity: Identity, ways: Ways) -> bool {
        (ways == Ways::One && identity.names <= 1) || self.0.insert(identity.file)
    }
}

/// How many ways there are to a file that has one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    /// The walk leads past each name once, so that nothing need be remembered of it.
    One,
    /// Links or overlapping arguments may lead to it again.
    Several,
}
