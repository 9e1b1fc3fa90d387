//! Every kind of mapping: memory files, sealed ones, huge pages, devices, reservations; resizing and protection.
#![expect(clippy::as_conversions, reason = "small numbers, from usize to u64")]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;

use mapio_map::{
    Access, Advice, AnonMap, AnonOptions, Error, FaultKind, HugePages, MapMode, MapOptions, Protection, SealedMap,
    page_bytes,
};
use mapio_testkit::{pattern, skip};

use crate::support::{GUARDED, is_emulated, pattern_file};

const HUGE: usize = 2 << 20;

/// More than there is, of memory and of huge pages; not of addresses.
const LARGE: usize = 1usize.wrapping_shl(if usize::BITS == 64 { 40 } else { 28 });

#[test]
fn a_memory_file_is_shared_by_who_has_its_descriptor() {
    let memory = MapOptions::read_write().len(10_000).memfd("test").expect("memory");
    memory.view().write_all_at(9_990, b"the end...").expect("no fault");
    let copy: OwnedFd = memory.as_fd().try_clone_to_owned().expect("a descriptor");
    let part = MapOptions::read_write().offset(9_994).len(3).map(&copy).expect("mapped");
    assert_eq!(part.view().load::<[u8; 3]>(0), Ok(*b"end"));
    part.view().fill(.., b'!').expect("no fault");
    assert_eq!(memory.view().load::<[u8; 10]>(9_990), Ok(*b"the !!!..."));
    assert_eq!(File::from(OwnedFd::from(memory)).metadata().expect("open").len(), 10_000);
    assert_eq!(part.view().load::<u8>(0), Ok(b'!'), "one mapping is enough to keep it");
    let odd = MapOptions::read_write().offset(5000).len(10).memfd("odd").expect("memory");
    assert_eq!(odd.view().load::<u64>(2), Ok(0));
    assert!(MapOptions::read_write().len(1).memfd(&"n".repeat(300)).is_err());
    assert!(MapOptions::read_write().len(usize::MAX).memfd("large").is_err());
}

