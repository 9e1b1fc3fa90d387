//! Copies a file with read(2) and write(2) and a buffer of as many bytes as you say.
//!
//!     read_write SRC DST BUFFER_BYTES
//!
//! Try 5 bytes, and time it: nearly all of it is system time, because each read and each write is a call into the
//! kernel.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use same_file::Handle;

/// Says which call failed, on what, and why.
fn failed<'a>(call: &'a str, file: &'a Path) -> impl Fn(std::io::Error) -> String + 'a {
    move |why| format!("{call} '{}': {why}", file.display())
}

fn copy(source: &Path, destination: &Path, buffer_bytes: usize) -> Result<(), Box<dyn Error>> {
    // What can fail comes before the destination is touched.
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(buffer_bytes).map_err(|why| format!("a buffer of {buffer_bytes} bytes: {why}"))?;
    buffer.resize(buffer_bytes, 0);
    let mut from = File::open(source).map_err(failed("open", source))?;
    if from.metadata().map_err(failed("fstat", source))?.is_dir() {
        return Err(format!("'{}' is a folder", source.display()).into());
    }
    // The destination is opened before it is emptied: if it is the source, its bytes must survive.
    let options = File::options().write(true).create(true).truncate(false).clone();
    let mut to = options.open(destination).map_err(failed("open", destination))?;
    if Handle::from_file(from.try_clone()?)? == Handle::from_file(to.try_clone()?)? {
        return Err(format!("'{}' and '{}' are the same file", source.display(), destination.display()).into());
    }
    to.set_len(0).map_err(failed("ftruncate", destination))?;

    loop {
        let count = from.read(&mut buffer).map_err(failed("read", source))?;
        if count == 0 {
            return Ok(()); // The end of the file.
        }
        to.write_all(&buffer[..count]).map_err(failed("write", destination))?;
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let copied = match arguments.as_slice() {
        [source, destination, bytes] => match bytes.to_string_lossy().parse() {
            Ok(bytes) if bytes > 0 => copy(source.as_ref(), destination.as_ref(), bytes),
            _ => Err(format!("'{}' is not a number of bytes above 0", bytes.display()).into()),
        },
        _ => Err("usage: read_write SRC DST BUFFER_BYTES".into()),
    };
    match copied {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("read_write: {error}");
            ExitCode::from(2)
        }
    }
}
