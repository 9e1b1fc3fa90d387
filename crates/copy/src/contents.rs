//! The contents of one file: where they are written, how they get there, and what is checked before they have their
//! name.

use std::ffi::CString;
use std::fs::File;
use std::time::Instant;

use crate::attributes::{self, Original};
use crate::cache::{self, Absent};
use crate::compare::{Comparison, compare_open};
use crate::destination::{self, CANNOT_REPLACE, Destination};
use crate::engine::{NamedFile, Transferred, transfer_from, transfer_stream};
use crate::entry::{Entry, Way, Worker};
use crate::error::{Error, Refusal};
use crate::file_system::FileSystem;
use crate::meter::Meter;
use crate::observer::Event;
use crate::options::{Existing, Method, Placement, Sync};
use crate::place::{Link, Place};
use crate::plan::{Facts, Plan};
use crate::report::{Placed, Report, Verified, VerifiedFrom};
use crate::session::{add, count};
use crate::status::Status;
use crate::sys::{self, Errno, OFlags, is_mount_root};

/// A resumed copy goes on at a multiple of this many bytes: a block of most file systems.
const RESUME_ALIGN: u64 = 4096;

/// The file that is read, and what it was when it was opened.
#[derive(Debug)]
struct Source {
    file: File,
    status: Status,
    file_system: FileSystem,
}

/// Where contents are written.
#[derive(Debug, Clone, Copy)]
struct Spot<'a> {
    /// The destination; behind the link, where there is one.
    place: Place<'a>,
    /// Whether it is a link all the same, and to be followed, because nobody knows where it leads.
    link: Link,
    placement: Placement,
}

/// What was moved, and how.
struct Moved {
    plan: Plan,
    transferred: Transferred,
    resumed_bytes: u64,
    calls: u64,
}

impl Source {
    /// Length in bytes; 0 for a file that is read to its end, wherever that is.
    fn len(&self) -> u64 {
        if self.file_system == FileSystem::Kernel || !self.status.is_regular() { 0 } else { self.status.len }
    }

    /// Checks that the file is still what it was, by length and time of modification.
    fn check_unchanged(&self, place: Place<'_>) -> Result<(), Error> {
        // The kernel's own files know neither their length nor when they change.
        if !self.status.is_regular() || self.file_system == FileSystem::Kernel {
            return Ok(());
        }
        let now = Status::of(&self.file).map_err(place.refused("cannot fstat"))?;
        if (now.len, now.modified) == (self.status.len, self.status.modified) {
            return Ok(());
        }
        Err(Error::SourceChanged { path: place.path(), before: self.status.version(), after: now.version() })
    }
}

