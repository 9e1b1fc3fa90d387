//! Several sources and a destination: what the operands of cp(1) mean.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use crate::attributes::{self, Original};
use crate::backup::{self, last_component};
use crate::contents::sync_folder;
use crate::entry::{Entry, Worker, name_in_folder};
use crate::error::{Error, Refusal};
use crate::meter::Meter;
use crate::observer::{Event, Observer};
use crate::options::{Backup, CopyOptions, Sync};
use crate::place::{Link, Place};
use crate::report::{Report, Summary};
use crate::session::{Session, lock};
use crate::source::refuse_irregular;
use crate::status::Status;
use crate::sys::{self, CWD, Errno, FileType, OFlags};
use crate::tree;

/// What the destination's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A folder to copy into if it is one, else the name of the copy.
    Any(&'a Path),
    /// A folder to copy into (`-t`).
    Folder(&'a Path),
    /// The name of the copy, even if a folder has it (`-T`).
    Name(&'a Path),
}

impl CopyOptions {
    /// Copies `source` to `destination`, or into it if it is a folder. Both are regular files. Blocks until done.
    ///
    /// A destination that exists is replaced in one step when the copy is whole, and keeps its identity: mode, owner,
    /// access control list and extended attributes. Where there can't be another file just like it (it has other hard
    /// links, or its folder takes no new file), it is written in place. A link is followed. A new one gets the source's
    /// permission bits, less the umask.
    ///
    /// Like cp, this does not wait for the disk. If the machine dies within seconds of a copy, the destination may be
    /// there and have zeros for bytes, and what it replaced is gone, unless [`Sync::File`] or
    /// [`verify`](Self::verify) was asked for.
    ///
    /// # Errors
    /// Any [`Error`]. Unless it was written in place, the destination is then as it was. No temporary file is left.
    pub fn copy(&self, source: impl AsRef<Path>, destination: impl AsRef<Path>) -> Result<Report, Error> {
        self.copy_metered(source.as_ref(), destination.as_ref(), &Meter::new())
    }

    /// Copies like [`copy`](Self::copy), while `meter` counts along for whoever watches it.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_metered(&self, source: &Path, destination: &Path, meter: &Meter) -> Result<Report, Error> {
        refuse_irregular(source, &source.metadata().map_err(Error::os("cannot stat", source))?)?;
        if let Ok(metadata) = destination.metadata()
            && !metadata.is_dir()
        {
            refuse_irregular(destination, &metadata)?;
        }
        let heard = Heard::default();
        self.copy_all(&[source.to_owned()], Target::Any(destination), meter, &heard);
        let Heard { report, error } = heard;
        let into = |heard: Mutex<_>| heard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (error.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), into(report)) {
            (Some(error), _) => Err(error),
            (None, Some(report)) => Ok(report),
            (None, None) if meter.is_stopped() => Err(Error::Cancelled { path: destination.to_owned() }),
            // It was not to be replaced, or only its attributes.
            (None, None) => {
                Err(Error::Refused { refusal: Refusal::Exists, from: source.to_owned(), to: destination.to_owned() })
            }
        }
    }

    /// Copies sources as cp(1) does. What fails is told to the observer, and the rest goes on. Blocks until done.
    pub fn copy_all(&self, sources: &[PathBuf], target: Target<'_>, meter: &Meter, observer: &dyn Observer) -> Summary {
        let begun = Instant::now();
        let (options, renamed) = self.backing_up_itself(sources, target);
        let options = options.as_ref().unwrap_or(self);
        let target = renamed.as_deref().map_or(target, Target::Name);
        let mut session = Session::new(options, meter, observer);
        session.has_several_operands = sources.len() > 1;
        match Operands::new(&session, sources, target) {
            Ok(operands) => operands.copy(sources),
            Err(error) => session.fail(error),
        }
        if options.sync == Sync::Tree {
            session.sync_tree();
        }
        session.totals.summary(begun.elapsed())
    }

    /// `cp --force --backup a a` makes a backup of `a`, as a special case: the options and the name for that.
    fn backing_up_itself(&self, sources: &[PathBuf], target: Target<'_>) -> (Option<Self>, Option<PathBuf>) {
        let (Target::Any(path) | Target::Name(path)) = target else { return (None, None) };
        let is_asked_for = self.force && self.backup != Backup::None && sources.len() == 1 && sources[0] == path;
        if !is_asked_for || !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return (None, None);
        }
        let name = c_string(path).ok();
        let renamed = name.and_then(|name| backup::name(Place::new(&name), self.backup, &self.suffix).ok());
        let options = Self { backup: Backup::None, ..self.clone() };
        (Some(options), renamed.map(|name| sys::path(name.to_bytes())))
    }
}

