//! read(2) and write(2) past the page cache, by `O_DIRECT`: the disk's own speed, hardly any processor time, and what
//! others have in the cache stays there.
//!
//! Such accesses must be aligned, in the file and in memory. What is not, at most the end of the file and files with
//! odd holes, goes through the page cache; the kernel keeps the two in step.

use std::fs::File;
use std::io;

use mapio_map::Access;

use super::work::{Job, Outcome, Piece, Work};
use super::{NamedFile, Workspace, file_bytes, read, read_write};
use crate::error::Error;
use crate::sys;

/// What needs more than this is not worth it, in bytes.
const MOST_ALIGN_BYTES: usize = 1 << 20;

/// Both files, once more, open past the page cache.
struct Files {
    source: File,
    destination: File,
    /// What offsets, lengths and addresses must be multiples of, in bytes; a power of two.
    align: usize,
}

/// Copies what is aligned past the page cache, and the rest through it.
pub(super) fn copy(work: &mut Work<'_>, workspace: &mut Workspace) -> Result<Outcome, Error> {
    let job = work.job;
    let files = match Files::open(job) {
        Ok(files) => files,
        // open(2): EINVAL without O_DIRECT, ENOENT without /proc, EACCES where the mode denies what we have been given.
        Err(error) => return Ok(Outcome::Refused(format!("opening past the cache: {error}"))),
    };
    let most = job.plan.buffer_bytes.get().max(files.align);
    let most = work.at_most(most - most % files.align).max(files.align);
    // Where the buffer begins is the allocator's choice: there must be room to begin later.
    let buffer = workspace.buffer(most + files.align, job.destination)?;
    let lead = buffer.as_ptr().align_offset(files.align);
    let buffer = &mut buffer[lead..lead + most];
    while let Some(piece) = work.next(most)? {
        let rest = match copy_aligned(job, &files, piece, buffer)? {
            Ok(rest) => rest,
            Err(reason) => {
                work.give_back(piece);
                return Ok(Outcome::Refused(reason));
            }
        };
        read_write::copy_piece(job, rest, buffer)?;
    }
    Ok(Outcome::Done)
}

impl Files {
    fn open(job: &Job<'_>) -> io::Result<Self> {
        job.meter.add_calls(4);
        let align = sys::direct_align(job.source.file).max(sys::direct_align(job.destination.file));
        if align > MOST_ALIGN_BYTES {
            return Err(io::Error::other(format!("it wants to be aligned to {align} bytes")));
        }
        Ok(Self {
            source: sys::open_direct(job.source.file, Access::Read)?,
            destination: sys::open_direct(job.destination.file, Access::Write)?,
            align,
        })
    }
}

/// Copies the aligned start of a piece, and answers what is left of it; or why it can't be done in this way.
fn copy_aligned(
    job: &Job<'_>,
    files: &Files,
    mut piece: Piece,
    buffer: &mut [u8],
) -> Result<Result<Piece, String>, Error> {
    let align = file_bytes(files.align);
    let whole = piece.len - piece.len % files.align;
    if !piece.offset.is_multiple_of(align) || whole == 0 {
        return Ok(Ok(piece));
    }
    let source = NamedFile { file: &files.source, ..job.source };
    let read = match read(source, &mut buffer[..whole], piece.offset, job.meter) {
        Err(Error::Os { source, .. }) if source.kind() == io::ErrorKind::InvalidInput => {
            return Ok(Err(format!("reading past the page cache: {source}")));
        }
        read => read?,
    };
    // Fewer bytes than asked for: what is left over is read again, and tells why.
    let bytes = &buffer[..read - read % files.align];
    let mut written = 0;
    while written < bytes.len() {
        job.meter.add_calls(1);
        match sys::write_at(&files.destination, &bytes[written..], piece.offset) {
            // What has been written is aligned, unless the disk is full, which writing the rest tells.
            Ok(count) if count > 0 && count.is_multiple_of(files.align) => {
                written += count;
                piece.advance(count);
                job.add_bytes(file_bytes(count));
            }
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && written == 0 => {
                return Ok(Err(format!("writing past the page cache: {error}")));
            }
            Err(error) => return Err(Error::os("error writing", job.destination.name)(error)),
        }
    }
    Ok(Ok(piece))
}
