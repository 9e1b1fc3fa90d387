//! read(2) into a buffer, write(2) from it, by offset.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use super::{NamedFile, Range, ended_early, file_bytes, read};
use crate::error::Error;
use crate::meter::Meter;

/// Makes a buffer of `len` bytes out of what there is, if there is memory for it.
pub(super) fn sized<'a>(
    buffer: &'a mut Vec<u8>,
    len: usize,
    destination: NamedFile<'_>,
) -> Result<&'a mut [u8], Error> {
    if buffer.len() < len {
        let reserved = buffer.try_reserve_exact(len - buffer.len());
        let failed = |_| io::Error::new(ErrorKind::OutOfMemory, format!("no memory for a buffer of {len} bytes"));
        reserved.map_err(failed).map_err(Error::os("copying to", destination.path))?;
        buffer.resize(len, 0);
    }
    Ok(&mut buffer[..len])
}

/// Copies a range through one buffer.
pub(super) fn copy(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    range: Range<'_>,
    buffer: &mut [u8],
    meter: &Meter,
) -> Result<(), Error> {
    let mut offset = range.start;
    while let Some(step) = range.step(offset, buffer.len()) {
        let read = read(source, &mut buffer[..step], offset, meter)?;
        if read == 0 {
            return Err(ended_early(source, offset));
        }
        write_all(destination, &buffer[..read], offset, meter)?;
        offset += file_bytes(read);
    }
    Ok(())
}

/// Copies everything up to the end, whatever the file says of its length, and answers how much that was.
pub(super) fn copy_to_end(
    source: NamedFile<'_>,
    destination: NamedFile<'_>,
    buffer: &mut [u8],
    meter: &Meter,
) -> Result<u64, Error> {
    let mut offset = 0;
    loop {
        match read(source, buffer, offset, meter)? {
            0 => return Ok(offset),
            read => {
                write_all(destination, &buffer[..read], offset, meter)?;
                offset += file_bytes(read);
            }
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
        offset += file_bytes(written);
        meter.add_bytes(file_bytes(written));
    }
    Ok(())
}
