//! Objects without a name, which processes hand to each other: memory files, and any object by its descriptor.
//!
//! Two descriptors of one open file share its locks, and with them the life of whoever has joined through it. So a
//! descriptor is opened anew, through /proc, before it is sent, and again when it has come from outside.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapio_map::MapMode;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::named::fill;
use super::reopen::Identity;
use super::unnamed::give_away;
use super::{ObjectKind, Place, SharedObject, SharedOptions};
use crate::error::Error;
use crate::name::{ObjectName, SHM_DIR};
use crate::sys;

/// What /proc calls memory files begin with.
const MEMFD_PREFIX: &str = "/memfd:";
/// What /proc puts behind the path of a file that has lost it.
const DELETED: &str = " (deleted)";
/// What goes with a descriptor: this, and what the sender calls the object.
const LETTER: &str = "mapio object ";
/// Room for that: a path has at most 4096 bytes.
const MOST_LETTER: usize = 8192;
/// Room for descriptors in a message: more than the one that is expected are closed.
const MOST_DESCRIPTORS: usize = 16;

impl SharedOptions {
    /// Makes an object that has no name: memfd_create(2). It lives as long as somebody has it open.
    ///
    /// Others get it by [`SharedObject::send`], or by inheriting its descriptor. Nobody can make it shorter
    /// (`F_SEAL_SHRINK`), so that no access fails that was in order; nor longer, after [`fixed_len`](Self::fixed_len).
    /// `label` is for people, in errors and in `/proc/PID/maps`.
    ///
    /// # Errors
    /// As [`create`](Self::create), but for the name.
    #[doc(alias = "memfd_create")]
    pub fn create_memfd(&self, label: &str) -> Result<SharedObject, Error> {
        let object: Arc<str> = format!("memfd:{label}").into();
        let os = |operation| Error::os(operation, &object);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create(label, flags).map_err(io::Error::from).map_err(os("creating"))?;
        let file = File::from(file);
        let parts = fill(self, &file, &object)?;
        let mut seals = SealFlags::SHRINK;
        if self.fixed_len {
            seals |= SealFlags::GROW | SealFlags::SEAL;
        }
        rustix::fs::fcntl_add_seals(&file, seals).map_err(io::Error::from).map_err(os("sealing"))?;
        give_away(file.as_fd(), self, &object)?;
        SharedObject::new(ObjectKind::Memfd, Place::Nowhere, parts)
    }

    /// Opens the object that a descriptor stands for: a memory file, or a file of any kind.
    ///
    /// The file is opened anew, through `/proc/self/fd`, so its permissions decide, not how `fd` was opened.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Os`] with what open(2) says: `EACCES` when the process may not open the file.
    pub fn from_fd(&self, fd: impl AsFd) -> Result<SharedObject, Error> {
        let path = path_of(fd.as_fd()).map_err(Error::os("asking about", "a descriptor"))?;
        self.adopt(fd.as_fd(), identify(&path))
    }

    /// Receives an object that another process has [sent](SharedObject::send). Waits for it as long as the socket's
    /// time limit allows.
    ///
    /// # Errors
    /// [`Error::Disconnected`] when there is nobody at the other end; [`Error::Foreign`] when something else was sent;
    /// [`Error::Os`] with what recvmsg(2) says; and those of [`from_fd`](Self::from_fd).
    pub fn receive(&self, socket: &UnixStream) -> Result<SharedObject, Error> {
        let object = "what a socket sends";
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut letter = [0; MOST_LETTER];
        let received = rustix::io::retry_on_intr(|| {
            let mut pieces = [IoSliceMut::new(&mut letter)];
            rustix::net::recvmsg(socket, &mut pieces, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = received.map_err(io::Error::from).map_err(Error::os("receiving", object))?;
        if received.bytes == 0 {
            return Err(Error::Disconnected { object: object.to_owned() });
        }
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        });
        let mut descriptors: Vec<OwnedFd> = rights.flatten().collect();
        let told = letter[..received.bytes].strip_prefix(LETTER.as_bytes());
        let told = told.and_then(|name| std::str::from_utf8(name).ok());
        match (descriptors.pop(), descriptors.is_empty(), told) {
            (Some(fd), true, Some(name)) => match identify_as(fd.as_fd(), name) {
                Some(identity) => self.adopt(fd.as_fd(), identity),
                None => self.from_fd(fd),
            },
            _ => Err(Error::Foreign { object: object.to_owned(), reason: "it is not the descriptor of one object" }),
        }
    }
}

impl SharedObject {
    /// Sends the object to another process, which [receives](SharedOptions::receive) it: a descriptor, by `SCM_RIGHTS`
    /// of unix(7).
    ///
    /// The object itself must allow the receiver to open it: see [`SharedOptions::permissions`]. What is under way
    /// keeps its memory, and does not count as a user. Blocks as write(2) to the socket does.
    ///
    /// # Errors
    /// [`Error::Invalid`] for System V objects, which have no descriptor; [`Error::Os`] with what open(2) and
    /// sendmsg(2) say.
    pub fn send(&self, socket: &UnixStream) -> Result<(), Error> {
        if self.kind() == ObjectKind::SysV {
            return Err(Error::invalid(self.name(), "System V objects have no descriptor; send the name"));
        }
        let os = |operation| Error::os(operation, self.name());
        let mode = self.inner.memory.mapping().mode();
        let file = sys::reopen(self.as_fd(), None, mode == MapMode::ReadWrite).map_err(os("opening"))?;
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            unreachable!("there is room for one descriptor");
        }
        let name = match (self.kind(), &self.inner.place) {
            // The receiver may be in another folder.
            (ObjectKind::File, Place::Path(path)) => ObjectName::file(path).to_string(),
            _ => self.name().to_owned(),
        };
        let letter = [IoSlice::new(LETTER.as_bytes()), IoSlice::new(name.as_bytes())];
        let sent =
            rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, &letter, &mut control, SendFlags::NOSIGNAL));
        sent.map(drop).map_err(io::Error::from).map_err(os("sending"))
    }
}

fn path_of(fd: BorrowedFd<'_>) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The same for a file that somebody has told a name of, if it has that name.
///
/// The kernel does not know it: to /proc, a file that was made without a name never gets one.
fn identify_as(fd: BorrowedFd<'_>, told: &str) -> Option<Identity> {
    let name: ObjectName = told.parse().ok()?;
    let path = name.path()?;
    let (mine, found) = (rustix::fs::fstat(fd).ok()?, rustix::fs::lstat(&path).ok()?);
    let kind = if matches!(name, ObjectName::Posix(_)) { ObjectKind::Posix } else { ObjectKind::File };
    let is_same = (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino);
    is_same.then(|| (name.to_string().into(), kind, Place::Path(path)))
}

/// The same by the path that /proc has told.
fn identify(path: &Path) -> Identity {
    let text = path.to_string_lossy();
    if let Some(label) = text.strip_prefix(MEMFD_PREFIX) {
        let label = label.strip_suffix(DELETED).unwrap_or(label);
        return (format!("memfd:{label}").into(), ObjectKind::Memfd, Place::Nowhere);
    }
    let (kind, name) = match path.strip_prefix(SHM_DIR) {
        Ok(name) => (ObjectKind::Posix, name.to_string_lossy().into_owned()),
        Err(_) => (ObjectKind::File, format!("file:{text}")),
    };
    // A path that is not the file's any more is left alone by whoever takes the name: he compares.
    (name.into(), kind, Place::Path(path.to_owned()))
}