impl Worker<'_> {
    /// Copies contents and attributes.
    pub(crate) fn copy_contents(
        &mut self,
        entry: Entry<'_>,
        status: &Status,
        opened: Option<File>,
        way: &Way,
    ) -> Result<(), Error> {
        let report = self.copy_contents_reported(entry, status, opened, way)?;
        if let Some(report) = report {
            self.session.observer.event(Event::Copied(&report));
        }
        Ok(())
    }

    fn copy_contents_reported(
        &mut self,
        entry: Entry<'_>,
        status: &Status,
        opened: Option<File>,
        way: &Way,
    ) -> Result<Option<Report>, Error> {
        let begun = Instant::now();
        let source = self.open_source(entry, status, opened)?;
        let behind = way.existing.as_ref().and_then(|_| behind_link(entry.target));
        let mut placement = self.session.options.placement;
        let is_regular = source.status.is_regular();
        if !is_regular
            && placement == Placement::Auto
            && way.existing.is_some()
            && is_mount_root(entry.target.dir, entry.target.name)
        {
            // A rename that is refused comes too late for what can be read only once.
            placement = Placement::InPlace;
        }
        let spot = match &behind {
            None => Spot { place: entry.target, link: Link::Itself, placement },
            Some(Some(path)) => Spot { place: Place::new(path), link: Link::Itself, placement },
            // A rename would replace the link.
            Some(None) => Spot { place: entry.target, link: Link::Followed, placement: Placement::InPlace },
        };
        let written = self.write(entry, &source, spot, way, begun);
        match written {
            Err(error) if placement == Placement::Auto && is_regular && is_mount_point(&error) => {
                destination::remove_partial(spot.place);
                self.write(entry, &source, Spot { placement: Placement::InPlace, ..spot }, way, begun)
            }
            written => written,
        }
    }

    fn open_source(&mut self, entry: Entry<'_>, status: &Status, opened: Option<File>) -> Result<Source, Error> {
        let (file, status) = match opened {
            Some(file) => (file, *status),
            None => {
                let mut flags = OFlags::RDONLY;
                flags.set(OFlags::NOFOLLOW, entry.link(self.session.options.follow) == Link::Itself);
                // A pipe that has taken a file's place must not be waited for; one that was asked for is.
                flags.set(OFlags::NONBLOCK, status.is_regular());
                let open = |errno: Errno| Error::Open { path: entry.source.path(), source: errno.into() };
                let file = entry.source.open(flags, 0).map_err(open)?;
                let now = Status::of(&file).map_err(entry.source.refused("cannot fstat"))?;
                if now.id != status.id {
                    return Err(entry.refused(Refusal::Replaced));
                }
                (file, now)
            }
        };
        let file_system = self.file_system(status.id.device, &file);
        Ok(Source { file, status, file_system })
    }

    /// Writes the destination and gives it its name.
    fn write(
        &mut self,
        entry: Entry<'_>,
        source: &Source,
        spot: Spot<'_>,
        way: &Way,
        begun: Instant,
    ) -> Result<Option<Report>, Error> {
        let session = self.session;
        let options = session.options;
        let target = spot.place;
        let (destination, placed) = self.land(entry, source, spot, way)?;
        if options.verify && (!source.status.is_regular() || destination.is_stream()) {
            // What was read from a pipe, or written to one, is gone.
            return Err(target.refused("cannot verify")(Errno::OPNOTSUPP));
        }
        let (from, to) = (NamedFile::at(&source.file, entry.source), NamedFile::at(destination.file(), target));
        let absent = options.evict.then(|| Absent::of(&source.file, source.len()));
        let moved = match options.method {
            Method::AttributesOnly => None,
            _ => Some(self.move_bytes(entry, source, &destination, target)?),
        };
        self.copy_attributes(source, &destination, target, placed);
        // A verification flushes first anyway.
        if moved.as_ref().is_some_and(|moved| moved.plan.flush) && !options.verify {
            flush(to)?;
        }
        if let Some(absent) = absent {
            absent.evict(&source.file);
            cache::evict_written(to.file).map_err(target.refused("flushing"))?;
        }
        let copied = begun.elapsed();
        let is_verified = options.verify && moved.is_some();
        let verified = if is_verified { Some(verify(entry, source, (from, to), session.meter)?) } else { None };
        if !entry.is_fresh() {
            // Behind a link it may be on another file system than its folder.
            session.note_written(destination.file());
        }
        let naming = Instant::now();
        destination.commit(options.existing_meanwhile())?;
        // A folder of a tree is flushed once, when it is whole.
        if options.sync == Sync::File && placed != Placed::InPlace && entry.is_operand() {
            sync_folder(target)?;
        }
        let elapsed = copied + naming.elapsed();
        let Some(Moved { plan, transferred, resumed_bytes, calls }) = moved else { return Ok(None) };
        count(&session.totals.files);
        add(&session.totals.bytes, transferred.bytes);
        add(&session.totals.hole_bytes, transferred.hole_bytes);
        Ok(session.wants_every_name().then(|| Report {
            source: entry.source.path(),
            destination: target.path(),
            placed,
            plan,
            transferred,
            resumed_bytes,
            calls,
            elapsed,
            verified,
        }))
    }

    /// Fills the destination with what the source holds, and checks that this has not changed meanwhile.
    fn move_bytes(
        &mut self,
        entry: Entry<'_>,
        source: &Source,
        destination: &Destination<'_>,
        target: Place<'_>,
    ) -> Result<Moved, Error> {
        let meter = self.session.meter;
        let calls = meter.calls();
        let plan = self.plan(source, entry, destination.file());
        let (from, to) = (NamedFile::at(&source.file, entry.source), NamedFile::at(destination.file(), target));
        let mut resumed_bytes = 0;
        let moved = if !source.status.is_regular() || destination.is_stream() {
            transfer_stream(from, to, &plan, meter, &mut self.workspace)
        } else {
            trusted_bytes(destination.left_bytes(), from, to, source.len(), meter).and_then(|trusted| {
                resumed_bytes = trusted;
                transfer_from(trusted, from, to, source.len(), &plan, meter, &mut self.workspace)
            })
        };
        let transferred = moved
            // A file that was cut is an error of the source's, whichever call has met it.
            .map_err(|error| source.check_unchanged(entry.source).err().unwrap_or(error))?;
        source.check_unchanged(entry.source)?;
        Ok(Moved { plan, transferred, resumed_bytes, calls: meter.calls() - calls })
    }

    fn copy_attributes(&self, source: &Source, destination: &Destination<'_>, target: Place<'_>, placed: Placed) {
        let preserve = &self.session.options.preserve;
        let is_new = placed != Placed::InPlace && destination.old_mode().is_none();
        let complain = |operation, errno| self.session.fail(target.refused(operation)(errno));
        let original = Original { file: &source.file, status: &source.status };
        attributes::copy(original, destination.file(), preserve, is_new, &complain);
        if let Some(mode) = destination.old_mode() {
            attributes::keep_set_id(mode, destination.file(), preserve, &complain);
        }
    }

    fn plan(&mut self, source: &Source, entry: Entry<'_>, destination: &File) -> Plan {
        let session = self.session;
        let device = self.target_device(entry, destination);
        let facts = Facts {
            from: source.file_system,
            to: self.file_system(device, destination),
            same_device: device == source.status.id.device,
            to_disk: session.options.sync == Sync::File,
            ..Facts::new(source.len())
        };
        let facts = facts.for_status(&source.file, &source.status, || session.processors());
        Plan::new(session.options.request, facts)
    }

    /// The device that the destination is on.
    fn target_device(&self, entry: Entry<'_>, destination: &File) -> u64 {
        match entry.folder {
            Some(folder) if folder.is_fresh => folder.target_device,
            _ => Status::of(destination).map_or(0, |status| status.id.device),
        }
    }

    /// Opens or makes the file that is written.
    fn land<'p>(
        &self,
        entry: Entry<'p>,
        source: &Source,
        spot: Spot<'p>,
        way: &Way,
    ) -> Result<(Destination<'p>, Placed), Error> {
        let options = self.session.options;
        if let Some(existing) = &way.existing {
            return self.land_on(existing, entry, source, spot);
        }
        let Spot { place: target, placement, .. } = spot;
        let mode = attributes::creation_mode(&options.preserve, &source.status);
        if way.replaces && placement != Placement::InPlace {
            // cp would have removed it first.
            let named = |error| match error {
                Error::Os { path, source, .. } if options.remove_destination => {
                    Error::Os { operation: "cannot remove", path, source }
                }
                error => error,
            };
            return Ok((self.hidden(source, target, mode, true).map_err(named)?, Placed::Replaced));
        }
        if way.replaces {
            target.remove().map_err(target.refused("cannot remove"))?;
        }
        let whole = placement == Placement::Atomic || (placement == Placement::Auto && entry.is_operand());
        if whole {
            self.refuse_dangling(entry, target)?;
            if target.name.to_bytes().last().is_some_and(|&last| sys::is_separator(last)) {
                return Err(target.refused("cannot create regular file")(Errno::NOTDIR));
            }
            if target.status(Link::Itself).is_err() {
                return Ok((self.hidden(source, target, mode, false)?, Placed::Whole));
            }
        }
        match Destination::direct(target, mode) {
            Ok(destination) => Ok((destination, Placed::Written)),
            Err(Errno::EXIST) => {
                self.refuse_dangling(entry, target)?;
                let is_link = target.status(Link::Itself).is_ok_and(|status| status.is_link());
                if entry.is_fresh() && sys::FOLDS_CASE {
                    // Another name of the source, that differs in case.
                    return Err(entry.refused(Refusal::JustCreated));
                }
                if !is_link && options.existing_meanwhile() != Existing::Overwrite {
                    return Err(target.refused("cannot create regular file")(Errno::EXIST));
                }
                if !is_link && placement != Placement::InPlace {
                    // Somebody has made it meanwhile, and may still be writing it.
                    return Ok((self.hidden(source, target, mode, true)?, Placed::Replaced));
                }
                let mut flags = OFlags::RDWR | OFlags::CREATE;
                // What was no link a moment ago must not lead elsewhere now.
                flags.set(OFlags::NOFOLLOW, !is_link);
                let file = target.open(flags, mode).map_err(target.refused("cannot create regular file"))?;
                Ok((cut_in_place(entry, source, target, file)?, Placed::Written))
            }
            // What names a folder by its slash.
            Err(Errno::ISDIR) => Err(target.refused("cannot create regular file")(Errno::NOTDIR)),
            Err(errno) => Err(target.refused("cannot create regular file")(errno)),
        }
    }

    /// Makes a file that nobody sees under the destination's name before it is whole.
    fn hidden<'p>(
        &self,
        source: &Source,
        target: Place<'p>,
        mode: u32,
        replaces: bool,
    ) -> Result<Destination<'p>, Error> {
        let options = self.session.options;
        if options.resume && options.method == Method::Contents && source.len() > 0 {
            return Destination::partial(target, mode, replaces);
        }
        Destination::unnamed(target, mode, replaces)
    }

    /// Refuses to make the file that a dangling link names, unless that was asked for.
    fn refuse_dangling(&self, entry: Entry<'_>, target: Place<'_>) -> Result<(), Error> {
        let is_link = || target.status(Link::Itself).is_ok_and(|status| status.is_link());
        if !self.session.options.write_through_dangling && is_link() {
            return Err(entry.refused(Refusal::Dangling));
        }
        Ok(())
    }

    /// Opens what exists, or makes a file just like it that will replace it.
    fn land_on<'p>(
        &self,
        existing: &Status,
        entry: Entry<'p>,
        source: &Source,
        spot: Spot<'p>,
    ) -> Result<(Destination<'p>, Placed), Error> {
        let options = self.session.options;
        let Spot { place: target, placement, .. } = spot;
        let mut flags = if existing.is_regular() { OFlags::RDWR } else { OFlags::WRONLY | OFlags::NOCTTY };
        // What was no link a moment ago must not lead elsewhere now.
        flags.set(OFlags::NOFOLLOW, spot.link == Link::Itself);
        // cp does not ask for the right to read, and may not have it.
        let opened = target.open(flags, 0).or_else(|errno| match errno {
            Errno::ACCESS if existing.is_regular() => target.open((flags - OFlags::RDWR) | OFlags::WRONLY, 0),
            errno => Err(errno),
        });
        let old = match opened {
            Ok(old) => old,
            Err(_) if options.force => {
                // The name itself gives way, even if it is a link.
                self.session.tell_removed(|| entry.target.path());
                let mode = attributes::creation_mode(&options.preserve, &source.status);
                return Ok((self.hidden(source, entry.target, mode, true)?, Placed::Replaced));
            }
            Err(errno) => return Err(entry.target.refused("cannot create regular file")(errno)),
        };
        let status = Status::of(&old).map_err(target.refused("cannot fstat"))?;
        if !status.is_regular() {
            return Ok((Destination::stream(target, old), Placed::InPlace));
        }
        if options.method == Method::AttributesOnly {
            return Ok((Destination::in_place(target, old), Placed::InPlace));
        }
        if placement == Placement::Atomic || (placement == Placement::Auto && status.nlink == 1) {
            let original = Original { file: &old, status: &status };
            match self.hidden(source, target, source.status.mode & status.mode & 0o777, true) {
                Ok(mut destination) => match destination.keep_identity(original) {
                    Ok(()) => return Ok((destination, Placed::Replaced)),
                    Err(errno) => {
                        drop(destination);
                        destination::remove_partial(target);
                        if placement == Placement::Atomic {
                            return Err(target.refused(CANNOT_REPLACE)(errno));
                        }
                        // There can't be another file just like it, so it stays that file.
                    }
                },
                Err(error) if placement == Placement::Atomic || !may_write_in_place(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok((cut_in_place(entry, source, target, old)?, Placed::InPlace))
    }
}

/// Takes a file that stays the same for the new contents, unless the name has come to mean the source meanwhile.
fn cut_in_place<'p>(
    entry: Entry<'_>,
    source: &Source,
    target: Place<'p>,
    file: File,
) -> Result<Destination<'p>, Error> {
    let status = Status::of(&file).map_err(target.refused("cannot fstat"))?;
    if status.id == source.status.id {
        return Err(Error::SameFile { from: entry.source.path(), to: entry.target.path() });
    }
    if !status.is_regular() {
        return Ok(Destination::stream(target, file));
    }
    file.set_len(0).map_err(Error::os("cannot truncate", target.path()))?;
    Ok(Destination::in_place(target, file))
}

