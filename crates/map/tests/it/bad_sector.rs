//! A bad sector is an `Err` that says so, and the bytes around it can still be read.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use mapio_map::{Access, FaultKind, MapOptions};
use mapio_testkit::{CheckedFs, pattern, report, skip};

const PAGE: usize = 4096;
/// Pages of the file; far more than are read ahead around a fault.
const PAGES: usize = 512;
/// The page that is made bad.
const BAD: usize = 200;
/// What it holds, and nothing else on the disk does.
const MARK: &[u8] = b"mapio: this sector is going to be bad";

#[test]
fn a_bad_sector_is_an_input_output_error_and_its_neighbours_can_be_read() {
    let test = "a_bad_sector_is_an_input_output_error_and_its_neighbours_can_be_read";
    let disk = match CheckedFs::new() {
        Ok(disk) => disk,
        Err(error) => return skip(test, &format!("a btrfs in an image needs root and btrfs-progs: {error}")),
    };
    let path = disk.path().join("file");
    let mut bytes = pattern(PAGES * PAGE);
    bytes[BAD * PAGE..BAD * PAGE + MARK.len()].copy_from_slice(MARK);
    fs::write(&path, &bytes).expect("room");
    File::open(&path).and_then(|file| file.sync_all()).expect("a disk");
    assert_eq!(disk.spoil(MARK).expect("nobody has it open"), 1);

    let file = File::options().read(true).write(true).open(&path).expect("a file");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let view = mapping.view();
    let bad = FaultKind::Io(libc::EIO);

    let mut seen = vec![0; PAGES * PAGE];
    let fault = view.read_exact_at(0, &mut seen).expect_err("a page in the middle is bad");
    assert_eq!((fault.offset, fault.kind, fault.access), (BAD * PAGE, bad, Access::Read));
    assert!(seen[..BAD * PAGE] == bytes[..BAD * PAGE], "what comes before it is right");
    let behind = (BAD + 1) * PAGE;
    view.read_exact_at(behind, &mut seen[behind..]).expect("what comes behind it is not bad");
    assert!(seen[behind..] == bytes[behind..]);

    for offset in [BAD * PAGE, BAD * PAGE + 8, BAD * PAGE + PAGE - 8] {
        let fault = view.load::<u64>(offset).expect_err("bad");
        assert_eq!((fault.offset, fault.kind), (offset, bad));
        let fault = view.store(offset, 1u64).expect_err("a page must be read before it is written");
        assert_eq!((fault.offset, fault.kind, fault.access), (offset, bad, Access::Write));
    }
    assert!(file.read_at(&mut [0; 8], u64::try_from(BAD * PAGE).expect("small")).is_err(), "pread(2) says the same");
    report(test, "1 bad sector of 512: 7 faults became Err(Io(EIO)), 0 deaths");
    drop((mapping, file));
}
