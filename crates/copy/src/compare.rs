//! Comparing files through views: what mapping is good at, since nothing has to be read into a buffer first.

use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mapio_map::{FaultKind, MapOptions, Mapping};

use crate::engine::NamedFile;
use crate::error::Error;
use crate::meter::Meter;
use crate::source::Source;

/// Bytes that are mapped at a time.
const WINDOW_BYTES: usize = 64 << 20;
/// Bytes that are compared at a time; two of these fit the first-level cache.
const STEP_BYTES: usize = 8 << 10;

/// What a comparison has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The files hold the same bytes.
    Same {
        /// How many.
        bytes: u64,
    },
    /// The files differ.
    Differ {
        /// The first byte that differs, from the start of the files, which is 0.
        offset: u64,
        /// That byte of the first file; `None` if it has ended.
        left: Option<u8>,
        /// That byte of the second file; `None` if it has ended.
        right: Option<u8>,
    },
}

/// Compares two regular files, through mappings of them. Blocks until the first difference, or the end.
///
/// `meter` counts the bytes compared. Files of /proc, which claim to have no bytes, are read to their end instead.
///
/// # Errors
/// [`Error::NotRegular`]; [`Error::Os`], [`Error::Map`] or [`Error::Fault`] for a file that can't be read or is cut short
/// meanwhile.
pub fn compare(left: impl AsRef<Path>, right: impl AsRef<Path>, meter: &Meter) -> Result<Comparison, Error> {
    let (left, right) = (Source::open(left.as_ref())?, Source::open(right.as_ref())?);
    compare_open(left.named(), right.named(), meter)
}

/// Compares two open files.
pub(crate) fn compare_open(left: NamedFile<'_>, right: NamedFile<'_>, meter: &Meter) -> Result<Comparison, Error> {
    let (mut left, mut right) = (Bytes::of(left)?, Bytes::of(right)?);
    let (mut left_step, mut right_step) = ([0; STEP_BYTES], [0; STEP_BYTES]);
    let mut offset = 0;
    loop {
        let left = left.read(offset, &mut left_step)?;
        let right = right.read(offset, &mut right_step)?;
        if left != right {
            let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
            let at = |bytes: &[u8]| bytes.get(same).copied();
            return Ok(Comparison::Differ { offset: offset + len(same), left: at(left), right: at(right) });
        }
        if left.is_empty() {
            return Ok(Comparison::Same { bytes: offset });
        }
        offset += len(left.len());
        meter.add_bytes(len(left.len()));
    }
}

/// The bytes of a file, by offset.
enum Bytes<'a> {
    /// Through a mapping of the part that is being looked at.
    Mapped { named: NamedFile<'a>, len: u64, window: Option<Mapping> },
    /// Of a file that does not know its length.
    Read(Vec<u8>),
}

impl<'a> Bytes<'a> {
    fn of(named: NamedFile<'a>) -> Result<Self, Error> {
        let len = named.file.metadata().map_err(Error::os("reading the status of", named.path))?.len();
        if len > 0 {
            return Ok(Self::Mapped { named, len, window: None });
        }
        read_to_end(named).map(Self::Read).map_err(Error::os("reading", named.path))
    }

    /// The bytes from `offset` on: as many as there are, and fit `buffer`.
    fn read<'b>(&mut self, offset: u64, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        match self {
            Self::Read(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(&buffer[..count])
            }
            Self::Mapped { named, len, window } => {
                let Some(rest) = len.checked_sub(offset).filter(|&rest| rest > 0) else { return Ok(&[]) };
                let count = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
                let buffer = &mut buffer[..count];
                let map = || {
                    let window_len = usize::try_from(rest).map_or(WINDOW_BYTES, |rest| rest.min(WINDOW_BYTES));
                    MapOptions::read_only().offset(offset).len(window_len).map(named.file)
                };
                // Windows and steps start together, and a window is a whole number of steps.
                let mapping = match window.take() {
                    Some(mapping) if offset < mapping.file_offset_of(mapping.len()) => mapping,
                    _ => map().map_err(|source| Error::Map { path: named.path.to_owned(), source })?,
                };
                let mapping = window.insert(mapping);
                let start = usize::try_from(offset - mapping.file_offset()).unwrap_or(usize::MAX);
                mapping.view().read_exact_at(start, buffer).map_err(|fault| {
                    let offset = mapping.file_offset_of(fault.offset);
                    match fault.kind {
                        FaultKind::Truncated { .. } => crate::engine::ended_early(*named, offset),
                        _ => Error::Fault { path: named.path.to_owned(), offset, source: fault },
                    }
                })?;
                Ok(buffer)
            }
        }
    }
}

fn read_to_end(named: NamedFile<'_>) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; STEP_BYTES]);
    loop {
        match named.file.read_at(&mut buffer, len(bytes.len())) {
            Ok(0) => return Ok(bytes),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A length in memory as one in a file.
fn len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or_else(|_| unreachable!("memory is not larger than files can be"))
}
