//! A full file system is an `Err` at the store that needs the space.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;

use mapio_map::{Access, FaultKind, MapOptions};
use mapio_testkit::{SmallFs, pattern, skip};

use crate::support::GUARDED;

const SIZE: u64 = 1 << 20;

#[test]
fn a_full_tmpfs_is_no_space_at_the_first_byte_that_did_not_fit() {
    let test = "a_full_tmpfs_is_no_space_at_the_first_byte_that_did_not_fit";
    let fs = match SmallFs::tmpfs(SIZE) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a tmpfs needs root: {error}")),
    };
    let file = File::options().read(true).write(true).create_new(true).open(fs.path().join("sparse")).expect("a file");
    file.set_len(8 * SIZE).expect("a hole takes no space");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let view = mapping.view();

    let bytes = pattern(usize::try_from(2 * SIZE).expect("small"));
    let fault = view.write_all_at(0, &bytes).expect_err("twice the space there is");
    assert_eq!((fault.kind, fault.access), (FaultKind::NoSpace, Access::Write));
    let written = fault.offset;
    let allocated = usize::try_from(file.metadata().expect("open").blocks() * 512).expect("small");
    assert_eq!(written, allocated, "exactly what fitted was written");
    assert!(written >= usize::try_from(SIZE).expect("small") - (64 << 10), "{written}");

    let mut seen = vec![0; written];
    view.read_exact_at(0, &mut seen).expect("what was written");
    assert_eq!(seen, bytes[..written]);
    let far = usize::try_from(4 * SIZE).expect("small");
    let fault = view.load::<u64>(far).expect_err("tmpfs needs a page even to read a hole through a mapping");
    assert_eq!((fault.offset, fault.kind, fault.access), (far, FaultKind::NoSpace, Access::Read));
    let fault = view.store(far, 1u64).expect_err("no page is left");
    assert_eq!((fault.offset, fault.kind), (far, FaultKind::NoSpace));
    let fault = view.fill(far.., 1).expect_err("no page is left");
    assert_eq!((fault.offset, fault.kind), (far, FaultKind::NoSpace));
    if GUARDED {
        let word = view.atomic::<u32>(far).expect("aligned");
        for fault in [word.fetch_add(1, Relaxed), word.swap(1, Relaxed), word.fetch_or(1, Relaxed)] {
            let fault = fault.expect_err("no page is left");
            assert_eq!((fault.offset, fault.kind, fault.access), (far, FaultKind::NoSpace, Access::Write));
        }
    }
    let source = view.slice(..4096).expect("inside");
    let fault = source.copy_to(&view.slice(far..).expect("inside")).expect_err("no page is left");
    assert_eq!((fault.offset, fault.kind, fault.access), (0, FaultKind::NoSpace, Access::Write));
}
