//! Opening once more what is open already: a handle with a part of its own.

use std::fs::File;
use std::sync::Arc;

use mapio_map::MapMode;
use mapio_map::descriptor::{self, BorrowedDescriptor};

use super::named::{check_regular, join};
use super::{ObjectKind, Place, SharedObject, SharedOptions, section};
use crate::error::Error;
use crate::name::ObjectName;
use crate::sys;

/// What errors call an object, what kind it is of, and where its name is.
pub(super) type Identity = (Arc<str>, ObjectKind, Place);

impl SharedOptions {
    /// Opens the object that a descriptor stands for, of which is known what it is called.
    pub(super) fn adopt(
        &self,
        file: BorrowedDescriptor<'_>,
        (object, kind, place): Identity,
    ) -> Result<SharedObject, Error> {
        // Opening a pipe or a device can do something; a descriptor that is one says so before.
        check_regular(file, &object)?;
        let path = if let Place::Path(path) = &place { Some(path.as_path()) } else { None };
        let opened = sys::reopen(file, path, self.map_mode == MapMode::ReadWrite);
        let file = File::from(opened.map_err(Error::os("opening", &object))?);
        let joined = join(self, &file, &object, &place)?;
        let parts = joined.ok_or_else(|| Error::NotFound { object: object.to_string() })?;
        SharedObject::new(kind, place, parts)
    }
}

impl SharedObject {
    /// Opens the object once more: a handle with a part of its own, which sees the length that the object has now.
    ///
    /// Also for the child after a fork, and for objects that have lost their names.
    ///
    /// # Errors
    /// As [`SharedOptions::open`]; [`Error::NotFound`] when the object was removed.
    pub fn reopen(&self) -> Result<Self, Error> {
        let mapping = self.inner.memory.mapping();
        let mut options = SharedOptions::new().map_mode(mapping.mode());
        options.raw = self.is_raw();
        match &self.inner.place {
            Place::Segment { id, .. } => options.open(ObjectName::SysVId(*id)),
            Place::Section { full_name } => section::open(&options, &self.inner.name, full_name),
            place => options.adopt(descriptor::of(mapping), (self.inner.name.clone(), self.kind(), place.clone())),
        }
    }
}
