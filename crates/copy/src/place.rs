//! A name in an open folder: what the system calls take, and what messages call it.
//!
//! No path is built to reach a file of a tree, so trees may be deeper than a path can be long, and nobody who swaps a
//! folder for a link can lead a copy elsewhere.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::Error;
use crate::status::Status;
use crate::sys::{self, Dir, Errno, OFlags};

/// How messages call a folder: its name and the folders above it.
#[derive(Debug)]
pub(crate) struct Trail {
    parent: Option<Arc<Trail>>,
    name: CString,
}

impl Trail {
    pub(crate) fn new(parent: Option<Arc<Self>>, name: &CStr) -> Arc<Self> {
        Arc::new(Self { parent, name: name.to_owned() })
    }

    /// The path of the folder.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.parent {
            Some(parent) => parent.join(&self.name),
            None => sys::path(self.name.to_bytes()),
        }
    }

    /// The path of a name in this folder.
    pub(crate) fn join(&self, name: &CStr) -> PathBuf {
        let mut names = vec![name];
        let mut above = Some(self);
        while let Some(trail) = above {
            names.push(&trail.name);
            above = trail.parent.as_deref();
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            if path.last().is_some_and(|&last| !sys::is_separator(last)) {
                path.push(sys::SEPARATOR);
            }
            path.extend_from_slice(name.to_bytes());
        }
        sys::path(&path)
    }

    /// The name of the top of the tree, from the current folder.
    pub(crate) fn top(&self) -> &CStr {
        let mut at = self;
        while let Some(parent) = at.parent.as_deref() {
            at = parent;
        }
        &at.name
    }

    /// Opens the folder, name by name; no link below the top is followed.
    pub(crate) fn open(&self, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::DIRECTORY;
        let mut folder = sys::openat(sys::CWD, self.top(), flags, 0)?;
        for name in self.below_top() {
            folder = sys::openat(sys::dir(&folder), name, flags | OFlags::NOFOLLOW, 0)?;
        }
        Ok(folder.into())
    }

    /// The names from the top of the tree down to this folder, without the top itself.
    pub(crate) fn below_top(&self) -> Vec<&CStr> {
        let mut names = Vec::new();
        let mut at = self;
        while let Some(parent) = at.parent.as_deref() {
            names.push(at.name.as_c_str());
            at = parent;
        }
        names.reverse();
        names
    }
}

impl Drop for Trail {
    /// One after the other: a deep tree must not end the stack.
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(trail) = parent {
            parent = Arc::into_inner(trail).and_then(|mut trail| trail.parent.take());
        }
    }
}

/// Whether a symbolic link is meant, or what it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Itself,
    Followed,
}

/// A name in an open folder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The folder; the current one for names that the user gave.
    pub(crate) dir: Dir<'a>,
    pub(crate) name: &'a CStr,
    /// The folder's name; `None` if `name` is all that there is to say.
    trail: Option<&'a Trail>,
}

impl<'a> Place<'a> {
    /// A path, from the current folder.
    pub(crate) fn new(name: &'a CStr) -> Self {
        Self { dir: sys::CWD, name, trail: None }
    }

    /// A name in a folder of a tree.
    pub(crate) fn inside(dir: Dir<'a>, trail: &'a Trail, name: &'a CStr) -> Self {
        Self { dir, name, trail: Some(trail) }
    }

    /// The path, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match self.trail {
            Some(trail) => trail.join(self.name),
            None => sys::path(self.name.to_bytes()),
        }
    }

    /// Another name in the same folder: in front of the last component, if the name is a path.
    pub(crate) fn sibling(&self, name: &CStr) -> CString {
        let own = self.name.to_bytes();
        let bytes = [&own[..sys::folder_bytes(own)], name.to_bytes()].concat();
        CString::new(bytes).unwrap_or_else(|_| unreachable!("both are C strings"))
    }

    /// The same folder with another name.
    pub(crate) fn named<'b>(&self, name: &'b CStr) -> Place<'b>
    where
        'a: 'b,
    {
        Place { dir: self.dir, name, trail: self.trail }
    }

    pub(crate) fn status(&self, link: Link) -> Result<Status, Errno> {
        sys::statat(self.dir, self.name, link)
    }

    pub(crate) fn open(&self, flags: OFlags, mode: u32) -> Result<File, Errno> {
        sys::openat(self.dir, self.name, flags, mode).map(File::from)
    }

    pub(crate) fn remove(&self) -> Result<(), Errno> {
        sys::unlinkat(self.dir, self.name)
    }

    /// The error of something that the operating system refused to do here.
    pub(crate) fn refused(self, operation: &'static str) -> impl FnOnce(Errno) -> Error + 'a {
        move |errno| Error::Os { operation, path: self.path(), source: errno.into() }
    }
}
