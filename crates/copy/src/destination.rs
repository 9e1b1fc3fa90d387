//! The file that is written: nobody sees it before it is whole.
//!
//! ```text
//! open(dir, O_TMPFILE) -> a file without a name -> written -> linkat(dir, "name")              a new file
//!                                                         \-> linkat(dir, ".mapio-x"), rename   a replaced one
//! ```
//! A file without a name vanishes with the process, however that ends. Where the file system has no such files, a file
//! named `.mapio-…` takes their place, and is removed by [`Drop`] unless it was renamed.
//!
//! Invariant: until [`Destination::commit`] has succeeded, whatever had the destination's name still has it, unchanged.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempPath;

use crate::engine::NamedFile;
use crate::error::Error;
use crate::source::{Source, refuse_irregular};

/// How the names of temporary files begin.
const TEMPORARY_PREFIX: &str = ".mapio-";

/// Where a copy goes, found and checked before anything is written.
#[derive(Debug)]
pub(crate) struct Target {
    /// Of the file itself: links are followed, a folder has got the source's name added.
    path: PathBuf,
    /// The file that is to be replaced.
    existing: Option<Metadata>,
}

impl Target {
    /// Finds out which file `destination` means, and that it can be written.
    pub(crate) fn resolve(source: &Source, destination: &Path) -> Result<Self, Error> {
        let from = source.named().path;
        let mut path = destination.to_owned();
        if path.is_dir() {
            path.push(from.file_name().unwrap_or_default());
        } else if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Error::os("creating", path)(Errno::NOTDIR.into()));
        }
        if path.is_symlink() {
            // A rename would replace the link; what is meant is the file behind it.
            path = path.canonicalize().map_err(Error::os("following the link", &path))?;
        }
        let existing = match path.metadata() {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::os("reading the status of", path)(error)),
        };
        if let Some(existing) = &existing {
            if source.is(existing) {
                return Err(Error::SameFile { from: from.to_owned(), to: destination.to_owned() });
            }
            refuse_irregular(&path, existing)?;
            // A rename asks for no permission of the file that it replaces; its owner may have meant something by it.
            rustix::fs::accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS)
                .map_err(|errno| Error::os("writing to", &path)(errno.into()))?;
        }
        Ok(Self { path, existing })
    }

    /// The folder that it is in.
    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Makes the empty file that will become the destination: with the mode given, less the umask, if it is new, else
    /// with the mode and the owner of what it replaces, so that nobody can read it who could not read that.
    pub(crate) fn create(self, mode: u32) -> Result<Destination, Error> {
        let fail = Error::os("creating a temporary file in", self.folder().to_owned());
        let mode = self.existing.as_ref().map_or(mode, |existing| mode & existing.mode());
        let (file, name) = match unnamed_file(self.folder(), mode) {
            Ok(file) => (File::from(file), None),
            // Not every file system has files without a name (open(2)); EISDIR comes from kernels that know none.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let (file, name) = named_file(self.folder(), mode).map_err(without_path).map_err(fail)?;
                (file, Some(name))
            }
            Err(errno) => return Err(fail(errno.into())),
        };
        if let Some(existing) = &self.existing {
            keep_identity(&file, existing).map_err(Error::os("replacing", &self.path))?;
        }
        Ok(Destination { target: self, file, name })
    }
}

/// The file that will become the destination.
#[derive(Debug)]
pub(crate) struct Destination {
    target: Target,
    file: File,
    /// Its temporary name, if it has one; removed when dropped.
    name: Option<TempPath>,
}

