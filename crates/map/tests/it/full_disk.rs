//! A full file system is an `Err` at the store that needs the space.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use mapio_map::{Access, AtomicView, Fault, FaultKind, MapOptions, View};
use mapio_testkit::{SmallFs, bus_errors_tell_where, pattern, report, skip};

use crate::support::Tally;

const PAGE: usize = 4096;
const TMPFS: usize = 1 << 20;
/// An ext4 smaller than this has no journal.
const EXT4: usize = 16 << 20;

/// A file that is one hole.
fn sparse(path: &Path, len: usize) -> File {
    let file = File::options().read(true).write(true).create_new(true).open(path).expect("a file");
    file.set_len(u64::try_from(len).expect("small")).expect("a hole takes no space");
    file
}

/// Stores in every way, each into a hole of its own from byte `hole`; before each, `fill_up` takes what may be free
/// again.
fn assert_no_store_fits(view: View<'_>, hole: usize, tally: &mut Tally, fill_up: &dyn Fn()) {
    let source = view.slice(..PAGE).expect("inside");
    let stores: [&dyn Fn(usize) -> Result<(), Fault>; 6] = [
        &|at| view.store(at, 1u64),
        &|at| view.store(at, [1u8; 3]),
        &|at| view.write_all_at(at, &[1; 5000]),
        &|at| view.write_at(at, &[1; 5]).map(|_| ()),
        &|at| view.fill(at..at + 5000, 1),
        &|at| source.copy_to(&view.slice(at..).expect("inside")).map_err(|fault| moved(fault, at)),
    ];
    for (index, store) in stores.iter().enumerate() {
        fill_up();
        let at = hole + index * 16 * PAGE + index;
        let fault = tally.count(store(at)).expect_err("no block is left");
        assert_eq!((fault.offset, fault.kind, fault.access), (at, FaultKind::NoSpace, Access::Write), "store {index}");
    }
    let at = hole + stores.len() * 16 * PAGE;
    // In a mapping of its own, which the fault may poison.
    let mapping = MapOptions::read_write().map(view.mapping()).expect("a mapping");
    let word = mapping.view().atomic::<u32>(at).expect("aligned");
    for access in
        [|word: AtomicView<'_, u32>| word.fetch_add(1, Relaxed), |word: AtomicView<'_, u32>| word.swap(1, Relaxed)]
    {
        fill_up();
        let fault = tally.count(access(word)).expect_err("no block is left");
        assert_eq!((fault.offset, fault.kind, fault.access), (at, FaultKind::NoSpace, Access::Write));
    }
}

/// A fault of a slice, as one of the view that the slice begins in at `at`.
fn moved(mut fault: Fault, at: usize) -> Fault {
    fault.offset += at;
    fault
}

#[test]
fn a_full_tmpfs_is_no_space_at_the_first_byte_that_did_not_fit() {
    if !bus_errors_tell_where("a_full_tmpfs_is_no_space_at_the_first_byte_that_did_not_fit") {
        return;
    }
    let test = "a_full_tmpfs_is_no_space_at_the_first_byte_that_did_not_fit";
    let fs = match SmallFs::tmpfs(u64::try_from(TMPFS).expect("small")) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a tmpfs needs root: {error}")),
    };
    let file = sparse(&fs.path().join("sparse"), 8 * TMPFS);
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let (view, mut tally) = (mapping.view(), Tally::default());

    let bytes = pattern(2 * TMPFS);
    let fault = tally.count(view.write_all_at(0, &bytes)).expect_err("twice the space there is");
    assert_eq!((fault.kind, fault.access), (FaultKind::NoSpace, Access::Write));
    let written = fault.offset;
    let allocated = usize::try_from(file.metadata().expect("open").blocks() * 512).expect("small");
    assert_eq!(written, allocated, "exactly what fitted was written");
    assert!(written >= TMPFS - (64 << 10), "{written}");

    let mut seen = vec![0; written];
    tally.count(view.read_exact_at(0, &mut seen)).expect("what was written");
    assert_eq!(seen, bytes[..written]);
    let hole = 4 * TMPFS;
    let fault =
        tally.count(view.load::<u64>(hole)).expect_err("tmpfs needs a page even to read a hole through a mapping");
    assert_eq!((fault.offset, fault.kind, fault.access), (hole, FaultKind::NoSpace, Access::Read));
    assert_no_store_fits(view, hole, &mut tally, &|| {});
    report("a full tmpfs", &tally.to_string());
}

