//! Copies from and to what has no offsets: pipes, devices, and files at their own position.

// /dev/null, and blocks on the disk.
#[cfg(target_os = "linux")]
#[path = "streams/linux.rs"]
mod system;
#[cfg(windows)]
#[path = "streams/windows.rs"]
mod system;

use std::fs::File;
use std::io::{PipeReader, Read, Seek, SeekFrom, Write, pipe};
use std::path::Path;
use std::thread;

use mapio_copy::{Error, Facts, Meter, NamedFile, Plan, Request, Sparse, Transferred, Workspace, transfer_stream};
use mapio_testkit::pattern;

use system::file_of;

const MIB: usize = 1 << 20;

fn copy(source: &File, destination: &File, sparse: Sparse, meter: &Meter) -> Result<Transferred, Error> {
    let plan = Plan::new(Request { sparse, ..Request::default() }, Facts::new(0));
    let (from, to) = (Path::new("source"), Path::new("destination"));
    let (from, to) = (NamedFile::new(source, from), NamedFile::new(destination, to));
    transfer_stream(from, to, &plan, meter, &mut Workspace::new())
}

/// Writes bytes to a pipe, in pieces of odd sizes, on a thread of its own; answers the pipe's other end.
fn spoken<'scope>(scope: &'scope thread::Scope<'scope, '_>, bytes: &'scope [u8]) -> PipeReader {
    let (read, mut write) = pipe().expect("a pipe");
    scope.spawn(move || bytes.chunks(10_007).for_each(|piece| write.write_all(piece).expect("a reader")));
    read
}

#[test]
fn a_pipe_is_copied_to_its_end_to_a_file_and_to_a_pipe() {
    for len in [0, 1, 65_536, 3 * MIB + 5] {
        let bytes = pattern(len);
        let total = u64::try_from(len).expect("small");
        thread::scope(|scope| {
            let mut destination = tempfile::tempfile().expect("room");
            let copied = copy(&file_of(spoken(scope, &bytes)), &destination, Sparse::Auto, &Meter::new());
            assert_eq!(copied.expect("a copy").bytes, total);
            destination.seek(SeekFrom::Start(0)).expect("a file");
            let mut found = Vec::new();
            destination.read_to_end(&mut found).expect("the copy");
            assert!(found == bytes);

            let (mut read, write) = pipe().expect("a pipe");
            let heard = scope.spawn(move || {
                let mut heard = Vec::new();
                read.read_to_end(&mut heard).map(|_| heard)
            });
            let copied = copy(&file_of(spoken(scope, &bytes)), &file_of(write), Sparse::Always, &Meter::new());
            assert_eq!(copied.expect("a copy").hole_bytes, 0);
            assert!(heard.join().expect("no panic").expect("a pipe") == bytes);
        });
    }
}

#[test]
fn a_destination_that_nobody_reads_any_more_is_an_error() {
    let (read, write) = pipe().expect("a pipe");
    drop(read);
    let mut source = tempfile::tempfile().expect("room");
    source.write_all(b"bytes").expect("room");
    source.seek(SeekFrom::Start(0)).expect("a file");
    match copy(&source, &file_of(write), Sparse::Auto, &Meter::new()) {
        Err(Error::Os { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}