impl Destination {
    /// The file, under the name that it will have.
    pub(crate) fn named(&self) -> NamedFile<'_> {
        NamedFile { file: &self.file, path: &self.target.path }
    }

    /// Gives the file the destination's name. Answers the path.
    pub(crate) fn commit(self) -> Result<PathBuf, Error> {
        let Target { path, existing } = &self.target;
        if self.name.is_none() && existing.is_none() {
            match link(&self.file, path) {
                Ok(()) => return Ok(self.target.path),
                // Somebody has made it meanwhile: it is replaced. Its mode and owner are not looked at any more.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::os("creating", path)(errno.into())),
            }
        }
        let name = match self.name {
            Some(name) => name,
            None => link_temporarily(&self.file, self.target.folder())
                .map_err(without_path)
                .map_err(Error::os("naming a temporary file in", self.target.folder()))?,
        };
        name.persist(path).map_err(|error| {
            // A folder may take new names and give none back (chattr(1), attribute a).
            let left = error.path.to_owned();
            match error.path.close() {
                Ok(()) => Error::os("replacing", path)(error.error),
                Err(_) => Error::os("replacing (and it could not be removed again:) with", left)(error.error),
            }
        })?;
        Ok(self.target.path)
    }
}

/// The error without the path that tempfile adds to it, which means nothing to a user.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

/// A file without a name, on the folder's file system.
fn unnamed_file(folder: &Path, mode: u32) -> Result<OwnedFd, Errno> {
    // Without /proc the file could never get its name.
    if !Path::new("/proc/self/fd").exists() {
        return Err(Errno::OPNOTSUPP);
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(mode))
}

/// A file with a temporary name, for file systems that have no others.
fn named_file(folder: &Path, mode: u32) -> io::Result<(File, TempPath)> {
    let permissions = Permissions::from_mode(mode);
    Ok(tempfile::Builder::new().prefix(TEMPORARY_PREFIX).permissions(permissions).tempfile_in(folder)?.into_parts())
}

/// Gives a file without a name this one, if it is free.
fn link(file: &File, path: &Path) -> Result<(), Errno> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

/// Gives a file without a name a temporary one.
fn link_temporarily(file: &File, folder: &Path) -> io::Result<TempPath> {
    let named = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .make_in(folder, |path| link(file, path).map_err(io::Error::from))?;
    Ok(named.into_temp_path())
}

/// Gives the file the owner and the permission bits of the one that it replaces.
fn keep_identity(file: &File, existing: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    let (uid, gid) = (existing.uid(), existing.gid());
    if (own.uid(), own.gid()) != (uid, gid) {
        std::os::unix::fs::fchown(file, Some(uid), Some(gid)).map_err(|error| {
            let reason = format!("the copy can't be given to its owner, user {uid} and group {gid}: {error}");
            io::Error::new(error.kind(), reason)
        })?;
    }
    // Set-id bits are not kept, as a write by anybody but root would have cleared them.
    file.set_permissions(Permissions::from_mode(existing.mode() & 0o777))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The way that file systems without unnamed files take, which the file systems of most machines never do.
    #[test]
    fn a_named_temporary_file_becomes_the_destination_or_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let source_path = dir.path().join("source");
        fs::write(&source_path, "new").unwrap();
        let source = Source::open(&source_path).unwrap();
        for (existing, committed) in [(false, false), (false, true), (true, false), (true, true)] {
            let path = dir.path().join(format!("target-{existing}-{committed}"));
            if existing {
                fs::write(&path, "old").unwrap();
            }
            let target = Target::resolve(&source, &path).unwrap();
            let (file, name) = named_file(target.folder(), 0o640).unwrap();
            io::Write::write_all(&mut &file, b"new").unwrap();
            let destination = Destination { target, file, name: Some(name) };
            if committed {
                assert_eq!(destination.commit().unwrap(), path);
            } else {
                drop(destination);
            }
            let expected = if committed { Some("new") } else { existing.then_some("old") };
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), expected);
        }
        let left = fs::read_dir(dir.path()).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        assert_eq!(left.filter(|name| name.starts_with(TEMPORARY_PREFIX)).count(), 0);
    }

    #[test]
    fn a_name_that_is_taken_during_the_copy_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let source_path = dir.path().join("source");
        fs::write(&source_path, "new").unwrap();
        let source = Source::open(&source_path).unwrap();
        let path = dir.path().join("target");
        let destination = Target::resolve(&source, &path).unwrap().create(0o600).unwrap();
        io::Write::write_all(&mut &destination.file, b"new").unwrap();
        fs::write(&path, "somebody else's").unwrap();
        destination.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