/// How much of what an interrupted copy has left is what the source holds: each byte is compared before it is trusted.
/// What follows is cut off.
fn trusted_bytes(left: u64, from: NamedFile<'_>, to: NamedFile<'_>, len: u64, meter: &Meter) -> Result<u64, Error> {
    let left = left.min(len);
    if left == 0 {
        return Ok(0);
    }
    // They are counted with the copy, of which they are a part.
    let same = match compare_open((from, left), (to, left), |_| to.check_stopped(meter))? {
        Comparison::Same { bytes } => bytes,
        Comparison::Differ { offset, .. } => offset - offset % RESUME_ALIGN,
    };
    to.file.set_len(same).map_err(Error::os("cannot truncate", to.name))?;
    Ok(same)
}

/// Whether the destination turned out to be what can't be renamed over, only written to.
fn is_mount_point(error: &Error) -> bool {
    matches!(error, Error::Os { operation: CANNOT_REPLACE, source, .. } if sys::is_irreplaceable(source))
}

/// Whether a folder takes no new file although an old one in it may be written to.
fn may_write_in_place(error: &Error) -> bool {
    let Error::Os { source, .. } = error else { return false };
    let errno = source.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOENT | Errno::OPNOTSUPP))
}

/// The path of the file behind a link that has the destination's name: `None` if it is no link, `Some(None)` if the
/// path can't be found out.
fn behind_link(place: Place<'_>) -> Option<Option<CString>> {
    let is_link = place.status(Link::Itself).is_ok_and(|status| status.is_link());
    is_link.then(|| sys::path_behind(place.dir, place.name))
}

