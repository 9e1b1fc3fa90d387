//! Files longer than a processor of 32 bits has addresses: whatever part of them is mapped.

use std::fs::File;

use mapio_map::{FaultKind, MapMode, MapOptions, MappedFile};
use mapio_testkit::{FileAt, pattern, skip};

const GIB: u64 = 1 << 30;
/// The file's length: a page more than 5 GiB, and some bytes.
const LEN: u64 = 5 * GIB + 4096 + 77;

/// A file of that length that takes no room on the disk; `None` where the file system has none.
fn far_file(test: &str) -> Option<File> {
    let file = tempfile::tempfile().expect("a temporary file");
    match file.set_len(LEN) {
        Ok(()) => Some(file),
        Err(error) => {
            skip(test, &format!("the file system has no file of 5 GiB: {error}"));
            None
        }
    }
}

#[test]
fn a_window_behind_4_gib_is_that_part_of_the_file() {
    let Some(file) = far_file("far::a_window_behind_4_gib_is_that_part_of_the_file") else { return };
    // On both sides of 4 GiB, at odd offsets, and up to the last byte.
    for (round, at) in [4 * GIB - 3, 4 * GIB, 4 * GIB + 65_537, LEN - 10_000].into_iter().enumerate() {
        let bytes: Vec<u8> =
            pattern(10_000).into_iter().map(|byte| byte.wrapping_add(u8::try_from(round).unwrap())).collect();
        let window = MapOptions::read_write().offset(at).len(bytes.len()).map(&file).expect("a window");
        window.view().write_all_at(0, &bytes).expect("the file has it");
        let mut found = vec![0; bytes.len()];
        file.read_exact_at(&mut found, at).expect("the file has it");
        assert!(found == bytes, "at {at}");
        // What lies 4 GiB before is another part.
        if let Some(before) = at.checked_sub(4 * GIB) {
            let low = MapOptions::new(MapMode::ReadOnly).offset(before).len(10).map(&file).expect("a window");
            assert_eq!(low.view().load::<[u8; 10]>(0), Ok([0; 10]), "at {at}");
        }
    }
    // A window that leaves the file: its bytes up to the end, and behind the last page a fault that says how long it is.
    let window = MapOptions::read_only().offset(LEN - 77).len(20_000).map(&file).expect("a window");
    let fault = window.view().load::<u8>(19_999).expect_err("behind the end");
    assert_eq!((fault.offset, fault.kind), (19_999, FaultKind::Truncated { file_len: LEN }));
}

#[test]
fn a_mapped_file_is_read_and_written_behind_4_gib() {
    let Some(file) = far_file("far::a_mapped_file_is_read_and_written_behind_4_gib") else { return };
    let opened = MappedFile::new(file);
    if usize::BITS < 64 {
        // It is mapped as a whole, for which there are no addresses.
        assert!(opened.is_err());
        return;
    }
    let mapped = opened.expect("addresses");
    assert_eq!(mapped.len().expect("a length"), LEN);
    mapped.write_all_at(4 * GIB + 5, b"far away").expect("the file has it");
    mapped.write_all_at(LEN, b"the end").expect("it grows");
    let mut found = [0; 8];
    mapped.read_exact_at(4 * GIB + 5, &mut found).expect("the file has it");
    assert_eq!(&found, b"far away");
    mapped.read_exact_at(5, &mut found).expect("the file has it");
    assert_eq!(found, [0; 8]);
    assert_eq!(mapped.len().expect("a length"), LEN + 7);
}
