//! The module `compat`: every verb does what memmap2's does, whose own tests run in `bench/memmap2-tests`.
#![expect(unsafe_code, reason = "the module's constructors are unsafe functions")]

// What the kernel shows in /proc, and madvise(2).
#[cfg(target_os = "linux")]
mod linux;

use std::fs::{self, File};
use std::io::{self, ErrorKind};

use mapio_map::compat::{Mmap, MmapAsRawDesc, MmapMut, MmapOptions, MmapRaw, RemapOptions};
use mapio_map::{descriptor, page_bytes};
use mapio_testkit::{FileAt, pattern};
use tempfile::TempDir;

use crate::support::pattern_file;

const LEN: usize = 10_000;

/// What all mappings of files here come from.
fn map<M>(make: impl FnOnce(&File) -> io::Result<M>) -> (File, M) {
    let file = pattern_file(LEN);
    let map = make(&file).expect("a mapping");
    (file, map)
}

fn read_only(file: &File) -> io::Result<Mmap> {
    // SAFETY: the tests' files have no name, and each test changes its own only where it uses no slice.
    unsafe { Mmap::map(file) }
}

fn read_write(file: &File) -> io::Result<MmapMut> {
    // SAFETY: as above.
    unsafe { MmapMut::map_mut(file) }
}

fn read_only_with(options: &MmapOptions, file: &File) -> io::Result<Mmap> {
    // SAFETY: as above; a range that reaches past the file's end is not read there.
    unsafe { options.map(file) }
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; LEN];
    file.read_exact_at(&mut bytes, 0).expect("the whole file");
    bytes
}

/// A file that is open for reading and writing, and for reading alone.
fn opened_twice() -> (TempDir, File, File) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, pattern(LEN)).expect("room");
    let file = File::options().read(true).write(true).open(&path).expect("our own file");
    let reading = File::open(path).expect("our own file");
    (folder, file, reading)
}

#[test]
fn a_file_is_a_slice_from_any_byte_on_and_of_any_length() {
    let file = pattern_file(LEN);
    for (offset, len) in [(0, LEN), (0, 1), (1, 4095), (4095, 2), (4096, 4096), (LEN - 1, 1), (LEN, 0), (7, 0)] {
        let mut options = MmapOptions::new();
        options.offset(u64::try_from(offset).expect("small")).len(len);
        let map = read_only_with(&options, &file).expect("a mapping");
        assert_eq!(map[..], pattern(LEN)[offset..offset + len], "{offset} {len}");
        options = MmapOptions::new();
        options.offset(u64::try_from(offset).expect("small"));
        let rest = read_only_with(&options, &file).expect("a mapping");
        assert_eq!(rest[..], pattern(LEN)[offset..]);
    }
}

#[test]
fn stores_through_map_mut_reach_the_file_and_those_through_map_copy_do_not() {
    let (_folder, file, reading) = opened_twice();
    let mut map = read_write(&file).expect("a mapping");
    map[LEN - 1] = 0;
    assert_eq!(contents(&file)[LEN - 1], 0);
    drop(map);
    // SAFETY: as in `read_only`.
    let mut copy = unsafe { MmapOptions::new().map_copy(&reading) }.expect("reading is enough");
    copy[0] = 0;
    // SAFETY: as in `read_only`.
    let still = unsafe { MmapOptions::new().map_copy_read_only(&reading) }.expect("reading is enough");
    let mut still = still.make_mut().expect("its own copy");
    still[1] = 0;
    assert_eq!((copy[0], still[1], contents(&file)[..2].to_vec()), (0, 0, pattern(2)));
}

#[test]
fn flushing_takes_ranges_inside_the_mapping_alone() {
    let file = pattern_file(LEN);
    // SAFETY: as in `read_only`.
    let mut map = unsafe { MmapOptions::new().offset(100).len(5000).map_mut(&file) }.expect("a mapping");
    map.fill(0);
    map.flush().expect("the disk");
    map.flush_async().expect("the disk");
    let raw = MmapOptions::new().map_raw(&file).expect("a mapping");
    raw.flush().expect("the disk");
    raw.flush_async().expect("the disk");
    for (offset, len, inside) in
        [(0, 5000, true), (4999, 1, true), (5000, 0, true), (5000, 1, false), (1, usize::MAX, false), (5001, 0, false)]
    {
        let kind = |flushed: io::Result<()>| flushed.map_err(|error| error.kind());
        let expected = if inside { Ok(()) } else { Err(ErrorKind::InvalidInput) };
        assert_eq!(kind(map.flush_range(offset, len)), expected, "{offset} {len}");
        assert_eq!(kind(map.flush_async_range(offset, len)), expected, "{offset} {len}");
    }
    assert!(raw.flush_range(LEN, 1).is_err() && raw.flush_async_range(LEN, 1).is_err());
    assert_eq!(contents(&file)[99..5101], [&[100][..], &[0; 5000], &pattern(5101)[5100..]].concat());
}

