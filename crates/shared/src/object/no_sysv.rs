//! System V shared memory, where the system has none: every name of it is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mapio_map::MapMode;

use super::{Place, SharedObject, SharedOptions};
use crate::error::Error;
use crate::memory::Memory;
use crate::name::ObjectName;
use crate::sys::{self, SegmentStatus};

/// How the names of lock files begin where there are some.
pub(crate) const COMPANION_PREFIX: &str = ".mapio-sysv-";

impl SharedOptions {
    /// Makes a System V object without a key, which this system does not have.
    ///
    /// # Errors
    /// [`Error::Invalid`], always.
    pub fn create_sysv_private(&self) -> Result<SharedObject, Error> {
        create(self, 0)
    }
}

fn refused<T>(object: &str) -> Result<T, Error> {
    Err(Error::invalid(object, sys::NO_SEGMENTS.unwrap_or_default()))
}

pub(super) fn create(_: &SharedOptions, key: i32) -> Result<SharedObject, Error> {
    refused(&ObjectName::SysVKey(key).to_string())
}

pub(super) fn open(_: &SharedOptions, name: &ObjectName) -> Result<SharedObject, Error> {
    refused(&name.to_string())
}

pub(super) fn remove(name: &ObjectName) -> Result<(), Error> {
    refused(&name.to_string())
}

pub(crate) fn find(name: &ObjectName) -> Result<i32, Error> {
    refused(&name.to_string())
}

pub(crate) fn attach_with_companion(_: i32, _: MapMode, object: &Arc<str>) -> Result<Option<Memory>, Error> {
    refused(object)
}

pub(super) fn take_key(_: i32, object: &str) -> Result<(), Error> {
    refused(object)
}

pub(crate) fn is_abandoned(_: &SegmentStatus) -> bool {
    false
}

pub(super) fn free_dead_segment(_: &Arc<str>, _: i32, _: Duration) -> bool {
    false
}

pub(super) fn is_gone(_: i32) -> bool {
    true
}

pub(crate) fn place_of(id: i32) -> Place {
    Place::Segment { id, companion: PathBuf::new() }
}

pub(crate) fn segment_of_companion(_: &str) -> Option<i32> {
    None
}
