//! Why something shared could not be made, opened or used.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::time::Duration;

use mapio_map::Fault;

/// What an operation on something shared answers when it has failed.
///
/// `object` names the object, lock, channel or log as the user would: by the name that it was opened with.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Os {
        /// What was being done, such as `creating`.
        operation: &'static str,
        /// To what.
        object: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It could not be mapped, or its bytes not flushed.
    Map {
        /// What.
        object: String,
        /// What the mapping said.
        source: mapio_map::Error,
    },
    /// Its bytes were not to be had: somebody has cut it short, or the mapping does not allow the access.
    Fault {
        /// What.
        object: String,
        /// What the access said.
        source: Fault,
    },
    /// There is nothing of that name.
    NotFound {
        /// The name.
        object: String,
    },
    /// There is something of that name already.
    Exists {
        /// The name.
        object: String,
    },
    /// What was asked for makes no sense, whatever there is: a name with a slash, no bytes at all.
    Invalid {
        /// What was asked for.
        object: String,
        /// Why not.
        reason: String,
    },
    /// It was not made by this library, or by a version of it, or on a machine, that this one does not understand.
    Foreign {
        /// What.
        object: String,
        /// What tells so.
        reason: &'static str,
    },
    /// It holds something else than was asked for: another type, or another layout of it.
    WrongLayout {
        /// What.
        object: String,
        /// What was expected, as `Layout::HASH` or by name.
        expected: String,
        /// What was found.
        found: String,
    },
    /// It holds what nobody who keeps to the rules has written there.
    Corrupt {
        /// What.
        object: String,
        /// First byte concerned, from the start of the object.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A `try_` form would have to wait: the lock is held, the channel is full or empty.
    WouldBlock {
        /// What.
        object: String,
    },
    /// The time is over, and what was waited for has not happened.
    Timeout {
        /// What.
        object: String,
        /// How long was waited.
        waited: Duration,
    },
    /// There is nobody at the other end: all senders, or all receivers, have gone or died. What they had sent has been
    /// received.
    Disconnected {
        /// What.
        object: String,
    },
    /// It was removed or closed for good by somebody.
    Closed {
        /// What.
        object: String,
    },
    /// Messages were overwritten before this receiver has read them; the next ones follow.
    Lagged {
        /// What.
        object: String,
        /// How many are missing.
        missed: u64,
    },
    /// No more can take part: all places are taken by somebody who is alive.
    Crowded {
        /// What.
        object: String,
        /// How many places there are.
        places: u64,
    },
    /// An earlier failure has left it unknown what is on the disk: no more is taken until it is opened again.
    Failed {
        /// What.
        object: String,
        /// The earlier failure.
        reason: String,
    },
    /// A message or a record does not fit, however empty it is.
    TooLong {
        /// What.
        object: String,
        /// Bytes that the message has.
        len: u64,
        /// Bytes that it may have.
        most: u64,
    },
}

impl Error {
    pub(crate) fn os(operation: &'static str, object: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let object = object.to_owned();
        move |source| Self::Os { operation, object, source }
    }

    pub(crate) fn invalid(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { object: object.into(), reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, object, .. } => write!(f, "{operation} {object}"),
            Self::Map { object, source } => write!(f, "{object}: {source}"),
            Self::Fault { object, source } => write!(f, "{object}: {source}"),
            Self::NotFound { object } => write!(f, "{object} does not exist"),
            Self::Exists { object } => write!(f, "{object} exists already"),
            Self::Invalid { object, reason } => write!(f, "{object}: {reason}"),
            Self::Foreign { object, reason } => write!(f, "{object} is not ours to use: {reason}"),
            Self::WrongLayout { object, expected, found } => {
                write!(f, "{object} holds {found}, not {expected}")
            }
            Self::Corrupt { object, offset, reason } => {
                write!(f, "{object} is damaged at byte {offset}: {reason}")
            }
            Self::WouldBlock { object } => write!(f, "{object}: it would have to be waited for"),
            Self::Timeout { object, waited } => {
                write!(f, "{object}: nothing has happened for {} s", waited.as_secs_f64())
            }
            Self::Disconnected { object } => write!(f, "{object}: there is nobody at the other end"),
            Self::Closed { object } => write!(f, "{object} was closed"),
            Self::Lagged { object, missed } => {
                write!(f, "{object}: {missed} messages were overwritten before they were read")
            }
            Self::Crowded { object, places } => {
                write!(f, "{object}: all {places} places are taken")
            }
            Self::Failed { object, reason } => {
                write!(f, "{object} takes no more until it is opened again, after an error: {reason}")
            }
            Self::TooLong { object, len, most } => {
                write!(f, "{object}: {len} bytes do not fit, {most} would")
            }
        }
    }
}

impl From<Infallible> for Error {
    /// A name that is one already is not refused.
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            // Its own words are in ours.
            Self::Map { source, .. } => source.source(),
            _ => None,
        }
    }
}
