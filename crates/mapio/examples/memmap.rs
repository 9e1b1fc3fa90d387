//! Copies a file by mapping it, and its copy, into memory: a load reads, a store writes, with hardly a system call.
//!
//!     memmap SRC DST
//!
//! The source must know its length, as files of a disk do and those of /proc do not.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;

use mapio::MapOptions;
use same_file::Handle;

/// Says which call failed, on what, and why.
fn failed<E: Into<std::io::Error>>(call: &str, file: &Path) -> impl Fn(E) -> String {
    move |why| format!("{call} '{}': {}", file.display(), why.into())
}

/// A mapped file cannot grow by being written to: a store behind its end is a bus error. So it gets its length first.
fn make_room(mut file: &File, len: u64) -> std::io::Result<()> {
    // This reserves the blocks as well, so a full disk is an error here and not in the middle of the copy.
    let reserved: std::io::Result<()> = cfg_select! {
        windows => { file.set_len(len) }
        _ => { rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len).map_err(Into::into) }
    };
    if reserved.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
        // Where the file system can't do that, the old way: go to the last byte and write it. The file has its length
        // then, but is one big hole, and each store still has to find space for its page.
        file.seek(SeekFrom::Start(len - 1))?;
        return file.write_all(&[0]);
    }
    reserved
}

fn copy(source: &Path, destination: &Path) -> Result<(), Box<dyn Error>> {
    let from = File::open(source).map_err(failed("open", source))?;
    let stat = from.metadata().map_err(failed("fstat", source))?;
    if !stat.is_file() {
        return Err(format!("'{}' is not a regular file", source.display()).into());
    }
    let options = File::options().read(true).write(true).create(true).truncate(false).clone();
    let to = options.open(destination).map_err(failed("open", destination))?;
    if Handle::from_file(from.try_clone()?)? == Handle::from_file(to.try_clone()?)? {
        return Err(format!("'{}' and '{}' are the same file", source.display(), destination.display()).into());
    }
    to.set_len(0).map_err(failed("ftruncate", destination))?;
    if stat.len() == 0 {
        return Ok(()); // Nothing to copy, and nothing that could be mapped.
    }
    make_room(&to, stat.len()).map_err(failed("fallocate", destination))?;

    // The source for reading only; the destination shared, so that stores reach the file.
    let len = usize::try_from(stat.len())?;
    let from = MapOptions::read_only().len(len).map(&from).map_err(failed("mmap", source))?;
    let to = MapOptions::read_write().len(len).map(&to).map_err(failed("mmap", destination))?;

    // This is the memcpy. In C a file cut short meanwhile would kill the program here; this answers an error.
    from.view().copy_to(&to.view()).map_err(failed("memcpy", source))?;
    from.view().check_backed().map_err(failed("memcpy", source))?;
    Ok(()) // Both are unmapped here. The kernel writes the pages to the disk when it likes.
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let copied = match arguments.as_slice() {
        [source, destination] => copy(source.as_ref(), destination.as_ref()),
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
