//! Where something stands in an object, and how long its users are ready to wait.

use std::time::Duration;

use crate::error::Error;
use crate::lock::Patience;
use crate::memory::Memory;
use crate::object::SharedObject;
use crate::participant::Participant;

/// Offsets are multiples of it, for the widest of words.
const ALIGNMENT: usize = 8;

/// A part of an object's contents, which keeps the object open.
#[derive(Debug, Clone)]
pub(super) struct Place {
    object: SharedObject,
    memory: Memory,
}

/// How long somebody is ready to wait.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Try,
    Within(Duration),
    None,
}

impl Place {
    /// `len` bytes at `offset` of the contents.
    pub(super) fn new(object: &SharedObject, offset: usize, len: usize) -> Result<Self, Error> {
        if !offset.is_multiple_of(ALIGNMENT) {
            let reason = format!("byte {offset} is not at a multiple of {ALIGNMENT}");
            return Err(Error::invalid(object.name(), reason));
        }
        Ok(Self { object: object.clone(), memory: object.memory().part(offset, len)? })
    }

    /// As [`new`](Self::new), for what can't be used by those who only read.
    pub(super) fn of_participant(object: &SharedObject, offset: usize, len: usize) -> Result<Self, Error> {
        object.participant()?;
        Self::new(object, offset, len)
    }

    #[inline]
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    #[inline]
    pub(super) fn participant(&self) -> Result<&Participant, Error> {
        self.object.participant()
    }

    pub(super) fn object(&self) -> &SharedObject {
        &self.object
    }

    /// Does what may have to wait, as long as the limit allows; `attempt` answers `None` at the end of its patience.
    #[inline]
    pub(super) fn within<R>(
        &self,
        limit: Limit,
        mut attempt: impl FnMut(Patience) -> Result<Option<R>, Error>,
    ) -> Result<R, Error> {
        let object = || self.object.name().to_owned();
        match limit {
            Limit::Try => attempt(Patience::None)?.ok_or_else(|| Error::WouldBlock { object: object() }),
            Limit::Within(waited) => {
                attempt(Patience::lasting(waited))?.ok_or_else(|| Error::Timeout { object: object(), waited })
            }
            Limit::None => loop {
                if let Some(done) = attempt(Patience::Unlimited)? {
                    return Ok(done);
                }
            },
        }
    }
}
