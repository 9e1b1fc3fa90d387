//! Comparing files through views: what mapping is good at: pieces that stay in the cache, and no system call for them.

use std::path::Path;

use mapio_map::{MapOptions, Mapping};

use crate::engine::{NamedFile, at_most, file_bytes, read, refusal_of_map};
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
/// `meter` counts the bytes compared. Files of /proc and /sys, which do not know their length, are read instead, and so
/// are files that can't be mapped.
///
/// # Errors
/// [`Error::NotRegular`]; [`Error::Os`], [`Error::Map`] or [`Error::Fault`] for a file that can't be read;
/// [`Error::SourceChanged`] for one that has changed meanwhile.
pub fn compare(left: impl AsRef<Path>, right: impl AsRef<Path>, meter: &Meter) -> Result<Comparison, Error> {
    let (left, right) = (Source::open(left.as_ref())?, Source::open(right.as_ref())?);
    let count = |bytes| {
        meter.add_bytes(bytes);
        Ok(())
    };
    let found = compare_open((left.named(), left.len()), (right.named(), right.len()), count);
    // What was read behind the end of a file that was cut, zeros or an error, is not an answer.
    left.check_unchanged()?;
    right.check_unchanged()?;
    found
}

/// Compares two open files of these lengths; one of length 0 is read to its end. `passed` hears of bytes that are the
/// same, a few at a time, and may end it.
pub(crate) fn compare_open(
    left: (NamedFile<'_>, u64),
    right: (NamedFile<'_>, u64),
    mut passed: impl FnMut(u64) -> Result<(), Error>,
) -> Result<Comparison, Error> {
    let (mut left, mut right) = (Bytes::of(left), Bytes::of(right));
    let (mut left_step, mut right_step) = ([0; STEP_BYTES], [0; STEP_BYTES]);
    let mut offset = 0;
    loop {
        let left = left.read(offset, &mut left_step)?;
        let right = right.read(offset, &mut right_step)?;
        if left != right {
            let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
            let at = |bytes: &[u8]| bytes.get(same).copied();
            return Ok(Comparison::Differ { offset: offset + file_bytes(same), left: at(left), right: at(right) });
        }
        if left.is_empty() {
            return Ok(Comparison::Same { bytes: offset });
        }
        offset += file_bytes(left.len());
        passed(file_bytes(left.len()))?;
    }
}

/// The bytes of a file, by offset.
struct Bytes<'a> {
    named: NamedFile<'a>,
    /// Length in bytes; 0 for a file that is read to its end.
    len: u64,
    /// The part that is mapped now.
    window: Option<Mapping>,
    /// Whether it can be mapped, as far as is known.
    is_mappable: bool,
}

impl<'a> Bytes<'a> {
    fn of((named, len): (NamedFile<'a>, u64)) -> Self {
        Self { named, len, window: None, is_mappable: len > 0 }
    }

    /// The bytes from `offset` on: as many as there are, and fit `buffer`.
    fn read<'b>(&mut self, offset: u64, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let count = match self.len {
            0 => buffer.len(),
            len => at_most(len.saturating_sub(offset), buffer.len()),
        };
        let buffer = &mut buffer[..count];
        if buffer.is_empty() {
            return Ok(&[]);
        }
        if self.is_mappable {
            self.map(offset)?;
        }
        match &self.window {
            Some(window) => {
                let start = at_most(offset % file_bytes(WINDOW_BYTES), usize::MAX);
                let read = window.view().read_exact_at(start, buffer);
                read.map_err(|fault| self.named.faulted(window, 0, fault))?;
                Ok(buffer)
            }
            None => self.read_file(offset, buffer),
        }
    }

    /// Maps the window that begins at `offset`, if one does. A window is a whole number of steps, so that no step needs
    /// two.
    fn map(&mut self, offset: u64) -> Result<(), Error> {
        if offset.is_multiple_of(file_bytes(WINDOW_BYTES)) {
            let options = MapOptions::read_only().offset(offset).len(at_most(self.len - offset, WINDOW_BYTES));
            self.window = match self.named.map(options) {
                Ok(window) => Some(window),
                Err(error) => {
                    refusal_of_map(error)?;
                    self.is_mappable = false;
                    None
                }
            };
        }
        Ok(())
    }

    fn read_file<'b>(&self, offset: u64, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let mut done = 0;
        while done < buffer.len() {
            match read(self.named, &mut buffer[done..], offset + file_bytes(done), &Meter::new())? {
                0 => break,
                count => done += count,
            }
        }
        Ok(&buffer[..done])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_ends_when_it_is_stopped() {
        let (file, path) = (tempfile::tempfile().unwrap(), Path::new("file"));
        assert_eq!(crate::sys::write_at(&file, &[7; 2 * STEP_BYTES], 0).unwrap(), 2 * STEP_BYTES);
        let (named, meter) = (NamedFile::new(&file, path), Meter::new());
        let len = file_bytes(2 * STEP_BYTES);
        let mut steps = 0;
        let found = compare_open((named, len), (named, len), |_| {
            steps += 1;
            meter.stop();
            named.check_stopped(&meter)
        });
        assert!(matches!(found, Err(Error::Cancelled { .. })), "{found:?}");
        assert_eq!(steps, 1);
    }
}