#[test]
fn a_raw_mapping_is_a_pointer_and_made_of_any_other() {
    let (file, raw) = map(|file| MmapRaw::map_raw(file));
    assert_eq!((raw.len(), raw.is_empty()), (LEN, false));
    // SAFETY: inside the mapping, which allows it.
    unsafe { raw.as_mut_ptr().wrapping_add(LEN - 1).write_volatile(9) };
    // SAFETY: as above.
    assert_eq!(unsafe { raw.as_ptr().wrapping_add(LEN - 1).read_volatile() }, 9);
    assert_eq!(contents(&file)[LEN - 1], 9);
    let map = read_write(&file).expect("a mapping");
    let first = map.as_ptr();
    let raw = MmapRaw::from(map);
    assert_eq!((raw.as_ptr(), raw.len()), (first, LEN));
    raw.lock().expect("a few pages");
    raw.unlock().expect("unlocked");
}

#[test]
fn handles_are_slices_to_generic_code_cross_threads_and_show_no_bytes() {
    fn is_a_handle<T: Send + Sync + Unpin + std::panic::RefUnwindSafe + 'static>(_: &T) {}
    let mut memory = MmapMut::map_anon(2).expect("memory");
    memory.as_mut()[0] = 65;
    assert_eq!(memory.as_ref(), [65, 0]);
    let shown = format!("{memory:?}");
    assert_eq!(shown, format!("MmapMut {{ ptr: {:?}, len: 2 }}", memory.as_ptr()));
    is_a_handle(&memory);
    let map = std::thread::spawn(move || memory.make_read_only()).join().expect("no panic").expect("memory");
    assert_eq!((map.as_ref(), format!("{map:?}")), (&[65, 0][..], shown.replace("MmapMut", "Mmap")));
    is_a_handle(&map);
    let raw = MmapRaw::from(map);
    assert_eq!(format!("{raw:?}"), shown.replace("MmapMut", "MmapRaw"));
    is_a_handle(&raw);
}

#[test]
fn descriptors_may_be_given_by_number_by_reference_or_as_anything_that_has_one() {
    let file = pattern_file(LEN);
    // SAFETY: as in `read_only`.
    let by_number = unsafe { Mmap::map(descriptor::raw_of(&file)) }.expect("a mapping");
    // SAFETY: as in `read_only`.
    let by_owner = unsafe { Mmap::map(&descriptor::OwnedDescriptor::from(file)) }.expect("a mapping");
    assert_eq!(by_number[..], by_owner[..]);
    let _ = (&io::stderr()).as_raw_desc();
}

#[test]
fn what_no_system_maps_is_refused_with_memmap2s_kind() {
    let (_folder, file, reading) = opened_twice();
    let kind = |options: &MmapOptions| read_only_with(options, &file).expect_err("no such range").kind();
    let len = u64::try_from(LEN).expect("small");
    assert_eq!(kind(MmapOptions::new().offset(len + 1)), ErrorKind::InvalidData);
    assert_eq!(kind(MmapOptions::new().len(isize::MAX.unsigned_abs() + 1)), ErrorKind::InvalidData);
    assert_eq!(read_write(&reading).expect_err("not for writing").kind(), ErrorKind::PermissionDenied);
    assert_eq!(MmapMut::map_anon(usize::MAX).expect_err("too much").kind(), ErrorKind::InvalidData);
}

#[test]
fn a_mapping_is_made_read_only_and_writable_again_where_the_file_was_opened_for_that() {
    let (_folder, file, reading) = opened_twice();
    let map = read_write(&file).expect("a mapping").make_read_only().expect("a mapping");
    let first = map.as_ptr();
    assert_eq!(map[..], pattern(LEN));
    let mut map = map.make_mut().expect("a mapping");
    map[LEN - 1] = 9;
    assert_eq!((map.as_ptr(), contents(&file)[LEN - 1]), (first, 9));
    let refused = read_only(&reading).expect("a mapping").make_mut();
    assert_eq!(refused.expect_err("not open for writing").kind(), ErrorKind::PermissionDenied);
}

#[test]
fn memory_of_our_own_is_zero_and_no_bytes_are_an_empty_slice() {
    let mut memory = MmapOptions::new().len(LEN).map_anon().expect("memory");
    assert_eq!(memory[..], [0; LEN]);
    memory[LEN - 1] = 1;
    assert!(MmapOptions::new().map_anon().expect("a page").is_empty());
    let map = read_write(&pattern_file(0)).expect("a mapping");
    assert!(map.is_empty());
    map.flush().expect("nothing to flush");
    map.lock().expect("nothing to lock");
    map.unlock().expect("nothing to unlock");
    assert!(map.make_read_only().expect("a page").make_mut().expect("a page").is_empty());
}

#[test]
fn a_mapping_that_may_move_grows_and_shrinks_and_keeps_its_first_byte() {
    let file = pattern_file(100 * page_bytes());
    let mut map = read_only_with(MmapOptions::new().offset(10).len(100), &file).expect("a mapping");
    for len in [50 * page_bytes(), 20, 100 * page_bytes() - 10] {
        // SAFETY: the file has the bytes, and no address is kept.
        unsafe { map.remap(len, RemapOptions::new().may_move(true)) }.expect("address space");
        assert!(map[..] == pattern(len + 10)[10..], "{len}");
    }
    // SAFETY: as above.
    let endless = unsafe { map.remap(usize::MAX, RemapOptions::new().may_move(true)) };
    assert_eq!(endless.expect_err("no slice is so long").kind(), ErrorKind::InvalidData);
    assert_eq!(map.len(), 100 * page_bytes() - 10);
}
