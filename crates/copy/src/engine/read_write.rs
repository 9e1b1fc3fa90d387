//! read(2) into a buffer, write(2) from it, by offset.

use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::os::unix::fs::FileExt;

use super::{NamedFile, Range, ended_early};
use crate::error::Error;
use crate::meter::Meter;

/// Copies a range through one buffer.
pub(super) fn copy(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    range: Range<'_>,
    buffer_bytes: NonZero<usize>,
    meter: &Meter,
) -> Result<(), Error> {
    let mut buffer = buffer(destination, buffer_bytes.get().min(range.step(range.start, usize::MAX).unwrap_or(0)))?;
    let mut offset = range.start;
    while let Some(step) = range.step(offset, buffer.len()) {
        let read = read(source, &mut buffer[..step], offset, meter)?;
        if read == 0 {
            return Err(ended_early(source, offset));
        }
        write_all(destination, &buffer[..read], offset, meter)?;
        offset += count(read);
    }
    Ok(())
}

/// Copies everything up to the end, whatever the file says of its length, and answers how much that was.
pub(super) fn copy_to_end(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    buffer_bytes: NonZero<usize>,
    meter: &Meter,
) -> Result<u64, Error> {
    let mut buffer = buffer(destination, buffer_bytes.get())?;
    let mut offset = 0;
    loop {
        match read(source, &mut buffer, offset, meter)? {
            0 => return Ok(offset),
            read => {
                write_all(destination, &buffer[..read], offset, meter)?;
                offset += count(read);
            }
        }
    }
}

/// A buffer, if there is memory for it.
fn buffer(destination: NamedFile<'_>, len: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    let reserved = buffer.try_reserve_exact(len);
    reserved.map_err(|error| Error::os("making a buffer to copy to", destination.path)(io::Error::other(error)))?;
    buffer.resize(len, 0);
    Ok(buffer)
}

fn read(source: NamedFile<'_>, buffer: &mut [u8], offset: u64, meter: &Meter) -> Result<usize, Error> {
    loop {
        meter.add_calls(1);
        match source.file.read_at(buffer, offset) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(Error::os("reading", source.path)),
        }
    }
}

fn write_all(destination: NamedFile<'_>, mut bytes: &[u8], mut offset: u64, meter: &Meter) -> Result<(), Error> {
    while !bytes.is_empty() {
        meter.add_calls(1);
        let written = match destination.file.write_at(bytes, offset) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            written => written,
        };
        let written = written.map_err(Error::os("writing", destination.path))?;
        bytes = &bytes[written..];
        offset += count(written);
        meter.add_bytes(count(written));
    }
    Ok(())
}

/// A count of bytes in memory as a count of bytes in a file.
fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or_else(|_| unreachable!("memory is not larger than files can be"))
}
