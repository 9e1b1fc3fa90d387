//! Folders with all that is in them, by several threads.
//!
//! ```text
//! stack of a thread        queue of all threads
//! +--------------+
//! | deepest      | -----> files, 64 names at a time  \
//! |  ...         | -----> folders, already opened     > taken by threads that have nothing to do
//! | top          |                                   /
//! +--------------+
//! ```
//! A thread goes down first and keeps the folders on the way on a stack of its own; it hands out only what the queue
//! has room for. So memory is bounded: by the depth of the tree, and by one listing buffer for each folder on the way,
//! however many names there are. Descriptors are bounded, too: folders far above the deepest are closed, and opened
//! again by `..` on the way back.
//!
//! A folder's attributes are set when all its names are made: nothing that happens further down changes its times.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::attributes::{self, Original};
use crate::entry::{Entry, Worker};
use crate::error::{Error, Refusal};
use crate::options::{Follow, Sync};
use crate::place::{Link, Place, Trail};
use crate::session::{Session, count, lock};
use crate::status::{FileId, Status};
use crate::sys::{self, ABS, Dir, Errno, FileType, OFlags};

/// Files that are handed to another thread at a time.
const BATCH: usize = 64;
/// Tasks that wait in the queue, for each thread.
const TASKS_PER_THREAD: usize = 4;
/// Descriptors that are left to the rest of the program, unless that is more than half of them.
const OTHER_DESCRIPTORS: u64 = 128;
/// Descriptors that a thread uses besides those of the folders on its stack: of a file, its copy and its folder, and of
/// two folders that are being opened.
const DESCRIPTORS_PER_THREAD: usize = 6;
/// A thread keeps this many folders of its stack open, if the limit of descriptors allows.
const OPEN_FOLDERS: usize = 64;
/// A thread keeps at least this many open: one that is listed, and one below it.
const LEAST_OPEN_FOLDERS: usize = 2;

/// A folder that is being copied.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Both are closed while the thread that goes down is far below.
    open: Option<Open>,
    source_trail: Arc<Trail>,
    target_trail: Arc<Trail>,
    /// Of the source.
    status: Status,
    target_id: FileId,
    pub(crate) target_device: u64,
    /// Whether we have made it, so that nothing can be in it.
    pub(crate) is_fresh: bool,
    /// Permissions of the owner that were added so that it can be filled.
    added_mode: u32,
    /// The folders above it, if links are followed and might lead back to one of them.
    above: Option<Arc<Above>>,
    /// Whether it was reached by a link, so that `..` leads elsewhere.
    by_link: bool,
    /// Whether what is in it is left out, because it is on another file system.
    is_left_empty: bool,
}

/// The two folders themselves.
#[derive(Debug)]
struct Open {
    source: File,
    target: File,
}

/// A folder above, and those above that.
#[derive(Debug)]
struct Above {
    id: FileId,
    above: Option<Arc<Above>>,
}

impl Drop for Above {
    /// One after the other: a deep tree must not end the stack.
    fn drop(&mut self) {
        let mut next = self.above.take();
        while let Some(above) = next {
            next = Arc::into_inner(above).and_then(|mut above| above.above.take());
        }
    }
}

impl Folder {
    pub(crate) fn target_trail(&self) -> &Arc<Trail> {
        &self.target_trail
    }