/// Writes to a file until the file system has no block left, also after what was reserved too much is given back.
fn fill_up(mut filler: &File) {
    loop {
        let mut written = 0;
        while let Ok(count) = filler.write(&[1; PAGE]) {
            written += count;
        }
        filler.sync_all().expect("everything that was written has its block");
        if written == 0 {
            return;
        }
    }
}

#[test]
fn a_full_ext4_is_no_space_for_stores_into_a_hole_and_zeros_for_loads() {
    if !bus_errors_tell_where("a_full_ext4_is_no_space_for_stores_into_a_hole_and_zeros_for_loads") {
        return;
    }
    let test = "a_full_ext4_is_no_space_for_stores_into_a_hole_and_zeros_for_loads";
    let fs = match SmallFs::ext4(u64::try_from(EXT4).expect("small")) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("an ext4 in an image needs root and e2fsprogs: {error}")),
    };
    let path = fs.path().join("sparse");
    let file = sparse(&path, 4 * EXT4);
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let (view, mut tally) = (mapping.view(), Tally::default());

    let bytes = pattern(EXT4);
    let fault = tally.count(view.write_all_at(0, &bytes)).expect_err("more than there is");
    assert_eq!((fault.kind, fault.access), (FaultKind::NoSpace, Access::Write));
    let filled = fault.offset;
    assert!(filled % PAGE == 0 && filled >= EXT4 / 4, "{filled}");
    let mut seen = vec![0; filled];
    tally.count(view.read_exact_at(0, &mut seen)).expect("what was written");
    assert!(seen == bytes[..filled]);
    let filler = sparse(&fs.path().join("filler"), 0);
    let fill_up = || fill_up(&filler);
    fill_up();

    // Loads of the hole need no block, also when a page of it has just failed to get one.
    let hole = 2 * EXT4;
    assert_eq!(tally.count(view.load::<u64>(hole)), Ok(0));
    assert_no_store_fits(view, hole, &mut tally, &fill_up);
    assert_eq!(tally.count(view.load::<u64>(hole)), Ok(0));
    let mut zeros = vec![9; EXT4];
    tally.count(view.read_exact_at(hole, &mut zeros)).expect("a hole");
    assert!(zeros.iter().all(|&byte| byte == 0));
    let mut chunks = view.slice(hole..).expect("inside").chunks(PAGE);
    while let Some(chunk) = tally.count(chunks.next_chunk()).expect("a hole") {
        assert!(chunk.iter().all(|&byte| byte == 0));
    }

    // Overwriting needs no block, and a store that stays in memory does not either.
    tally.count(view.store(filled - 8, 7u64)).expect("a block that is there");
    let copied = MapOptions::copy_on_write().map(&file).expect("a mapping");
    tally.count(copied.view().fill(hole..hole + 5000, 1)).expect("memory");
    assert_eq!(tally.count(view.load::<u64>(hole)), Ok(0));

    // The same through a descriptor that refuses reads of single bytes.
    let direct = File::options().read(true).write(true).custom_flags(libc::O_DIRECT).open(&path).expect("a file");
    let direct = MapOptions::read_write().map(&direct).expect("a mapping");
    assert_no_store_fits(direct.view(), hole + EXT4, &mut tally, &fill_up);
    report("a full ext4", &tally.to_string());
}
