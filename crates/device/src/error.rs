//! Why a device could not be found, opened, accessed or driven.

use std::fmt;
use std::io;
use std::time::Duration;

use mapio_map::Fault;

use crate::width::Width;

/// What an operation on a device answers when it has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Os {
        /// What was being done, such as `opening`.
        operation: &'static str,
        /// To what.
        object: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It could not be mapped.
    Map {
        /// What.
        object: String,
        /// What the mapping said.
        source: mapio_map::Error,
    },
    /// The hardware, or what stands between, has refused an access: for example one of a width that the register does
    /// not have, on an Arm.
    Fault {
        /// Of which device.
        object: String,
        /// Of the register, in bytes.
        offset: usize,
        /// Of the access.
        width: Width,
        /// What the access said.
        source: Fault,
    },
    /// A model has refused an access, as the device would, or the bus has no such accesses.
    Refused {
        /// Of which device.
        object: String,
        /// Of the register, in bytes.
        offset: usize,
        /// Of the access.
        width: Width,
        /// Why.
        reason: &'static str,
    },
    /// The access would end behind the device's last byte; nothing was done.
    OutOfBounds {
        /// Of which device.
        object: String,
        /// Of the register, in bytes.
        offset: usize,
        /// Of the access.
        width: Width,
        /// Bytes that there are.
        len: usize,
    },
    /// The access does not begin at a multiple of its width; nothing was done.
    Misaligned {
        /// Of which device.
        object: String,
        /// Of the register, in bytes.
        offset: usize,
        /// Of the access.
        width: Width,
    },
    /// There is no such device.
    NotFound {
        /// What was looked for.
        object: String,
    },
    /// What was asked for makes no sense, whatever there is.
    Invalid {
        /// What was asked for.
        object: String,
        /// Why not.
        reason: String,
    },
    /// The device does not behave as it should: another one, or a broken one.
    Unexpected {
        /// What.
        object: String,
        /// What it did.
        reason: String,
    },
    /// The device, or an interrupt, has not answered in time.
    Timeout {
        /// What was waited for.
        object: String,
        /// For how long.
        after: Duration,
    },
    /// The printer at a parallel port says what is wrong with it.
    Printer {
        /// Which port.
        object: String,
        /// What is wrong.
        kind: PrinterError,
    },
    /// Bytes have come that are not what was sent, or have been lost: what the receiver's error bits say.
    Line {
        /// Which device.
        object: String,
        /// What has happened.
        kind: LineError,
    },
}

/// What a printer says is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrinterError {
    /// There is no paper.
    PaperOut,
    /// It is switched to offline, or there is none.
    Offline,
    /// Something else, such as a cover that is open.
    Fault,
}

/// What can be wrong with a received byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// Bytes came faster than they were taken, and some are lost.
    Overrun,
    /// The parity bit is wrong.
    Parity,
    /// There was no stop bit.
    Framing,
    /// The line was held low for longer than a byte.
    Break,
}

impl Error {
    pub(crate) fn os(operation: &'static str, object: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { operation, object: object.into(), source: source.into() }
    }

    pub(crate) fn invalid(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { object: object.into(), reason: reason.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { operation, object, .. } => write!(f, "{operation} {object}"),
            Self::Map { object, .. } => write!(f, "mapping {object}"),
            Self::Fault { object, offset, width, .. } => {
                write!(f, "accessing {width} at offset {offset:#x} of {object}")
            }
            Self::Refused { object, offset, width, reason } => {
                write!(f, "accessing {width} at offset {offset:#x} of {object}: {reason}")
            }
            Self::OutOfBounds { object, offset, width, len } => {
                write!(f, "accessing {width} at offset {offset:#x} of {object}: there are {len:#x} bytes")
            }
            Self::Misaligned { object, offset, width } => {
                write!(f, "accessing {width} at offset {offset:#x} of {object}: it is not aligned")
            }
            Self::NotFound { object } => write!(f, "{object}: there is no such device"),
            Self::Invalid { object, reason } | Self::Unexpected { object, reason } => write!(f, "{object}: {reason}"),
            Self::Timeout { object, after } => write!(f, "{object}: no answer within {after:?}"),
            Self::Printer { object, kind } => write!(f, "{object}: {kind}"),
            Self::Line { object, kind } => write!(f, "{object}: {kind}"),
        }
    }
}

impl fmt::Display for PrinterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PaperOut => "the printer has no paper",
            Self::Offline => "the printer is offline",
            Self::Fault => "the printer says that something is wrong",
        })
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overrun => "bytes came faster than they were taken, and some are lost",
            Self::Parity => "a byte has the wrong parity",
            Self::Framing => "a byte has no stop bit",
            Self::Break => "the line was held low: a break",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            Self::Map { source, .. } => Some(source),
            Self::Fault { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// For drivers that are streams: a time-out is `TimedOut`, and the error is inside.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Os { source, .. } => source.kind(),
            Error::Timeout { .. } => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
