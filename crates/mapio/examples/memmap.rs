//! Copies a file by mapping it, and its copy, into memory: a load reads, a store writes, and hardly a system call is made.
//!
//!     memmap SRC DST

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use mapio::MapOptions;
use rustix::fs::{FallocateFlags, fallocate};

/// A mapped file cannot grow by being written to: a store behind its end is a bus error. So it gets its length first.
fn make_room(mut file: &File, len: u64) -> std::io::Result<()> {
    // fallocate reserves the blocks as well, so a full disk is an error here and not in the middle of the copy.
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        // Where the file system can't do that, the old way: go to the last byte and write it. The file has its length
        // then, but is one big hole, and each store still has to find space for its page.
        Err(rustix::io::Errno::OPNOTSUPP) => {
            file.seek(SeekFrom::Start(len - 1))?;
            file.write_all(&[0])
        }
        result => Ok(result?),
    }
}

fn copy(source: &str, destination: &str) -> Result<(), Box<dyn Error>> {
    let from = File::open(source).map_err(|e| format!("open '{source}': {e}"))?;
    let to = File::options().read(true).write(true).create(true).truncate(false).open(destination);
    let to = to.map_err(|e| format!("open '{destination}': {e}"))?;
    let stat = from.metadata().map_err(|e| format!("fstat '{source}': {e}"))?;
    let other = to.metadata().map_err(|e| format!("fstat '{destination}': {e}"))?;
    if (stat.dev(), stat.ino()) == (other.dev(), other.ino()) {
        return Err(format!("'{source}' and '{destination}' are the same file").into());
    }
    to.set_len(0).map_err(|e| format!("ftruncate '{destination}': {e}"))?;
    if stat.len() == 0 {
        return Ok(()); // Nothing to copy, and nothing that could be mapped.
    }
    make_room(&to, stat.len()).map_err(|e| format!("fallocate '{destination}', {} bytes: {e}", stat.len()))?;

    // The source for reading only; the destination shared, so that stores reach the file.
    let from = MapOptions::read_only().map(&from).map_err(|e| format!("mmap '{source}': {e}: {}", reason(&e)))?;
    let to = MapOptions::read_write().map(&to).map_err(|e| format!("mmap '{destination}': {e}: {}", reason(&e)))?;

    // This is the memcpy. In C a file cut short meanwhile would kill the program here; this answers an error.
    from.view().copy_to(&to.view()).map_err(|fault| format!("memcpy '{source}' to '{destination}': {fault}"))?;
    Ok(()) // Both are unmapped here. The kernel writes the pages to the disk when it likes.
}

fn reason(error: &dyn Error) -> String {
    error.source().map_or_else(String::new, ToString::to_string)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let copied = match arguments.as_slice() {
        [source, destination] => copy(source, destination),
        _ => Err("usage: memmap SRC DST".into()),
    };
    match copied {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memmap: {error}");
            ExitCode::from(2)
        }
    }
}