    fn source_dir(&self) -> Dir<'_> {
        // Nothing is named in a folder that is closed; if it were, no other folder must be taken for it.
        self.open.as_ref().map_or(ABS, |open| sys::dir(&open.source))
    }

    fn target_dir(&self) -> Dir<'_> {
        self.open.as_ref().map_or(ABS, |open| sys::dir(&open.target))
    }

    fn entry<'a>(&'a self, name: &'a CStr, hint: FileType) -> Entry<'a> {
        Entry {
            source: Place::inside(self.source_dir(), &self.source_trail, name),
            target: Place::inside(self.target_dir(), &self.target_trail, name),
            hint,
            folder: Some(self),
        }
    }

    /// Opens a folder again that was closed, from the one below it.
    fn reopen(&mut self, below: &Self) -> Result<(), Error> {
        let up = |dir: Dir<'_>| sys::open_parent(dir).map(File::from);
        self.open_again(up(below.source_dir()), up(below.target_dir()))
    }

    /// Opens a folder again that was closed, by the names that lead to it.
    fn reopen_by_name(&mut self) -> Result<(), Error> {
        let (source, target) = (self.source_trail.open(OFlags::RDONLY), self.target_trail.open(OFlags::RDONLY));
        self.open_again(source, target)
    }

    /// Takes what was found for this folder and its copy, if that is what they are.
    fn open_again(&mut self, source: Result<File, Errno>, target: Result<File, Errno>) -> Result<(), Error> {
        let check = |found: Result<File, Errno>, id: FileId, trail: &Trail| {
            let is_it = |folder: &File| Status::of(folder).is_ok_and(|status| status.id == id);
            match found {
                Ok(folder) if is_it(&folder) => Ok(folder),
                // Somebody has moved it, or a folder below it.
                Ok(_) => Err(Errno::STALE),
                Err(errno) => Err(errno),
            }
            .map_err(|errno| Error::os("cannot go back to", trail.path())(errno.into()))
        };
        let source = check(source, self.status.id, &self.source_trail)?;
        let target = check(target, self.target_id, &self.target_trail)?;
        self.open = Some(Open { source, target });
        Ok(())
    }

    /// Sets the attributes, which nothing will change any more.
    fn finish(&self, session: &Session<'_>) {
        let preserve = &session.options.preserve;
        let Some(open) = &self.open else { return };
        let complain = |operation, errno: Errno| {
            session.fail(Error::os(operation, self.target_trail.path())(errno.into()));
        };
        if attributes::wants_any(preserve) {
            let original = Original { file: &open.source, status: &self.status };
            attributes::copy(original, &open.target, preserve, self.is_fresh, &complain);
        }
        attributes::take_mode(&open.target, self.added_mode, preserve, &complain);
        session.note_written(&open.target);
        if session.options.sync == Sync::File
            && let Err(errno) = sys::fsync_folder(&open.target)
        {
            complain("flushing", errno);
        }
    }
}

/// The copy of a folder, open, before anything is put into it.
struct Landed {
    target: File,
    id: FileId,
    /// Permissions of the owner that were added so that it can be filled.
    added_mode: u32,
}

impl Worker<'_> {
    /// Makes the copy of a folder, and opens both. What is in it comes later.
    pub(crate) fn copy_folder(
        &mut self,
        entry: Entry<'_>,
        status: &Status,
        existing: Option<&Status>,
    ) -> Result<Option<Folder>, Error> {
        let session = self.session;
        if session.is_filled(status.id) {
            return Err(into_itself(entry));
        }
        let link = entry.link(session.options.follow);
        let above = entry.folder.and_then(|folder| folder.above.clone());
        if std::iter::successors(above.as_deref(), |above| above.above.as_deref()).any(|above| above.id == status.id) {
            return Err(entry.refused(Refusal::Cycle));
        }
        let Landed { target, id: target_id, added_mode } = self.land_folder(entry, status, existing)?;
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY;
        flags.set(OFlags::NOFOLLOW, link == Link::Itself);
        let source = match entry.source.open(flags, 0) {
            Ok(source) => source,
            Err(errno) => {
                // What can be copied of it is that it is there.
                let complain = |operation, errno| session.fail(entry.target.refused(operation)(errno));
                let original = Original { file: &target, status };
                attributes::copy(original, &target, &session.options.preserve, existing.is_none(), &complain);
                attributes::take_mode(&target, added_mode, &session.options.preserve, &complain);
                return Err(entry.source.refused("cannot access")(errno));
            }
        };
        let opened = Status::of(&source).map_err(entry.source.refused("cannot fstat"))?;
        if opened.id != status.id {
            return Err(entry.refused(Refusal::Replaced));
        }
        if entry.is_operand() {
            session.note_filled(target_id);
        }
        let other_device = |folder: &Folder| folder.status.id.device != status.id.device;
        let is_left_empty = session.options.one_file_system && entry.folder.is_some_and(other_device);
        let above = (session.options.follow == Follow::Always).then(|| Arc::new(Above { id: status.id, above }));
        let trail = |parent: Option<&Arc<Trail>>, place: Place<'_>| Trail::new(parent.cloned(), place.name);
        Ok(Some(Folder {
            source_trail: trail(entry.folder.map(|folder| &folder.source_trail), entry.source),
            target_trail: trail(entry.folder.map(|folder| &folder.target_trail), entry.target),
            open: Some(Open { source, target }),
            status: *status,
            target_id,
            target_device: target_id.device,
            is_fresh: existing.is_none(),
            added_mode,
            above,
            by_link: link == Link::Followed,
            is_left_empty,
        }))
    }

    /// Makes the copy of a folder, or opens what has its name and is to be filled.
    fn land_folder(&self, entry: Entry<'_>, status: &Status, existing: Option<&Status>) -> Result<Landed, Error> {
        let session = self.session;
        let wanted = attributes::creation_mode(&session.options.preserve, status);
        if existing.is_none() {
            sys::mkdirat(entry.target.dir, entry.target.name, wanted | 0o700)
                .map_err(entry.target.refused("cannot create directory"))?;
            self.tell_begun(entry, None);
        }
        count(&session.totals.folders);
        Ok(match existing {
            None => {
                let (target, found) = open_new(entry.target)?;
                Landed { target, id: found.id, added_mode: 0o700 & !(wanted & found.mode) }
            }
            Some(existing) => {
                let (target, found) = open_existing(entry, existing)?;
                Landed { target, id: found.id, added_mode: 0 }
            }
        })
    }
}

