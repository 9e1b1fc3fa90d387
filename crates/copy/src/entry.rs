//! One name: what cp(1) decides about it before anything is written.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;

use crate::backup;
use crate::engine::Workspace;
use crate::error::{Error, Refusal};
use crate::file_system::FileSystem;
use crate::links::Copied;
use crate::observer::{Event, Question};
use crate::options::{Backup, Existing, Follow, Method};
use crate::place::{Link, Place};
use crate::session::{Session, count, lock};
use crate::status::{FileId, Status};
use crate::sys::{self, Errno, FileType, OFlags};
use crate::tree::Folder;

/// How often the number of a backup is looked for again, should others take it.
const BACKUP_ATTEMPTS: u32 = 64;

/// A name to copy, and the name that the copy gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) source: Place<'a>,
    pub(crate) target: Place<'a>,
    /// What the listing of a folder says that it is; `Unknown` for operands.
    pub(crate) hint: FileType,
    /// The folder that it was met in; `None` for operands.
    pub(crate) folder: Option<&'a Folder>,
}

impl Entry<'_> {
    /// Whether the copy's folder was just made by us, so that nothing can be in the way.
    pub(crate) fn is_fresh(&self) -> bool {
        self.folder.is_some_and(|folder| folder.is_fresh)
    }

    pub(crate) fn is_operand(&self) -> bool {
        self.folder.is_none()
    }

    /// Whether a link is copied, or what it leads to.
    pub(crate) fn link(&self, follow: Follow) -> Link {
        match follow {
            Follow::Always => Link::Followed,
            Follow::Operands if self.is_operand() => Link::Followed,
            Follow::Operands | Follow::Never => Link::Itself,
        }
    }

    /// Where the copy is.
    fn copied(&self) -> Copied {
        let trail = self.folder.map(|folder| folder.target_trail().clone());
        Copied { trail, name: self.target.name.to_owned() }
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> Error {
        Error::Refused { refusal, from: self.source.path(), to: self.target.path() }
    }
}

/// What is done about whatever has the copy's name.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// It stays the same file, and gets other contents.
    pub(crate) existing: Option<Status>,
    /// Something has the name that gives way to a new file.
    pub(crate) replaces: bool,
    /// The name of its backup.
    pub(crate) backup: Option<CString>,
}

/// How a source and an existing destination are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// One may be written without harm to the other.
    Apart,
    /// What was asked for is so already.
    Done,
    /// Writing the destination would destroy the source.
    Same,
}

/// A thread that copies.
pub(crate) struct Worker<'s> {
    pub(crate) session: &'s Session<'s>,
    pub(crate) workspace: Workspace,
    /// File systems, by device number. Each thread asks for itself, and waits for no other.
    file_systems: HashMap<u64, FileSystem>,
}

impl<'s> Worker<'s> {
    pub(crate) fn new(session: &'s Session<'s>) -> Self {
        Self { session, workspace: Workspace::new(), file_systems: HashMap::new() }
    }

    /// The file system that an open file is on, asked once for each device.
    pub(crate) fn file_system(&mut self, device: u64, file: &File) -> FileSystem {
        *self.file_systems.entry(device).or_insert_with(|| FileSystem::of(file))
    }

    /// Copies a name, and tells of an error. Answers the folder that is to be filled, if it is one.
    pub(crate) fn copy(&mut self, entry: Entry<'_>) -> Option<Folder> {
        self.try_copy(entry).unwrap_or_else(|error| {
            self.session.fail(error);
            None
        })
    }