#[test]
fn sealed_memory_is_a_slice_that_nobody_can_change() {
    let sealed = SealedMap::copy_of("sealed", &pattern(5000)).expect("memory");
    assert_eq!(sealed[..], pattern(5000));
    let file = File::from(sealed.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert!(file.write_at(b"x", 0).is_err() && file.set_len(10).is_err() && file.set_len(10_000).is_err());
    assert!(MapOptions::read_write().map(&sealed).is_err(), "not for stores");
    assert_eq!(MapOptions::copy_on_write().map(&sealed).expect("a copy").view().store(0, 1u8), Ok(()));
    let again = SealedMap::open(&file).expect("sealed");
    drop(sealed);
    assert_eq!(again[..], pattern(5000));
    assert!(SealedMap::copy_of("empty", b"").expect("memory").is_empty());

    let sparse = MapOptions::read_write().len(1 << 20).memfd("sparse").expect("memory");
    let hole = File::from(sparse.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert!(hole.metadata().expect("open").blocks() < 100);
    assert!(sparse.seal().expect("filled first").iter().all(|&byte| byte == 0));
    assert!(hole.metadata().expect("open").blocks() >= 2048);
    let copy = MapOptions::copy_on_write().len(10).memfd("copy").expect("memory");
    assert!(copy.seal().is_err(), "what was stored is not in the file");

    let open = MapOptions::read_write().len(10).memfd("open").expect("memory");
    let Err(Error::Os { source, .. }) = SealedMap::open(&open) else { panic!("not sealed") };
    assert_eq!(source.kind(), io::ErrorKind::InvalidInput);
    assert!(SealedMap::open(pattern_file(10)).is_err(), "a file cannot be sealed");
    let second = MapOptions::read_write().map(&open).expect("mapped twice");
    let Err(Error::Os { source, .. }) = open.seal() else { panic!("somebody may write") };
    assert_eq!(source.raw_os_error(), Some(libc::EBUSY));
    second.seal().expect("now nobody");
    assert!(MapOptions::read_write().map(pattern_file(10)).expect("mapped").seal().is_err());
}

#[test]
fn a_mapping_is_resized_in_place_where_there_is_a_reservation_and_keeps_what_it_has() {
    if is_emulated("a_mapping_is_resized_in_place_where_there_is_a_reservation_and_keeps_what_it_has") {
        return;
    }
    for (mode, reserve) in [
        (MapMode::ReadOnly, 0),
        (MapMode::ReadOnly, 1 << 30),
        (MapMode::ReadWrite, 1 << 30),
        (MapMode::CopyOnWrite, 0),
        (MapMode::CopyOnWrite, 1 << 30),
    ] {
        let bytes = pattern(100_000);
        let file = pattern_file(100_000);
        let mut mapping = MapOptions::new(mode).offset(100).len(5000).reserve(reserve).map(&file).expect("mapped");
        if mode == MapMode::CopyOnWrite {
            mapping.view().store(10, 0u8).expect("no fault");
        }
        for len in [60_000, 99_900, 3, 0, 5000, 4096, 99_900] {
            mapping.resize(len).expect("room");
            assert_eq!(mapping.len(), len);
            let mut seen = vec![0; len];
            mapping.view().read_exact_at(0, &mut seen).expect("no fault");
            if mode == MapMode::CopyOnWrite && len > 10 {
                assert_eq!(seen[10], 0, "{reserve} {len}: what was changed is kept");
                seen[10] = bytes[110];
            }
            assert!(seen == bytes[100..100 + len], "{mode:?} {reserve} {len}");
        }
        mapping.resize(200_000).expect("room");
        let fault = mapping.view().load::<u8>(150_000).expect_err("the file is not as long");
        assert_eq!(fault.kind, FaultKind::Truncated { file_len: 100_000 });
        file.set_len(300_000).expect("longer");
        assert_eq!(mapping.view().load::<u8>(150_000), Ok(0), "and now it is");
        assert!(mapping.resize(usize::MAX).is_err());
        assert_eq!(mapping.len(), 200_000);
    }
    // Parts that differ do not move together, and it says so.
    let mut split = MapOptions::read_write().len(100_000).map(pattern_file(100_000)).expect("mapped");
    split.protect(0..4096, Protection::ReadOnly).expect("allowed");
    let Err(Error::Os { source, .. }) = split.resize(10_000_000) else { panic!("two parts") };
    assert!(source.to_string().contains("do not move together"), "{source}");
    assert_eq!(split.view().load::<u8>(99_999), Ok(pattern(100_000)[99_999]));
    let mut reserved = MapOptions::read_write().reserve(1 << 20).len(0).map(pattern_file(9000)).expect("nothing yet");
    reserved.resize(10).expect("room");
    let address = reserved.view().as_ptr();
    reserved.resize(9000).expect("room");
    assert_eq!(reserved.view().as_ptr(), address);
    let mut empty = MapOptions::read_only().len(0).map(pattern_file(10)).expect("nothing");
    empty.resize(10).expect("something");
    assert_eq!(empty.view().load::<u8>(9), Ok(10));
}

#[test]
fn a_resize_inside_the_reservation_does_not_move() {
    let mut memory = AnonOptions::new().reserve(1 << 30).map(1).expect("memory");
    let address = memory.as_ptr();
    for len in [10, 1 << 20, 5, 1 << 25] {
        memory.resize(len).expect("room");
        assert_eq!(memory.as_ptr(), address);
        memory[len - 1] = 1;
    }
    memory.resize((1 << 30) + 1).expect("beyond it, it may move");
    assert_eq!(memory[(1 << 25) - 1], 1);
}

#[test]
fn protection_refuses_what_it_does_not_allow() {
    let page = page_bytes();
    let mut mapping = MapOptions::read_write().map(pattern_file(3 * page)).expect("mapped");
    mapping.protect(page..page + 1, Protection::ReadOnly).expect("allowed");
    mapping.protect(2 * page..3 * page, Protection::None).expect("allowed");
    let view = mapping.view();
    assert_eq!(view.store(0, 1u8), Ok(()));
    let refused = [view.store(page + 5, 1u8), view.write_all_at(page - 5, &[1; 9]), view.fill(page.., 1)];
    for fault in refused {
        let fault = fault.expect_err("read only");
        // Where accesses raise no signal, the kernel does not say that it was the protection.
        assert!(fault.kind == FaultKind::Protection || !GUARDED, "{fault}");
    }
    assert!(view.load::<u8>(page + 5).is_ok());
    let fault = view.load::<u8>(2 * page).expect_err("nothing");
    assert_eq!(fault.access, Access::Read);
    assert!(fault.kind == FaultKind::Protection || !GUARDED, "{fault}");
    mapping.protect(0..3 * page, Protection::ReadWrite).expect("allowed");
    assert_eq!(mapping.view().store(2 * page, 1u8), Ok(()));
    assert!(mapping.protect(0..3 * page + 1, Protection::ReadOnly).is_err());
    let file = File::open("/proc/self/exe").expect("this program");
    let mut code = MapOptions::read_only().map(&file).expect("mapped");
    code.protect(0..1, Protection::ReadExecute).expect("the file allows it");
    assert!(code.protect(0..1, Protection::ReadWrite).is_err(), "it was not opened for writing");
}

#[test]
fn options_hold_what_they_say() {
    if is_emulated("options_hold_what_they_say") {
        return;
    }
    let file = pattern_file(100 * page_bytes());
    let mapping = MapOptions::read_only().populate().map(&file).expect("mapped");
    let (read, used) = mapio_map::Usage::during(|| mapping.view().load::<u8>(50 * page_bytes())).expect("getrusage");
    assert!(read.is_ok());
    assert_eq!(used.minor_faults + used.major_faults, 0, "populated");
    let locked = MapOptions::copy_on_write().lock().map(&file).expect("mapped");
    assert_eq!(kib_of("VmLck") % 4, 0);
    assert!(kib_of("VmLck") >= 400, "{}", kib_of("VmLck"));
    locked.view().unlock().expect("unlocked");
    MapOptions::copy_on_write().no_reserve().reserve(LARGE).map(&file).expect("costs nothing");
}

/// A line of /proc/self/status, in KiB.
fn kib_of(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn huge_pages_are_had_from_the_pool() {
    if is_emulated("huge_pages_are_had_from_the_pool") {
        return;
    }
    let test = "huge_pages_are_had_from_the_pool";
    let Some(pool) = HugePool::with(4) else {
        return skip(test, "the pool of huge pages cannot be enlarged: needs root and memory");
    };
    let mut memory =
        AnonOptions::new().huge_pages(HugePages::Default).reserve(2 * HUGE).map(HUGE + 1).expect("two huge pages");
    memory[HUGE] = 7;
    memory.resize(10).expect("shorter");
    memory.resize(HUGE + 1).expect("longer");
    assert_eq!(memory[HUGE], 0);
    drop(memory);
    let memory = MapOptions::read_write().len(HUGE + 100).huge_pages(HugePages::Bytes(HUGE)).memfd("huge");
    let memory = memory.expect("two huge pages");
    memory.view().store(HUGE - 4, 77u64).expect("no fault");
    assert_eq!(memory.view().load::<u64>(HUGE - 4), Ok(77));
    let part = MapOptions::read_only().offset(HUGE as u64 - 4).len(8).map(&memory).expect("any byte of a huge page");
    assert_eq!(part.view().load::<u64>(0), Ok(77));
    drop(part);
    assert_eq!(memory.seal().expect("nobody else has it")[HUGE - 4], 77);
    for bytes in [0, 1, 3000, 4096] {
        assert!(AnonOptions::new().huge_pages(HugePages::Bytes(bytes)).map(1).is_err(), "{bytes} is not a size");
    }
    assert!(AnonOptions::new().huge_pages(HugePages::Default).map(LARGE).is_err(), "not so many");
    drop(pool);
    let mut memory = AnonMap::new(4 * HUGE).expect("memory");
    if memory.advise(Advice::HugePage).is_err() {
        skip(test, "transparent huge pages: the kernel has none");
    }
    memory.fill(1);
}

/// The pool of huge pages, made large enough, and put back when dropped.
struct HugePool(String);

impl HugePool {
    const FILE: &str = "/proc/sys/vm/nr_hugepages";

    fn with(pages: u32) -> Option<Self> {
        let before = fs::read_to_string(Self::FILE).ok()?;
        fs::write(Self::FILE, pages.to_string()).ok()?;
        let pool = Self(before);
        let have: u32 = fs::read_to_string(Self::FILE).ok()?.trim().parse().ok()?;
        (have >= pages).then_some(pool)
    }
}

impl Drop for HugePool {
    fn drop(&mut self) {
        // It was written to before; a failure must not hide the one of the test.
        let _ = fs::write(Self::FILE, self.0.trim());
    }
}

#[test]
fn a_character_device_needs_a_length_and_a_pipe_is_refused() {
    let zero = File::options().read(true).write(true).open("/dev/zero").expect("there on every system");
    let Err(error) = MapOptions::read_only().map(&zero) else { panic!("how long?") };
    assert_eq!(error.to_string(), "mapping /dev/zero (offset 0x0): a device has no length, it must be given");
    let mapping = MapOptions::copy_on_write().len(10_000).map(&zero).expect("zeros");
    mapping.view().store(9_999, 7u8).expect("no fault");
    assert_eq!((mapping.view().load::<u8>(9_999), mapping.view().load::<u8>(0)), (Ok(7), Ok(0)));
    assert_eq!(mapping.view().check_backed(), Ok(()));
    let (pipe, _writer) = io::pipe().expect("a pipe");
    assert!(MapOptions::read_only().len(1).map(&pipe).is_err());
}

/// A System V segment, made and removed by commands of util-linux.
struct Segment(i32);

impl Segment {
    fn new(len: usize) -> Option<Self> {
        let output = Command::new("ipcmk").args(["-M", &len.to_string()]).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?;
        said.trim().rsplit(' ').next()?.parse().ok().map(Self)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // A failure must not hide the one of the test.
        let _ = Command::new("ipcrm").args(["-m", &self.0.to_string()]).output();
    }
}

#[test]
fn a_system_v_segment_is_a_mapping_of_one_length_without_a_file() {
    let test = "a_system_v_segment_is_a_mapping_of_one_length_without_a_file";
    if is_emulated(test) {
        return;
    }
    let Some(Segment(id)) = &Segment::new(10_000) else { return skip(test, "ipcmk makes no segment here") };
    let whole = MapOptions::read_write().attach_sysv(*id, "segment").expect("attached");
    let part = MapOptions::read_only().offset(9_990).len(10).attach_sysv(*id, "segment").expect("attached");
    whole.view().write_all_at(9_990, b"the end...").expect("no fault");
    assert_eq!((whole.len(), part.view().load::<[u8; 10]>(0)), (10_000, Ok(*b"the end...")));
    assert_eq!((part.file_offset(), part.view().store(0, 1u8).unwrap_err().kind), (9_990, FaultKind::Protection));
    assert_eq!(whole.view().load::<u8>(10_000).unwrap_err().kind, FaultKind::OutOfBounds { view_len: 10_000 });
    assert_eq!(whole.view().check_backed(), Ok(()));
    // What stands for it tells its length, and refuses its bytes.
    let stand_in = File::from(whole.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert_eq!(stand_in.metadata().expect("it tells").len(), 10_000);
    assert!(stand_in.read_at(&mut [0], 0).is_err() && MapOptions::read_only().map(&whole).is_err());
    for (offset, len) in [(10_001, 0), (0, 10_001), (1, 10_000), (u64::MAX, 1)] {
        let refused = MapOptions::read_write().offset(offset).len(len).attach_sysv(*id, "segment");
        assert!(matches!(refused, Err(Error::Range { .. })), "{offset}, {len}");
    }
    let mut whole = whole;
    assert!(whole.resize(20_000).is_err() && whole.resize(100).is_err());
    assert_eq!(whole.view().load::<u8>(9_999), Ok(b'.'));
    whole.protect(0..100, Protection::ReadOnly).expect("protected");
    let refused = whole.view().store(0, 1u8).expect_err("read only");
    assert!(refused.kind == FaultKind::Protection || !GUARDED, "{refused}");
    assert!(MapOptions::copy_on_write().attach_sysv(*id, "segment").is_err());
    let Err(error) = MapOptions::read_only().attach_sysv(i32::MAX, "none") else { panic!("there is no such segment") };
    assert!(error.to_string().starts_with("attaching none"), "{error}");
}