/// Opens a folder that is to be filled, and answers its status.
fn open_existing(entry: Entry<'_>, existing: &Status) -> Result<(File, Status), Error> {
    let place = entry.target;
    let mut flags = OFlags::DIRECTORY;
    flags.set(OFlags::NOFOLLOW, !entry.is_operand() && !existing.is_link());
    // It need not be readable to be filled.
    let folder = place.open(flags | OFlags::RDONLY, 0).or_else(|_| place.open(flags | OFlags::PATH, 0));
    let folder = folder.map_err(place.refused("cannot access"))?;
    let status = Status::of(&folder).map_err(place.refused("cannot fstat"))?;
    Ok((folder, status))
}

/// Opens a folder that was just made, and answers its status before that. The umask may have left its owner without the
/// right to fill it; then he gets it now.
fn open_new(place: Place<'_>) -> Result<(File, Status), Error> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let status = |file: &File| Status::of(file).map_err(place.refused("cannot fstat"));
    if let Ok(folder) = place.open(flags | OFlags::RDONLY, 0) {
        let found = status(&folder)?;
        if found.mode & 0o700 == 0o700 {
            return Ok((folder, found));
        }
    }
    let folder = place.open(flags | OFlags::PATH, 0).map_err(place.refused("cannot access"))?;
    let found = status(&folder)?;
    sys::set_mode_unopened(&folder, found.mode | 0o700)
        .and_then(|()| place.open(flags | OFlags::RDONLY, 0))
        .map(|folder| (folder, found))
        .map_err(place.refused("setting permissions for"))
}

/// The refusal to copy a folder into itself, by the names that the user gave.
fn into_itself(entry: Entry<'_>) -> Error {
    let (from, to) = match entry.folder {
        None => (entry.source.path(), entry.target.path()),
        Some(folder) => {
            let top = |trail: &Trail| Place::new(trail.top()).path();
            (top(&folder.source_trail), top(&folder.target_trail))
        }
    };
    Error::Refused { refusal: Refusal::IntoItself, from, to }
}

/// Copies all that is in a folder, with the threads that there are, and finishes it.
pub(crate) fn fill(worker: &mut Worker<'_>, top: Folder) {
    let session = worker.session;
    let threads = session.options.request.threads.unwrap_or_else(|| session.processors()).get();
    let threads = if session.observer.wants_order() { 1 } else { threads };
    let pool = Pool::within(threads, sys::most_descriptors());
    let threads = pool.threads;
    pool.push(Task::Folder(Arc::new(top)));
    thread::scope(|scope| {
        for _ in 1..threads {
            // A thread that can't be had is not needed: any of them does it all.
            let _ = thread::Builder::new().spawn_scoped(scope, || pool.work(&mut Worker::new(session)));
        }
        pool.work(worker);
    });
}

/// Something that a thread can do on its own.
enum Task {
    /// Copy all that is in a folder.
    Folder(Arc<Folder>),
    /// Copy these names of a folder.
    Files(Arc<Folder>, Vec<(FileType, CString)>),
}

