//! Copies a file with read(2) and write(2) and a buffer of as many bytes as you say.
//!
//!     read_write SRC DST BUFFER_BYTES
//!
//! Try 5 bytes, and time it: nearly all of it is system time, because each read and each write is a call into the kernel.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

fn copy(source: &str, destination: &str, buffer_bytes: usize) -> Result<(), Box<dyn Error>> {
    // Says which call failed, on what, and why.
    let failed = |call: &str, name: &str, why: std::io::Error| format!("{call} '{name}': {why}");

    let mut from = File::open(source).map_err(|e| failed("open", source, e))?;
    // The destination is opened before it is emptied: if it is the source, its bytes must survive.
    let mut to = File::options().write(true).create(true).truncate(false).open(destination);
    let to = to.as_mut().map_err(|e| format!("open '{destination}': {e}"))?;
    let (a, b) = (from.metadata(), to.metadata());
    let (a, b) = (a.map_err(|e| failed("fstat", source, e))?, b.map_err(|e| failed("fstat", destination, e))?);
    if (a.dev(), a.ino()) == (b.dev(), b.ino()) {
        return Err(format!("'{source}' and '{destination}' are the same file").into());
    }
    to.set_len(0).map_err(|e| failed("ftruncate", destination, e))?;

    let mut buffer = vec![0; buffer_bytes];
    loop {
        let count = from.read(&mut buffer).map_err(|e| failed("read", source, e))?;
        if count == 0 {
            return Ok(()); // The end of the file.
        }
        to.write_all(&buffer[..count]).map_err(|e| failed("write", destination, e))?;
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let copied = match arguments.as_slice() {
        [source, destination, bytes] => match bytes.parse() {
            Ok(bytes) if bytes > 0 => copy(source, destination, bytes),
            _ => Err(format!("'{bytes}' is not a number of bytes above 0").into()),
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
