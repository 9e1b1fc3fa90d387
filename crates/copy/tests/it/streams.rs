//! Copies from and to what has no offsets: pipes, devices, and files at their own position.

use std::fs::{self, File};
use std::io::{PipeReader, Read, Seek, SeekFrom, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use mapio_copy::{
    Engine, Error, Facts, Meter, NamedFile, Plan, Reflink, Request, Sparse, Transferred, Workspace, transfer_stream,
};
use mapio_testkit::pattern;

const MIB: usize = 1 << 20;

fn copy(source: &File, destination: &File, sparse: Sparse, meter: &Meter) -> Result<Transferred, Error> {
    let plan = Plan::new(Request { sparse, ..Request::default() }, Facts::new(0));
    let (from, to) = (Path::new("source"), Path::new("destination"));
    let (from, to) = (NamedFile::new(source, from), NamedFile::new(destination, to));
    transfer_stream(from, to, &plan, meter, &mut Workspace::new())
}

fn file_of(end: impl Into<OwnedFd>) -> File {
    File::from(end.into())
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
fn a_file_is_copied_from_its_position_to_a_device() {
    let mut source = tempfile::tempfile().expect("room");
    source.write_all(&pattern(5000)).expect("room");
    source.seek(SeekFrom::Start(1000)).expect("a file");
    let null = File::options().write(true).open("/dev/null").expect("it is everywhere");
    assert_eq!(copy(&source, &null, Sparse::Auto, &Meter::new()).expect("a copy").bytes, 4000);
    let empty = File::open("/dev/null").expect("it is everywhere");
    assert_eq!(copy(&empty, &null, Sparse::Auto, &Meter::new()).expect("a copy").bytes, 0);
}

#[test]
fn zeros_from_a_pipe_become_holes_of_a_file_and_its_length_is_right() {
    let mut bytes = vec![0; MIB + 5];
    for ends_in_data in [false, true] {
        bytes[MIB / 2] = 7;
        bytes[MIB + 4] = u8::from(ends_in_data);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("destination");
        let destination = File::create_new(&path).expect("room");
        let copied = thread::scope(|scope| {
            copy(&file_of(spoken(scope, &bytes)), &destination, Sparse::Always, &Meter::new()).expect("a copy")
        });
        assert_eq!(copied.bytes, u64::try_from(bytes.len()).expect("small"));
        assert!(copied.hole_bytes > copied.bytes / 2, "{copied:?}");
        assert!(fs::read(&path).expect("the copy") == bytes);
        let allocated = destination.metadata().expect("a file").blocks() * 512;
        assert!(allocated < copied.bytes / 2, "{allocated} bytes have blocks");
    }
}

/// What is left out of a device stays as it was: its old bytes.
#[test]
fn a_device_gets_zeros_and_no_holes() {
    let mut source = tempfile::tempfile().expect("room");
    source.write_all(&vec![0; MIB]).expect("room");
    source.seek(SeekFrom::Start(0)).expect("a file");
    // It has a position that can be moved, as a disk has.
    let null = File::options().write(true).open("/dev/null").expect("it is everywhere");
    let copied = copy(&source, &null, Sparse::Always, &Meter::new()).expect("a copy");
    assert_eq!((copied.bytes, copied.hole_bytes), (1 << 20, 0));
}

#[test]
fn what_can_not_be_shared_is_an_error_if_it_must_be_and_another_engine_is_told() {
    let null = File::options().read(true).write(true).open("/dev/null").expect("it is everywhere");
    let named = NamedFile::new(&null, Path::new("null"));
    let copy = |request| {
        let plan = Plan::new(request, Facts::new(0));
        transfer_stream(named, named, &plan, &Meter::new(), &mut Workspace::new())
    };
    match copy(Request { reflink: Reflink::Always, ..Request::default() }) {
        Err(Error::Os { operation, .. }) => assert_eq!(operation, "failed to clone"),
        other => panic!("{other:?}"),
    }
    let copied = copy(Request { engine: Some(Engine::Splice), ..Request::default() }).expect("a copy");
    assert_eq!(copied.engine, Engine::ReadWrite);
    assert_eq!(copied.fallback.expect("another engine").from, Engine::Splice);
    assert_eq!(copy(Request::default()).expect("a copy").fallback, None);
}

#[test]
fn a_copy_from_a_pipe_that_keeps_silent_can_be_stopped() {
    let (read, _write) = pipe().expect("a pipe");
    let null = File::options().write(true).open("/dev/null").expect("it is everywhere");
    let meter = Meter::new();
    thread::scope(|scope| {
        let copying = scope.spawn(|| copy(&file_of(read), &null, Sparse::Auto, &meter));
        // It is waiting, once it has made a system call; nothing comes that could end it.
        while meter.calls() == 0 {
            std::hint::spin_loop();
        }
        meter.stop();
        assert!(matches!(copying.join().expect("no panic"), Err(Error::Cancelled { .. })));
    });
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