/// The threads of a tree, and what they have to do.
struct Pool {
    state: Mutex<State>,
    /// Rung when there is something to do, or nothing any more.
    bell: Condvar,
    /// Threads that there are descriptors for.
    threads: usize,
    /// Tasks that may wait.
    room: usize,
    /// Folders that a thread keeps open on its stack.
    open_folders: usize,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Threads that do something, and may add tasks.
    busy: usize,
}

impl Pool {
    /// Shares out so many descriptors: two for each folder, on stacks and in the queue.
    fn within(threads: usize, descriptors: u64) -> Self {
        let descriptors = descriptors - OTHER_DESCRIPTORS.min(descriptors / 2);
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
        let least = DESCRIPTORS_PER_THREAD + 2 * LEAST_OPEN_FOLDERS;
        let threads = threads.min(descriptors / (least + 2)).max(1);
        // One thread shares with nobody.
        let spare = descriptors.saturating_sub(threads * least);
        let room = if threads == 1 { 0 } else { (threads * TASKS_PER_THREAD).min(spare / 2) };
        let stacks = descriptors.saturating_sub(threads * DESCRIPTORS_PER_THREAD + 2 * room);
        let open_folders = (stacks / 2 / threads).clamp(LEAST_OPEN_FOLDERS, OPEN_FOLDERS);
        Self { state: Mutex::default(), bell: Condvar::new(), threads, room, open_folders }
    }

    fn push(&self, task: Task) {
        lock(&self.state).tasks.push_back(task);
        self.bell.notify_one();
    }

    /// Hands a task to others, if there is room for it.
    fn offer(&self, task: Task) -> Result<(), Task> {
        let mut state = lock(&self.state);
        if state.tasks.len() >= self.room {
            return Err(task);
        }
        state.tasks.push_back(task);
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Does tasks until there are none, and nobody is left who could add one.
    fn work(&self, worker: &mut Worker<'_>) {
        let mut state = lock(&self.state);
        loop {
            if let Some(task) = state.tasks.pop_front() {
                state.busy += 1;
                drop(state);
                let busy = Busy(self);
                self.perform(worker, task);
                drop(busy);
                state = lock(&self.state);
            } else if state.busy == 0 {
                drop(state);
                self.bell.notify_all();
                return;
            } else {
                state = self.bell.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
    }

    fn perform(&self, worker: &mut Worker<'_>, task: Task) {
        match task {
            Task::Folder(folder) => self.descend(worker, folder),
            Task::Files(folder, names) => {
                self.copy_names(worker, &folder, &names);
                release(folder, worker.session);
            }
        }
    }

    /// Copies a folder with all that is below it and is not handed to others.
    fn descend(&self, worker: &mut Worker<'_>, top: Arc<Folder>) {
        let mut stack = vec![Frame::new(top)];
        while let Some(frame) = stack.last_mut() {
            match self.advance(worker, frame) {
                Some(below) => {
                    let below = match self.offer(Task::Folder(Arc::new(below))) {
                        Err(Task::Folder(below)) => below,
                        Err(Task::Files(..)) | Ok(()) => continue,
                    };
                    stack.push(Frame::new(below));
                    if let Some(far) = stack.len().checked_sub(self.open_folders + 1) {
                        // Those above may have been in use by other threads when it was their turn.
                        for above in 0..=far {
                            let next_by_link = stack[above + 1].folder.by_link;
                            stack[above].suspend(next_by_link);
                        }
                    }
                }
                None => {
                    let Some(done) = stack.pop() else { break };
                    let back = stack.last_mut().map_or(Ok(()), |above| above.resume(&done.folder));
                    release(done.folder, worker.session);
                    if let Err(error) = back {
                        worker.session.fail(error);
                        stack.pop();
                        // What is below a folder that was moved is lost; those above it are where they were.
                        while let Some(Err(error)) = stack.last_mut().map(Frame::resume_by_name) {
                            worker.session.fail(error);
                            stack.pop();
                        }
                    }
                }
            }
        }
    }

    /// Goes on in a folder until there is one below it to go down to, which it answers, or until its end.
    fn advance(&self, worker: &mut Worker<'_>, frame: &mut Frame) -> Option<Folder> {
        loop {
            if worker.session.meter.is_stopped() || frame.folder.is_left_empty {
                return None;
            }
            let Some((kind, name)) = frame.names.pop_front() else {
                match frame.list() {
                    Ok(true) => continue,
                    Ok(false) => {
                        self.copy_files(worker, frame);
                        return None;
                    }
                    Err(errno) => {
                        let path = frame.folder.source_trail.path();
                        worker.session.fail(Error::os("error reading directory", path)(errno.into()));
                        self.copy_files(worker, frame);
                        return None;
                    }
                }
            };
            // A link that is followed may lead to a folder; and some file systems do not tell the kind.
            let follows = frame.folder.above.is_some();
            if matches!(kind, FileType::Directory | FileType::Unknown) || (kind == FileType::Symlink && follows) {
                if let Some(below) = worker.copy(frame.folder.entry(&name, kind)) {
                    return Some(below);
                }
                continue;
            }
            frame.files.push((kind, name));
            if frame.files.len() >= BATCH {
                self.copy_files(worker, frame);
            }
        }
    }

    /// Copies the files that were gathered, or lets others do it.
    fn copy_files(&self, worker: &mut Worker<'_>, frame: &mut Frame) {
        let names = std::mem::take(&mut frame.files);
        if names.is_empty() {
            return;
        }
        if let Err(Task::Files(folder, names)) = self.offer(Task::Files(Arc::clone(&frame.folder), names)) {
            self.copy_names(worker, &folder, &names);
        }
    }

    fn copy_names(&self, worker: &mut Worker<'_>, folder: &Folder, names: &[(FileType, CString)]) {
        for (kind, name) in names {
            if worker.session.meter.is_stopped() {
                return;
            }
            // What a listing tells is only a hint: it may be a folder by now.
            if let Some(below) = worker.copy(folder.entry(name, *kind)) {
                self.descend(worker, Arc::new(below));
            }
        }
    }
}

/// A thread that does something. It stops being counted even if it panics, so that the others do not wait for it.
struct Busy<'a>(&'a Pool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.busy -= 1;
        if state.busy == 0 {
            drop(state);
            self.0.bell.notify_all();
        }
    }
}

/// Lets go of a folder; whoever is the last sets its attributes.
fn release(folder: Arc<Folder>, session: &Session<'_>) {
    if let Some(folder) = Arc::into_inner(folder) {
        folder.finish(session);
    }
}

/// A folder on the way down, and how far it has come.
struct Frame {
    folder: Arc<Folder>,
    /// Names that were listed and not looked at yet.
    names: VecDeque<(FileType, CString)>,
    /// Files that are copied together.
    files: Vec<(FileType, CString)>,
    /// Where the listing goes on.
    cookie: u64,
}

impl Frame {
    fn new(folder: Arc<Folder>) -> Self {
        Self { folder, names: VecDeque::new(), files: Vec::new(), cookie: 0 }
    }

