//! What is not a regular file nor a folder: links of both kinds, pipes, devices, sockets.
//!
//! They have no contents to be half written, so each is made in one step, or beside its name and renamed where
//! something gives way to it.

use std::fs::File;

use crate::entry::{Entry, Way, Worker};
use crate::error::{Error, Refusal};
use crate::options::Method;
use crate::place::{Link, Place};
use crate::session::count;
use crate::status::Status;
use crate::sys::{self, Errno, FileType};
use crate::{attributes, destination};

impl Worker<'_> {
    /// Copies what is not a folder, in the way that was asked for.
    pub(crate) fn copy_other(
        &mut self,
        entry: Entry<'_>,
        source: &Status,
        opened: Option<File>,
        way: &Way,
    ) -> Result<(), Error> {
        let options = self.session.options;
        match options.method {
            Method::SymbolicLink => self.link_symbolically(entry, way),
            Method::HardLink => self.link_hard(entry, source, way),
            // Without -r, whatever can be read is read; with it, what is met in a folder is made again.
            _ if source.is_regular() => self.copy_contents(entry, source, opened, way),
            _ if source.is_link() => self.copy_link(entry, source, way),
            _ if options.special_contents || !options.recursive => self.copy_contents(entry, source, opened, way),
            _ => self.copy_special(entry, source, way),
        }
    }

    /// Makes something under a name. What has the name gives way in one step.
    pub(crate) fn make(
        &self,
        place: Place<'_>,
        taken: bool,
        make: impl Fn(Place<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if !taken {
            return make(place);
        }
        destination::make_beside(place, make)
    }

    /// Whether what exists gives way to a link.
    fn link_replaces(&self, way: &Way) -> bool {
        let options = self.session.options;
        way.replaces || (way.existing.is_some() && options.force)
    }

    fn link_symbolically(&self, entry: Entry<'_>, way: &Way) -> Result<(), Error> {
        let content = entry.source.path();
        let is_here = || {
            let folder = entry.target.sibling(c".");
            let folder = entry.target.named(&folder).status(Link::Followed).map(|status| status.id);
            let current = Place::new(c".").status(Link::Followed).map(|status| status.id);
            matches!((folder, current), (Ok(folder), Ok(current)) if folder == current)
        };
        if !content.is_absolute() && !is_here() {
            return Err(entry.refused(Refusal::RelativeLink));
        }
        let linked =
            self.make(entry.target, self.link_replaces(way), |place| sys::symlinkat(&content, place.dir, place.name));
        linked.map_err(|errno| {
            Error::pair("cannot create symbolic link", &entry.target.path(), "to", &content)(errno.into())
        })?;
        count(&self.session.totals.links);
        Ok(())
    }

    fn link_hard(&self, entry: Entry<'_>, source: &Status, way: &Way) -> Result<(), Error> {
        let link = match entry.link(self.session.options.follow) {
            Link::Followed if !source.is_link() => Link::Followed,
            _ => Link::Itself,
        };
        let from = entry.source;
        // As cp does for hard links, and only for them.
        let replaces = self.link_replaces(way) || (way.existing.is_some() && self.session.options.ask);
        let linked = self
            .make(entry.target, replaces, |place| sys::linkat((from.dir, from.name), (place.dir, place.name), link));
        linked.map_err(|errno| {
            Error::pair("cannot create hard link", &entry.target.path(), "to", &from.path())(errno.into())
        })?;
        count(&self.session.totals.links);
        Ok(())
    }

    fn copy_link(&self, entry: Entry<'_>, source: &Status, way: &Way) -> Result<(), Error> {
        let content = sys::readlinkat(entry.source.dir, entry.source.name)
            .map_err(entry.source.refused("cannot read symbolic link"))?;
        let taken = way.replaces || way.existing.is_some_and(|existing| existing.is_link());
        let linked = self.make(entry.target, taken, |place| sys::copy_linkat(&content, place.dir, place.name));
        linked.map_err(entry.target.refused("cannot create symbolic link"))?;
        count(&self.session.totals.links);
        self.copy_attributes_unopened(entry, source);
        Ok(())
    }

    fn copy_special(&self, entry: Entry<'_>, source: &Status, way: &Way) -> Result<(), Error> {
        let (kind, operation) = match source.kind {
            FileType::Fifo => (FileType::Fifo, "cannot create fifo"),
            kind => (kind, "cannot create special file"),
        };
        let mode = attributes::creation_mode(&self.session.options.preserve, source);
        let made =
            self.make(entry.target, way.replaces, |place| sys::mknodat(place.dir, place.name, kind, mode, source.rdev));
        made.map_err(entry.target.refused(operation))?;
        count(&self.session.totals.special);
        self.copy_attributes_unopened(entry, source);
        Ok(())
    }

    fn copy_attributes_unopened(&self, entry: Entry<'_>, source: &Status) {
        let complain = |operation, errno| self.session.fail(entry.target.refused(operation)(errno));
        attributes::copy_unopened(source, entry.target, &self.session.options.preserve, &complain);
    }
}