    fn try_copy(&mut self, entry: Entry<'_>) -> Result<Option<Folder>, Error> {
        let options = self.session.options;
        let opened = self.open_at_once(entry);
        let link = entry.link(options.follow);
        let status = match &opened {
            Some((_, status)) => *status,
            None => entry.source.status(link).map_err(entry.source.refused("cannot stat"))?,
        };
        if status.is_folder() && !options.recursive {
            return Err(entry.refused(Refusal::Folder));
        }
        let way = if entry.is_fresh() { Some(Way::default()) } else { self.clear_the_way(entry, &status)? };
        let Some(way) = way else {
            count(&self.session.totals.skipped);
            self.session.tell(|observer| observer.event(Event::Kept(&entry.target.path())));
            return Ok(None);
        };
        if status.is_folder() {
            return self.copy_folder(entry, &status, way.existing.as_ref());
        }
        self.tell_begun(entry, way.backup.as_ref());
        let copied = self.copy_file(entry, &status, opened.map(|(file, _)| file), &way);
        if let (Err(_), Some(backup)) = (&copied, &way.backup)
            && let Err(errno) = backup::take_back(entry.target, backup)
        {
            self.session.fail(entry.target.refused("cannot take back the backup of")(errno));
        }
        if copied.is_ok()
            && entry.is_operand()
            && self.session.has_several_operands
            && let Ok(made) = entry.target.status(Link::Itself)
        {
            self.session.note_made(made.id, entry.target.name.to_owned());
        }
        copied.map(|()| None)
    }

    /// Copies what is not a folder, or links it to the copy of another name of it.
    fn copy_file(&mut self, entry: Entry<'_>, status: &Status, opened: Option<File>, way: &Way) -> Result<(), Error> {
        let options = self.session.options;
        let may_have_other_names = status.nlink > 1 || entry.link(options.follow) == Link::Followed;
        if options.preserve.links.wanted() && may_have_other_names {
            let slot = self.session.links.slot(status.id);
            let mut slot = lock(&slot);
            if let Some(copied) = &*slot {
                return self.link_again(copied, entry, way);
            }
            self.copy_other(entry, status, opened, way)?;
            *slot = Some(entry.copied());
            return Ok(());
        }
        self.copy_other(entry, status, opened, way)
    }

    /// Opens what must be a regular file, and is only to be read: that spares a look at it before.
    fn open_at_once(&self, entry: Entry<'_>) -> Option<(File, Status)> {
        let is_plain = entry.hint == FileType::RegularFile && self.session.options.method == Method::Contents;
        if !is_plain || !entry.is_fresh() {
            return None;
        }
        // What it is may have changed: a pipe must not be waited for, a link not be followed. Whatever goes wrong here
        // is told by those who look first.
        let file = entry.source.open(OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK, 0).ok()?;
        let status = Status::of(&file).ok().filter(Status::is_regular)?;
        Some((file, status))
    }

    pub(crate) fn tell_begun(&self, entry: Entry<'_>, backup: Option<&CString>) {
        self.session.tell(|observer| {
            let (source, destination) = (entry.source.path(), entry.target.path());
            let backup = backup.map(|backup| entry.target.named(backup).path());
            observer.event(Event::Begun { source: &source, destination: &destination, backup: backup.as_deref() });
        });
    }

    /// Makes another hard link to what was copied before under another name.
    fn link_again(&self, copied: &Copied, entry: Entry<'_>, way: &Way) -> Result<(), Error> {
        let taken = way.replaces || way.existing.is_some();
        self.make(entry.target, taken, |place| copied.link(place)).map_err(|errno| {
            let first = copied.path();
            Error::pair("cannot create hard link", &entry.target.path(), "to", &first)(errno.into())
        })?;
        count(&self.session.totals.links);
        Ok(())
    }

    /// Looks at what has the copy's name, and moves it out of the way if that is wanted. `None`: it stays as it is.
    fn clear_the_way(&self, entry: Entry<'_>, source: &Status) -> Result<Option<Way>, Error> {
        let options = self.session.options;
        let looked = self.looks_at_link(source);
        let existing = match entry.target.status(looked) {
            Ok(existing) => existing,
            Err(Errno::NOENT) => return Ok(Some(Way::default())),
            // A link that leads nowhere ever; it is removed like whatever can't be written to.
            Err(Errno::LOOP) if options.force => return Ok(Some(Way { replaces: true, ..Way::default() })),
            Err(errno) => return Err(entry.target.refused("cannot stat")(errno)),
        };
        if !source.is_folder() && options.existing == Existing::Keep {
            return Ok(None);
        }
        match self.relation(entry, source, &existing) {
            Relation::Apart => {}
            Relation::Done => return Ok(None),
            Relation::Same => return Err(Error::SameFile { from: entry.source.path(), to: entry.target.path() }),
        }
        if !source.is_folder() && self.keeps_old(entry, source, &existing)? {
            return Ok(None);
        }
        self.refuse_mismatch(entry, source, &existing, looked)?;
        if existing.is_folder() || source.is_folder() {
            return Ok(Some(Way { existing: Some(existing), ..Way::default() }));
        }
        if options.backup != Backup::None && !is_dots(entry.target) {
            return self.back_up(entry, source).map(Some);
        }
        let has_contents = options.method == Method::Contents;
        let new_identity = options.remove_destination
            || (has_contents && options.preserve.links.wanted() && existing.nlink > 1)
            || (has_contents && options.follow == Follow::Never && !source.is_regular());
        if new_identity {
            self.session.tell_removed(|| entry.target.path());
            return Ok(Some(Way { replaces: true, ..Way::default() }));
        }
        Ok(Some(Way { existing: Some(existing), ..Way::default() }))
    }