    /// Lists some more names. `false`: there are none.
    fn list(&mut self) -> Result<bool, Errno> {
        let names = &mut self.names;
        sys::list(self.folder.source_dir(), &mut self.cookie, |kind, name| names.push_back((kind, name.to_owned())))
    }

    /// Closes the folder until the way leads back to it, unless others still use it, or `..` would not find it.
    fn suspend(&mut self, below_by_link: bool) {
        if !below_by_link && let Some(folder) = Arc::get_mut(&mut self.folder) {
            folder.open = None;
        }
    }

    /// Opens the folder again, if it was closed, by the names that lead to it.
    fn resume_by_name(&mut self) -> Result<(), Error> {
        self.resume_with(Folder::reopen_by_name)
    }

    /// Opens the folder again, if it was closed, from the one below.
    fn resume(&mut self, below: &Folder) -> Result<(), Error> {
        self.resume_with(|folder| folder.reopen(below))
    }

    fn resume_with(&mut self, reopen: impl FnOnce(&mut Folder) -> Result<(), Error>) -> Result<(), Error> {
        let cookie = self.cookie;
        match Arc::get_mut(&mut self.folder) {
            Some(folder) if folder.open.is_none() => {
                reopen(folder)?;
                sys::seek_listing(folder.source_dir(), cookie)
                    .map_err(|errno| Error::os("cannot go back to", folder.source_trail.path())(errno.into()))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_the_deepest_go_without_a_deep_stack() {
        let id = FileId { device: 0, inode: 0 };
        let deepest = (0..1_000_000).fold(None, |above, _| Some(Arc::new(Above { id, above })));
        drop(deepest);
    }
}