/// Keeps what is told of one file.
#[derive(Default)]
struct Heard {
    report: Mutex<Option<Report>>,
    error: Mutex<Option<Error>>,
}

impl Observer for Heard {
    fn wants_every_name(&self) -> bool {
        true
    }

    fn event(&self, event: Event<'_>) {
        if let Event::Copied(report) = event {
            *lock(&self.report) = Some(report.clone());
        }
    }

    fn failed(&self, error: Error) {
        lock(&self.error).get_or_insert(error);
    }
}

/// What the sources are copied to.
struct Operands<'s> {
    session: &'s Session<'s>,
    target: PathBuf,
    /// Whether the sources get their own names in the target.
    into_folder: bool,
}

impl<'s> Operands<'s> {
    fn new(session: &'s Session<'s>, sources: &[PathBuf], target: Target<'_>) -> Result<Self, Error> {
        let (path, is_folder) = match target {
            Target::Any(path) | Target::Folder(path) | Target::Name(path) => (path, path.is_dir()),
        };
        let must_be_folder = matches!(target, Target::Folder(_)) || sources.len() > 1;
        if must_be_folder && !is_folder {
            let reason = path.metadata().err().unwrap_or_else(|| Errno::NOTDIR.into());
            let operation = if matches!(target, Target::Folder(_)) { "target directory" } else { "target" };
            return Err(Error::os(operation, path)(reason));
        }
        let into_folder = is_folder && !matches!(target, Target::Name(_));
        if session.options.parents && !into_folder {
            let (from, to) = (sources.first().cloned().unwrap_or_default(), path.to_owned());
            return Err(Error::Refused { refusal: Refusal::ParentsNeedFolder, from, to });
        }
        Ok(Self { session, target: path.to_owned(), into_folder })
    }

    fn copy(&self, sources: &[PathBuf]) {
        let worker = &mut Worker::new(self.session);
        let mut seen = HashSet::new();
        for source in sources {
            if self.session.meter.is_stopped() {
                return;
            }
            if sources.len() > 1 && self.session.options.backup == Backup::None {
                // What can't be found is told of each time.
                let name = c_string(source).ok().and_then(|name| name_in_folder(Place::new(&name)));
                if name.is_some_and(|name| !seen.insert(name)) && self.is_repeated(source) {
                    continue;
                }
            }
            if let Err(error) = self.copy_operand(worker, source) {
                self.session.fail(error);
            }
        }
    }

    /// Whether an operand that was named before, maybe by another path, is to be left out; then the observer is told.
    fn is_repeated(&self, source: &Path) -> bool {
        let Ok(metadata) = source.metadata() else { return false };
        let is_folder = metadata.is_dir();
        if !is_folder || self.session.options.recursive {
            self.session.observer.event(Event::Repeated { source, is_folder });
            return true;
        }
        false
    }

    fn copy_operand(&self, worker: &mut Worker<'_>, source: &Path) -> Result<(), Error> {
        let mut source = source.as_os_str().as_encoded_bytes();
        if self.session.options.strip_trailing_slashes {
            source = trimmed(source);
        }
        let source_name = CString::new(source).map_err(|_| invalid(source))?;
        let target_name = CString::new(self.target_of(source)).map_err(|_| invalid(source))?;
        let parents = if self.session.options.parents { self.make_parents(source)? } else { Vec::new() };
        let entry = Entry {
            source: Place::new(&source_name),
            target: Place::new(&target_name),
            hint: FileType::Unknown,
            folder: None,
        };
        if let Some(folder) = worker.copy(entry) {
            tree::fill(worker, folder);
            if self.session.options.sync == Sync::File {
                sync_folder(entry.target)?;
            }
        }
        let folder = entry.target.sibling(c".");
        if self.session.options.sync == Sync::Tree
            && let Ok(folder) = entry.target.named(&folder).open(OFlags::RDONLY | OFlags::DIRECTORY, 0)
        {
            self.session.note_written(&folder);
        }
        for parent in parents.into_iter().rev() {
            parent.finish(self.session);
        }
        Ok(())
    }