    /// Whether a link that has the copy's name is what will be replaced, rather than the file behind it.
    fn looks_at_link(&self, source: &Status) -> Link {
        let options = self.session.options;
        let is_read = options.special_contents || !options.recursive;
        let is_made = !source.is_regular() && (!is_read || source.is_folder() || source.is_link());
        let is_linked = matches!(options.method, Method::HardLink | Method::SymbolicLink);
        let gives_way = options.backup != Backup::None || options.remove_destination;
        if is_made || is_linked || gives_way { Link::Itself } else { Link::Followed }
    }

    /// Whether the old destination stays, by what was asked for or is answered now.
    fn keeps_old(&self, entry: Entry<'_>, source: &Status, existing: &Status) -> Result<bool, Error> {
        let options = self.session.options;
        let time = |status: &Status| (status.modified.tv_sec, status.modified.tv_nsec);
        match options.existing {
            Existing::Keep => return Ok(true),
            Existing::Fail => return Err(entry.refused(Refusal::Exists)),
            Existing::ReplaceOlder if time(existing) >= time(source) => {
                if options.preserve.links.wanted() && source.nlink > 1 {
                    // As cp does: it counts as the copy, and other names of the source are linked to it.
                    lock(&self.session.links.slot(source.id)).get_or_insert_with(|| entry.copied());
                }
                return Ok(true);
            }
            Existing::Overwrite | Existing::ReplaceOlder => {}
        }
        Ok(options.ask && !self.may_overwrite(entry, existing))
    }

    /// Asks.
    fn may_overwrite(&self, entry: Entry<'_>, existing: &Status) -> bool {
        let options = self.session.options;
        let path = entry.target.path();
        let question = match sys::may_write(entry.target.dir, entry.target.name) {
            false if !existing.is_link() => {
                let replace = options.remove_destination || options.force;
                Question::OverwriteUnwritable { path: &path, mode: existing.mode, replace }
            }
            _ => Question::Overwrite(&path),
        };
        self.session.observer.ask(question)
    }

    /// Refuses to put a folder in the place of something else, or the reverse, or to undo what was just done.
    fn refuse_mismatch(&self, entry: Entry<'_>, source: &Status, existing: &Status, looked: Link) -> Result<(), Error> {
        let options = self.session.options;
        if source.is_folder() && !existing.is_folder() {
            let leads_to_folder = || entry.target.status(Link::Followed).is_ok_and(|status| status.is_folder());
            if !(options.keep_directory_symlink && existing.is_link() && leads_to_folder()) {
                return Err(entry.refused(Refusal::OtherByFolder));
            }
        }
        // With numbered backups nothing gets lost.
        if entry.is_operand() && !existing.is_folder() && options.backup != Backup::Numbered {
            let name = entry.target.name.to_owned();
            if self.session.was_made(existing.id, &name) {
                return Err(entry.refused(Refusal::JustCreated));
            }
            let made_link = |link: &Status| link.is_link() && self.session.was_made(link.id, &name);
            if looked == Link::Followed && entry.target.status(Link::Itself).is_ok_and(|link| made_link(&link)) {
                return Err(entry.refused(Refusal::ThroughJustCreated));
            }
        }
        if !source.is_folder() && existing.is_folder() {
            return Err(entry.refused(Refusal::FolderByOther));
        }
        Ok(())
    }

