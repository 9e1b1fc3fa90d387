//! Devices, holes and splice(2) of Linux.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use mapio_copy::{Engine, Error, Facts, Meter, NamedFile, Plan, Reflink, Request, Sparse, Workspace, transfer_stream};
use mapio_testkit::pattern;

use super::{MIB, copy, spoken};

/// The end of a pipe as a file.
pub(super) fn file_of(end: impl Into<OwnedFd>) -> File {
    File::from(end.into())
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