    /// The name of an operand's copy.
    fn target_of(&self, source: &[u8]) -> Vec<u8> {
        let folder = self.target.as_os_str().as_encoded_bytes();
        let added = match (self.into_folder, self.session.options.parents) {
            (false, _) => return folder.to_vec(),
            (true, true) => trimmed(source),
            (true, false) => last_component(source),
        };
        // What is in `a/..` goes into the folder itself.
        if added == b".." && !self.session.options.parents {
            return folder.to_vec();
        }
        join(folder, added)
    }

    /// Makes the folders that a source is in, below the target.
    fn make_parents(&self, source: &[u8]) -> Result<Vec<Parent>, Error> {
        let options = self.session.options;
        let source = trimmed(source);
        let mut parents = Vec::new();
        let slashes =
            source.iter().enumerate().filter(|&(at, &byte)| sys::is_separator(byte) && at > 0).map(|(at, _)| at);
        for slash in slashes.filter(|&at| !sys::is_separator(source[at - 1])) {
            let from = CString::new(&source[..slash]).map_err(|_| invalid(source))?;
            let to = CString::new(join(self.target.as_os_str().as_encoded_bytes(), &source[..slash]))
                .map_err(|_| invalid(source))?;
            let (from, to) = (Place::new(&from), Place::new(&to));
            let status = from.status(Link::Followed).map_err(from.refused("failed to get attributes of"))?;
            match to.status(Link::Followed) {
                Ok(existing) if existing.is_folder() => {}
                Ok(_) => {
                    let refusal = Refusal::ParentIsNoFolder;
                    return Err(Error::Refused { refusal, from: from.path(), to: to.path() });
                }
                Err(_) => {
                    let mode = attributes::creation_mode(&options.preserve, &status);
                    sys::mkdirat(CWD, to.name, mode | 0o700).map_err(to.refused("cannot make directory"))?;
                    self.session.tell(|observer| {
                        observer.event(Event::ParentMade { source: &from.path(), destination: &to.path() });
                    });
                    let added_mode = 0o700 & !mode;
                    parents.push(Parent { source: from.path(), target: to.path(), status, added_mode });
                }
            }
        }
        Ok(parents)
    }
}

/// A folder that was made for `--parents`.
struct Parent {
    source: PathBuf,
    target: PathBuf,
    /// Of the source.
    status: Status,
    added_mode: u32,
}

impl Parent {
    /// Sets the attributes, now that nothing more is made in it.
    fn finish(&self, session: &Session<'_>) {
        let preserve = &session.options.preserve;
        let complain = |operation, errno: Errno| session.fail(Error::os(operation, &self.target)(errno.into()));
        let open = |path: &Path| {
            let name = c_string(path).map_err(|_| Errno::INVAL)?;
            Place::new(&name).open(OFlags::RDONLY | OFlags::DIRECTORY, 0)
        };
        let (source, target) = match (open(&self.source), open(&self.target)) {
            (Ok(source), Ok(target)) => (source, target),
            (Err(errno), _) | (_, Err(errno)) => return complain("preserving times for", errno),
        };
        let original = Original { file: &source, status: &self.status };
        attributes::copy(original, &target, preserve, true, &complain);
        attributes::take_mode(&target, self.added_mode, preserve, &complain);
    }
}

/// Makes a path of the bytes of one, or of a part of them: those that `OsStr::as_encoded_bytes` answers. Bytes that no
/// path has are replaced where the system's paths are no bytes.
#[must_use]
pub fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    sys::path(bytes)
}

/// A name without the slashes at its end, unless there is nothing else.
fn trimmed(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|&byte| !sys::is_separator(byte)).map_or(1.min(name.len()), |last| last + 1);
    &name[..end]
}

/// A name in a folder.
fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let name = &name[name.iter().position(|&byte| !sys::is_separator(byte)).unwrap_or(name.len())..];
    let folder = trimmed(folder);
    let is_open = folder.last().is_some_and(|&last| !sys::is_separator(last));
    let slash: &[u8] = if is_open { &[sys::SEPARATOR] } else { b"" };
    [folder, slash, name].concat()
}

fn c_string(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| invalid(path.as_os_str().as_encoded_bytes()))
}

/// A name with a zero byte in it, which no file can have.
fn invalid(name: &[u8]) -> Error {
    Error::os("cannot stat", sys::path(name))(io::Error::new(io::ErrorKind::InvalidInput, "the name has a zero byte"))
}