    /// Gives the destination a backup.
    fn back_up(&self, entry: Entry<'_>, source: &Status) -> Result<Way, Error> {
        let options = self.session.options;
        let target = entry.target;
        let named = || backup::name(target, options.backup, &options.suffix).map_err(target.refused("cannot backup"));
        let mut name = named()?;
        let is_source = || target.named(&name).status(Link::Followed).is_ok_and(|backup| backup.id == source.id);
        if backup::would_take(target, &options.suffix, entry.source.name.to_bytes()) && is_source() {
            return Err(entry.refused(Refusal::BackupOverSource));
        }
        let mut made = backup::make(target, &name);
        for _attempt in 0..BACKUP_ATTEMPTS {
            if made != Err(Errno::EXIST) {
                break;
            }
            name = named()?;
            made = backup::make(target, &name);
        }
        let replaces = made.map_err(target.refused("cannot backup"))?;
        Ok(Way { existing: None, replaces, backup: Some(name) })
    }

    /// How the source and what has the copy's name are related, as cp(1) sees it.
    fn relation(&self, entry: Entry<'_>, source: &Status, existing: &Status) -> Relation {
        let options = self.session.options;
        let same = source.id == existing.id;
        let links = options.method == Method::HardLink;
        let link = entry.link(options.follow);
        if same && links {
            return Relation::Done;
        }
        if link == Link::Followed && !same {
            return Relation::Apart;
        }
        // What the names themselves are, links or not.
        let (source_name, target_name) = match link {
            Link::Itself => (*source, *existing),
            Link::Followed => match (entry.source.status(Link::Itself), entry.target.status(Link::Itself)) {
                (Ok(source), Ok(target)) => (source, target),
                _ => return Relation::Apart,
            },
        };
        let has_backup = options.backup != Backup::None;
        let one_name = || is_one_name(entry.source, entry.target);
        let apart_unless = |same: bool| if same { Relation::Same } else { Relation::Apart };
        let both_links = source_name.is_link() && target_name.is_link();
        if both_links && link == Link::Itself {
            return match one_name() {
                true => Relation::Same,
                false if same && !has_backup => Relation::Done,
                false => Relation::Apart,
            };
        }
        if both_links && options.remove_destination {
            return Relation::Apart;
        }
        let one_file = source_name.id == target_name.id;
        if has_backup {
            // Moving the file away would leave the link that is the source without its end.
            let dangles = link == Link::Followed && source_name.is_link() && !target_name.is_link();
            return apart_unless(if one_file { one_name() } else { dangles });
        }
        if options.remove_destination && (target_name.is_link() || (one_file && target_name.nlink > 1 && !one_name())) {
            return Relation::Apart;
        }
        if !source_name.is_link() && !target_name.is_link() && !one_file {
            return Relation::Apart;
        }
        if options.method == Method::SymbolicLink && target_name.is_link() {
            return Relation::Apart;
        }
        if link == Link::Itself {
            if !lead_to_one_file((entry.source, source_name), (entry.target, target_name)) {
                return Relation::Apart;
            }
            if links {
                return if target_name.is_link() { Relation::Apart } else { Relation::Done };
            }
        }
        Relation::Same
    }
}

/// Whether two names with these statuses are, or lead to, one file.
fn lead_to_one_file(left: (Place<'_>, Status), right: (Place<'_>, Status)) -> bool {
    let behind = |(place, name): (Place<'_>, Status)| match name.is_link() {
        true => place.status(Link::Followed).ok(),
        false => Some(name),
    };
    matches!((behind(left), behind(right)), (Some(left), Some(right)) if left.id == right.id)
}

/// Whether two names are one.
fn is_one_name(left: Place<'_>, right: Place<'_>) -> bool {
    name_in_folder(left).is_some_and(|left| Some(left) == name_in_folder(right))
}

/// What tells one name from another, by whatever path it is called: the folder that it is in, and the last component.
pub(crate) fn name_in_folder(place: Place<'_>) -> Option<(FileId, Vec<u8>)> {
    let folder = place.sibling(c".");
    let folder = place.named(&folder);
    let id = folder.status(Link::Followed).ok()?.id;
    Some((id, sys::name_key(folder, backup::last_component(place.name.to_bytes()))))
}

/// Whether the last component is `.` or `..`, which have no backup.
fn is_dots(place: Place<'_>) -> bool {
    matches!(backup::last_component(place.name.to_bytes()), b"." | b"..")
}
