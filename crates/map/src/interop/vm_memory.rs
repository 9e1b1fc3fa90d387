//! Guest memory of `vm-memory`, read from and written to views and mapped files. No reference into either is made: the
//! bytes pass through a buffer in the processor's cache.

use std::io::{Read, Write};

use vm_memory::bitmap::BitmapSlice;
use vm_memory::io::{ReadVolatile, WriteVolatile};
use vm_memory::volatile_memory::{Error, VolatileSlice};

use crate::cursor::Cursor;
use crate::mapped_file::MappedFile;

/// Bytes of the buffer.
const BUFFER_BYTES: usize = 4096;

/// Fills guest memory from a reader; stops at its end.
fn read<B: BitmapSlice>(reader: &mut impl Read, guest: &VolatileSlice<'_, B>) -> Result<usize, Error> {
    let mut buffer = [0; BUFFER_BYTES];
    let mut done = 0;
    while done < guest.len() {
        let part = &mut buffer[..BUFFER_BYTES.min(guest.len() - done)];
        match reader.read(part) {
            Ok(0) => break,
            Ok(count) => {
                guest.subslice(done, count)?.copy_from(&part[..count]);
                done += count;
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(Error::IOError(error)),
        }
    }
    Ok(done)
}

/// Empties guest memory into a writer; stops where it takes no more.
fn write<B: BitmapSlice>(writer: &mut impl Write, guest: &VolatileSlice<'_, B>) -> Result<usize, Error> {
    let mut buffer = [0; BUFFER_BYTES];
    let mut done = 0;
    while done < guest.len() {
        let part = &mut buffer[..BUFFER_BYTES.min(guest.len() - done)];
        guest.subslice(done, part.len())?.copy_to(part);
        match writer.write(part) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(error) => return Err(Error::IOError(error)),
        }
    }
    Ok(done)
}

macro_rules! volatile {
    ($type:ty) => {
        impl ReadVolatile for $type {
            fn read_volatile<B: BitmapSlice>(&mut self, buf: &mut VolatileSlice<'_, B>) -> Result<usize, Error> {
                read(self, buf)
            }
        }

        impl WriteVolatile for $type {
            fn write_volatile<B: BitmapSlice>(&mut self, buf: &VolatileSlice<'_, B>) -> Result<usize, Error> {
                write(self, buf)
            }
        }
    };
}

volatile!(Cursor<'_>);
volatile!(MappedFile);

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;
    use crate::MapOptions;

    #[test]
    fn guest_memory_is_filled_from_a_view_and_emptied_into_one() {
        let mapping = MapOptions::read_write().len(10_000).memfd("guest").unwrap();
        let bytes = mapio_testkit::pattern(10_000);
        mapping.view().write_all_at(0, &bytes).unwrap();
        let mut room = vec![0; 9000];
        let mut guest = VolatileSlice::from(&mut room[..]);
        let mut cursor = mapping.view().slice(500..).unwrap().cursor();
        cursor.read_exact_volatile(&mut guest).unwrap();
        let mut more = vec![0; 501];
        let more = cursor.read_exact_volatile(&mut VolatileSlice::from(&mut more[..]));
        assert!(more.is_err(), "500 bytes are left");
        cursor.rewind().unwrap();
        guest.subslice(0, 10).unwrap().copy_from(&[0u8; 10]);
        cursor.write_all_volatile(&guest).unwrap();
        assert!(room[10..] == bytes[510..9500]);
        assert_eq!(mapping.view().load::<[u8; 12]>(499).unwrap()[..11], [bytes[499], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
