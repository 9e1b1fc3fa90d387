//! `embedded-io`'s traits, for programs and drivers that are written against them.

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::error::Error;
use crate::serial::{Chip, Serial};
use crate::waiting::Waiting;

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Os { source, .. } => source.kind().into(),
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Invalid { .. } | Self::OutOfBounds { .. } | Self::Misaligned { .. } => ErrorKind::InvalidInput,
            Self::Timeout { .. } => ErrorKind::TimedOut,
            Self::Line { .. } => ErrorKind::InvalidData,
            Self::Printer { .. } => ErrorKind::Other,
            Self::Map { .. } | Self::Fault { .. } | Self::Refused { .. } | Self::Unexpected { .. } => ErrorKind::Other,
        }
    }
}

impl<C: Chip, W: Waiting> ErrorType for Serial<C, W> {
    type Error = Error;
}

impl<C: Chip, W: Waiting> Read for Serial<C, W> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Self::read(self, buffer)
    }
}

impl<C: Chip, W: Waiting> ReadReady for Serial<C, W> {
    fn read_ready(&mut self) -> Result<bool, Error> {
        self.is_readable()
    }
}

impl<C: Chip, W: Waiting> Write for Serial<C, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        Self::write(self, bytes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        Self::flush(self)
    }
}

impl<C: Chip, W: Waiting> WriteReady for Serial<C, W> {
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.is_writable()
    }
}
