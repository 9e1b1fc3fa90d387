use std::num::NonZero;

use super::*;
use crate::plan::{Facts, Request};

/// What is asked for and is not there is never made up.
#[test]
fn more_bytes_than_the_source_has_are_an_error_with_every_engine() {
    let (source, path) = (tempfile::tempfile().unwrap(), Path::new("file"));
    assert_eq!(sys::write_at(&source, b"short", 0).unwrap(), 5);
    for engine in Engine::ALL {
        for (len, kinds) in [
            (6, &[ErrorKind::UnexpectedEof][..]),
            (10_000, &[ErrorKind::UnexpectedEof]),
            // So large a file can't be made, or has no such bytes.
            (u64::MAX, &[ErrorKind::UnexpectedEof, ErrorKind::InvalidInput, ErrorKind::FileTooLarge]),
        ] {
            let request = Request { engine: Some(engine), buffer_bytes: NonZero::new(64), ..Request::default() };
            let plan = Plan::new(request, Facts::new(len));
            let destination = tempfile::tempfile().unwrap();
            let (from, to) = (NamedFile::new(&source, path), NamedFile::new(&destination, path));
            match transfer(from, to, len, &plan, &Meter::new(), &mut Workspace::new()) {
                Err(Error::Os { source, .. }) => assert!(kinds.contains(&source.kind()), "{engine} {len}: {source}"),
                other => panic!("{engine} {len}: {other:?}"),
            }
        }
    }
}

/// A file in /dev/shm shares no blocks, and what an earlier copy has left must not hide that.
#[test]
fn a_copy_that_goes_on_is_shared_too_if_it_must_be() {
    let Ok(source) = tempfile::tempfile_in("/dev/shm") else {
        return mapio_testkit::skip("a_copy_that_goes_on_is_shared...", "there is no /dev/shm");
    };
    let (destination, path) = (tempfile::tempfile_in("/dev/shm").unwrap(), Path::new("file"));
    for file in [&source, &destination] {
        assert_eq!(sys::write_at(file, &[7; 8192], 0).unwrap(), 8192);
    }
    let request = Request { reflink: Reflink::Always, ..Request::default() };
    let plan = Plan::new(request, Facts::new(8192));
    let (from, to) = (NamedFile::new(&source, path), NamedFile::new(&destination, path));
    match transfer_from(4096, from, to, 8192, &plan, &Meter::new(), &mut Workspace::new()) {
        Err(Error::Os { operation, .. }) => assert_eq!(operation, "failed to clone"),
        other => panic!("{other:?}"),
    }
}