fn flush(destination: NamedFile<'_>) -> Result<(), Error> {
    match sys::fsync(destination.file) {
        // What has no disk, as a pipe has none, can't be flushed: fsync(2).
        Err(Errno::INVAL) if !Status::of(destination.file).is_ok_and(|status| status.is_regular()) => Ok(()),
        Ok(()) => Ok(()),
        Err(errno) => Err(Error::os("flushing", destination.name)(errno.into())),
    }
}

/// Waits until the folder of a name is on the disk, and the name with it.
pub(crate) fn sync_folder(place: Place<'_>) -> Result<(), Error> {
    let folder = place.sibling(c".");
    let opened = place.named(&folder).open(OFlags::RDONLY | OFlags::DIRECTORY, 0);
    let synced = opened.and_then(|folder| sys::fsync_folder(&folder));
    synced.map_err(place.refused("flushing the folder of"))
}

/// Compares the copy, as the disk has it, to its source.
fn verify(
    entry: Entry<'_>,
    source: &Source,
    files: (NamedFile<'_>, NamedFile<'_>),
    meter: &Meter,
) -> Result<Verified, Error> {
    let (from, to) = files;
    let begun = Instant::now();
    flush(to)?;
    // The pages are clean now and nobody else uses them, so they can go. Where this is only advice that is not taken,
    // the comparison is still one of what every reader will see.
    sys::evict(to.file, 0, None);
    let read_from = match FileSystem::of(to.file) {
        FileSystem::Memory => VerifiedFrom::Memory,
        _ if sys::EVICTS => VerifiedFrom::Disk,
        _ => VerifiedFrom::Memory,
    };
    let len = to.file.metadata().map_err(Error::os("cannot fstat", to.name))?.len();
    match compare_open((from, source.len()), (to, len), |_| to.check_stopped(meter))? {
        Comparison::Same { .. } => Ok(Verified { elapsed: begun.elapsed(), from: read_from }),
        Comparison::Differ { offset, .. } => {
            // A source that has been written to meanwhile is no fault of the copy.
            source.check_unchanged(entry.source)?;
            Err(Error::VerifyFailed { path: to.name.into(), offset })
        }
    }
}
