//! What is Windows' own: 64 KiB between mappings, files that can't be cut, exceptions, what is not to be had.
#![expect(unsafe_code, reason = "exceptions without a guard, foreign handlers, a library that is loaded")]

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Output;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use mapio_map::{
    Access, Advice, AnonMap, AnonOptions, AtomicMapping, Error, FaultKind, HugePages, MapMode, MapOptions, MappedFile,
    Protection, SealedMap, Usage, descriptor, fault, page_bytes,
};
use mapio_testkit::{FileAt, in_child, is_wine, pattern, skip};
use windows_sys::Win32::Foundation::{ERROR_USER_MAPPED_FILE, EXCEPTION_ACCESS_VIOLATION, FreeLibrary};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS,
    RemoveVectoredExceptionHandler,
};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
};

use crate::support::{cut_mapping, pattern_file};

/// What every range of addresses, and every view in its file, begins at a multiple of.
const GRANULARITY: usize = 64 << 10;

/// Addresses where the foreign handler makes memory, and how often it has.
static FOREIGN_PAGE: AtomicUsize = AtomicUsize::new(0);
static FOREIGN_FAULTS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn what_is_of_other_systems_is_skipped_with_its_reason() {
    for (module, reason) in [
        ("bad_sector", "the sectors are made by Linux's device mapper"),
        ("coexistence", "it is about signals; the same about exceptions is in this module"),
        ("compat::linux", "it compares with Linux's /proc and madvise(2)"),
        ("contract::cache", "it is about Linux's page cache"),
        ("faulty_fs", "file systems in user space are made by FUSE"),
        ("full_disk", "small file systems are made on Linux's loop devices"),
        (
            "kinds",
            "it is about seals, huge pages, System V segments and devices; what answers instead is in this module",
        ),
        (
            "mapped_file::linux",
            "it is about zeros ahead of what is written, files that are cut, Linux's disks and devices",
        ),
        ("paging", "it is about mincore(2), cachestat(2) and madvise(2)"),
        ("poison", "Windows cannot replace a page of a view"),
        ("sharing", "it is about seals, and descriptors sent over Unix sockets"),
        ("storm", "files are cut under their mappings there, which Windows refuses"),
        ("unguarded", "files are cut under their mappings there, which Windows refuses; for the rest see atomics"),
    ] {
        skip(module, reason);
    }
}

#[test]
fn views_begin_and_end_at_any_byte_around_every_granule() {
    const LEN: usize = 3 * GRANULARITY + 1234;
    let (file, expected) = (pattern_file(LEN), pattern(LEN));
    let edges = [0, 4096, GRANULARITY - 4096, GRANULARITY, GRANULARITY + 4096, 2 * GRANULARITY, 3 * GRANULARITY];
    for start in edges.iter().flat_map(|edge| edge.saturating_sub(1)..edge + 2) {
        for len in [1, 2, 4095, 4096, 4097, GRANULARITY - 1, GRANULARITY, GRANULARITY + 1, LEN - start] {
            let offset = u64::try_from(start).expect("small");
            for mode in [MapMode::ReadOnly, MapMode::ReadWrite, MapMode::CopyOnWrite] {
                let mapping = MapOptions::new(mode).offset(offset).len(len).map(&file).expect("a mapping");
                let inside = len.min(LEN - start);
                let mut seen = vec![0; inside];
                mapping.view().read_exact_at(0, &mut seen).expect("all there");
                assert!(seen == expected[start..start + inside], "{mode:?}, {len} bytes from {start}");
            }
        }
    }
}

#[test]
fn bytes_behind_the_file_are_addresses_of_the_mapping_alone() {
    // With and without bytes of the file, and with its end on each kind of edge.
    for file_len in [0, 1, 4096, GRANULARITY - 1, GRANULARITY, GRANULARITY + 5000] {
        let len = 5 * GRANULARITY + 77;
        let (_file, mapping) = cut_mapping(MapOptions::read_write(), len, file_len);
        let others: Vec<AnonMap> = (0..20).map(|_| AnonMap::new(GRANULARITY).expect("memory")).collect();
        let last_page_end = file_len.next_multiple_of(page_bytes());
        for at in [last_page_end, last_page_end + 1, 2 * GRANULARITY, len - 1] {
            let fault = mapping.view().store(at, 1u8).expect_err("nothing is there");
            let file_len = u64::try_from(file_len).expect("small");
            assert_eq!((fault.offset, fault.kind), (at, FaultKind::Truncated { file_len }));
        }
        assert!(others.iter().all(|memory| memory.iter().all(|&byte| byte == 0)));
    }
}

#[test]
fn a_file_is_not_cut_while_it_is_mapped_and_says_why() {
    let file = pattern_file(10_000);
    let mapping = MapOptions::read_only().map(&file).expect("a mapping");
    let refused = file.set_len(5000).expect_err("it is mapped");
    assert_eq!(refused.raw_os_error(), Some(ERROR_USER_MAPPED_FILE.cast_signed()));
    file.set_len(20_000).expect("longer is no cut");
    assert_eq!(mapping.view().load::<u8>(9_999), Ok(pattern(10_000)[9_999]));
    drop(mapping);
    file.set_len(5000).expect("nobody maps it any more");

    let mapped = MappedFile::new(file).expect("mapped");
    let refused = mapped.set_len(10).expect_err("it is mapped");
    assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
    assert!(refused.to_string().starts_with("Windows makes no file shorter that is mapped"), "{refused}");
    let file = mapped.into_file().expect("unmapped");
    file.set_len(10).expect("nobody maps it any more");
}

#[test]
fn a_mapping_is_mapped_anew_as_long_as_its_file_is_now() {
    let file = pattern_file(5000);
    let mut mapping = MapOptions::read_write().offset(100).map(&file).expect("a mapping");
    mapping.view().store(0, 7u8).expect("a byte");
    file.write_all_at(&[9; 300_000], 5000).expect("room");
    mapping.resize(250_000).expect("mapped again");
    assert_eq!((mapping.view().load::<u8>(0), mapping.view().load::<u8>(249_999)), (Ok(7), Ok(9)));
    mapping.resize(1).expect("mapped again");
    assert_eq!(mapping.view().load::<u8>(0), Ok(7));
    assert!(file.set_len(200).is_err(), "a byte that is mapped keeps the file as long as it was");
    mapping.resize(0).expect("nothing");
    mapping.resize(100).expect("something again");
    assert_eq!(mapping.view().load::<u8>(99), Ok(pattern(200)[199]));
}

#[test]
fn a_copy_on_write_mapping_keeps_its_changes_to_itself_and_when_it_grows() {
    let file = pattern_file(100_000);
    let mut own = MapOptions::copy_on_write().len(80_000).map(&file).expect("a mapping");
    let shared = MapOptions::read_write().map(&file).expect("a mapping");
    own.view().fill(60_000..70_000, 0xee).expect("memory");
    shared.view().store(10, 0xddu8).expect("a byte");
    for len in [100_000, 65_000] {
        own.resize(len).expect("memory");
        assert_eq!(own.view().load::<u8>(10), Ok(0xdd), "a page without changes is the file's");
        assert_eq!(own.view().load::<u8>(64_999), Ok(0xee), "changes go along");
        assert_eq!(shared.view().load::<u8>(64_999), Ok(pattern(65_000)[64_999]), "and stay private");
    }
    own.view().flush().expect("nothing to do");
    let mut seen = [0];
    file.read_exact_at(&mut seen, 60_000).expect("a byte");
    assert_eq!(seen[0], pattern(60_001)[60_000]);
}

#[test]
fn pages_that_allow_nothing_fault_at_every_byte_of_an_access() {
    let page = page_bytes();
    for mode in [MapMode::ReadWrite, MapMode::CopyOnWrite] {
        let mut mapping = MapOptions::new(mode).map(pattern_file(3 * page)).expect("a mapping");
        mapping.protect(page..2 * page, Protection::None).expect("its own pages");
        let view = mapping.view();
        for len in (1..=130).chain([255, 256, 257, 1000, 4000]) {
            for before in (0..=len).filter(|before| len < 300 || *before < 20 || len - before < 20) {
                let start = page - before;
                let mut buf = vec![0; len];
                let answers = [view.read_exact_at(start, &mut buf), view.write_all_at(start, &vec![3; len])];
                for (answer, access) in answers.into_iter().zip([Access::Read, Access::Write]) {
                    match answer {
                        Ok(()) => assert_eq!(before, len),
                        Err(fault) => {
                            assert_eq!((fault.offset, fault.kind), (page, FaultKind::Protection), "{len} from {start}");
                            assert_eq!(fault.access, access);
                        }
                    }
                }
            }
        }
        mapping.protect(page..2 * page, Protection::ReadOnly).expect("its own pages");
        assert_eq!(mapping.view().load::<u8>(page), Ok(pattern(page + 1)[page]), "nothing was stored there");
        assert_eq!(mapping.view().store(page, 1u8).expect_err("read only").kind, FaultKind::Protection);
        mapping.protect(0..3 * page, Protection::ReadWrite).expect("as it was mapped");
        mapping.view().store(page, 1u8).expect("allowed again");
    }
    let mut mapping = MapOptions::read_only().map(pattern_file(page)).expect("a mapping");
    let Error::Os { source, .. } =
        mapping.protect(0..page, Protection::ReadWrite).expect_err("more than it was mapped for")
    else {
        panic!("the system's error")
    };
    assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn stores_reach_the_file_and_flush_waits_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, pattern(200_000)).expect("a file");
    let mapping = MapOptions::read_write().offset(70_001).open(&path).expect("a mapping");
    mapping.view().write_all_at(5, b"stored").expect("no fault");
    mapping.view().flush_async().expect("started");
    mapping.view().slice(3..20).expect("inside").flush().expect("on the disk");
    assert_eq!(fs::read(&path).expect("there")[70_006..70_012], *b"stored");
    assert!(mapping_path(&mapping).ends_with("file"), "{mapping:?}");
    MapOptions::read_only().open(&path).expect("a mapping").view().flush().expect("nothing to do");
}

fn mapping_path(mapping: &mapio_map::Mapping) -> String {
    let text = format!("{mapping:?}");
    text.split('"').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn what_a_process_has_stored_outlives_it() {
    let output = in_child("windows::what_a_process_has_stored_outlives_it", || {
        let dir = tempfile::tempdir().expect("a folder").keep();
        let path = dir.join("file");
        fs::write(&path, [0; 9000]).expect("a file");
        let mapping = MapOptions::read_write().open(&path).expect("a mapping");
        mapping.view().write_all_at(5000, b"left behind").expect("no fault");
        writeln!(io::stdout(), "folder={}", dir.display()).expect("the parent listens");
        std::process::abort();
    });
    assert!(!output.status.success());
    let stdout = String::from_utf8(output.stdout).expect("text");
    let folder = stdout.lines().find_map(|line| line.split_once("folder=")).expect("told").1;
    let seen = fs::read(PathBuf::from(folder).join("file")).expect("there");
    fs::remove_dir_all(folder).expect("own folder");
    assert_eq!(seen[5000..5011], *b"left behind");
}

#[test]
fn a_memory_file_is_shared_by_its_handle_grows_and_leaves_nothing_behind() {
    let left = || {
        let mine = format!("-{}-", std::process::id());
        let names = fs::read_dir(std::env::temp_dir()).expect("a folder").flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().contains(&format!("scratchpad{mine}"))).count()
    };
    let memory = MapOptions::read_write().len(100).memfd("scratch/pad").expect("memory");
    assert_eq!(left(), 1, "it has a name, which people may see");
    let again = MapOptions::read_write().map(&memory).expect("by its handle");
    memory.view().store(40, 7u32).expect("a word");
    assert_eq!(again.view().load::<u32>(40), Ok(7));
    let file = File::from(descriptor::of(&again).try_clone_to_owned().expect("a handle"));
    file.set_len(300_000).expect("longer");
    drop((memory, again));
    let whole = MapOptions::read_only().map(&file).expect("by its last handle");
    assert_eq!((whole.len(), whole.view().load::<u32>(40)), (300_000, Ok(7)));
    drop((whole, file));
    assert_eq!(left(), 0);
}

#[test]
fn what_windows_has_not_is_unsupported_and_says_what() {
    let unsupported = |error: Error| {
        let Error::Os { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::Unsupported, "{error:?}");
        assert!(source.to_string().contains("Windows"), "{source}");
    };
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), 10_000, 10_000);
    unsupported(SealedMap::copy_of("sealed", b"bytes").expect_err("no seals"));
    unsupported(SealedMap::open(pattern_file(1)).expect_err("no seals"));
    unsupported(MapOptions::read_write().len(1).memfd("draft").expect("memory").seal().expect_err("no seals"));
    unsupported(MapOptions::read_write().attach_sysv(1, "segment").expect_err("no segments"));
    unsupported(
        MapOptions::read_write().len(1).huge_pages(HugePages::Default).memfd("huge").expect_err("no such files"),
    );
    unsupported(mapping.view().cache_counts().expect_err("not told"));
    unsupported(mapping.view().evict().expect_err("no such call"));
    unsupported(mapping.view().advise(Advice::Sequential).expect_err("no such advice"));
    unsupported(mapping.view().advise(Advice::DontDump).expect_err("no such advice"));
    unsupported(AtomicMapping::new(mapping).expect_err("no page can be replaced"));
    assert_eq!(Usage::of_thread().expect_err("not told").kind(), io::ErrorKind::Unsupported);
}

#[test]
fn pages_are_brought_in_counted_and_let_go() {
    let mapping = MapOptions::read_only().map(pattern_file(64 * page_bytes())).expect("a mapping");
    let view = mapping.view();
    assert_eq!(view.residency().expect("told").resident_pages(), 0, "in the system's cache, and not in ours");
    view.prefetch().expect("asked for");
    view.populate(Access::Read).expect("all there");
    let resident = view.residency().expect("told");
    assert_eq!((resident.pages().len(), resident.resident_pages()), (64, 64), "all were touched");
    view.advise(Advice::DontNeed).expect("they leave the working set");
    assert_eq!(view.load::<u8>(0), Ok(1), "and come back");
    let used = Usage::of_process().expect("told");
    assert!(used.minor_faults > 0 || used.user + used.system > std::time::Duration::ZERO, "{used:?}");
    let (sum, _) = Usage::during(|| (1..=1000u64).sum::<u64>()).expect("told");
    assert_eq!(sum, 500_500);
}

#[test]
fn populating_what_cannot_be_had_answers_the_fault() {
    let page = page_bytes();
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), 5 * page, 2 * page);
    for access in [Access::Read, Access::Write] {
        let fault = mapping.view().slice(10..).expect("inside").populate(access).expect_err("nothing is there");
        assert_eq!((fault.offset, fault.access), (2 * page - 10, access));
        assert!(matches!(fault.kind, FaultKind::Truncated { .. }));
        mapping.view().slice(..2 * page).expect("inside").populate(access).expect("all there");
    }
    let mapping = MapOptions::read_only().map(pattern_file(page)).expect("a mapping");
    assert_eq!(mapping.view().populate(Access::Write).expect_err("read only").kind, FaultKind::Protection);
    mapping.view().slice(..0).expect("empty").populate(Access::Write).expect("nothing to do");
}

#[test]
fn memory_grows_in_its_reservation_and_is_locked_as_far_as_the_process_may() {
    let mut memory = AnonOptions::new().reserve(1 << 24).map(10).expect("memory");
    let address = memory.as_ptr();
    memory.resize(1 << 24).expect("reserved");
    assert_eq!(memory.as_ptr(), address);
    memory.fill(1);
    memory.resize((1 << 24) + 1).expect("moved");
    assert!(memory[..1 << 24].iter().all(|&byte| byte == 1) && memory[1 << 24] == 0);
    memory.populate(Access::Write).expect("memory");
    let small = AnonMap::new(page_bytes()).expect("memory");
    small.lock().expect("a page is always allowed");
    small.unlock().expect("it was locked");
    let large = AnonMap::new(1 << 30).expect("memory");
    match large.lock() {
        Err(Error::Os { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::QuotaExceeded, "{source}");
            assert!(source.to_string().contains("minimum working set"), "{source}");
        }
        Err(error) => panic!("{error}"),
        Ok(()) => skip("memory that cannot be locked", "this system lets the process lock a gibibyte"),
    }
}

#[test]
fn locked_memory_is_not_discarded() {
    if is_wine() {
        return skip("locked_memory_is_not_discarded", "Wine does not tell which pages are locked");
    }
    let mut memory = AnonMap::new(page_bytes()).expect("memory");
    memory.fill(7);
    memory.lock().expect("a page is always allowed");
    assert!(memory.discard(0..page_bytes()).is_err());
    assert!(memory.iter().all(|&byte| byte == 7));
    memory.unlock().expect("it is still locked");
    memory.discard(0..page_bytes()).expect("nothing is locked any more");
}

#[test]
fn a_handle_whose_calls_do_not_wait_gets_no_bytes_of_a_mapping() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, pattern(4096)).expect("room");
    let mapping = MapOptions::read_write().open(&path).expect("mapped");
    let overlapped = File::options().read(true).write(true).custom_flags(FILE_FLAG_OVERLAPPED).open(&path).expect("it");
    for refused in [mapping.view().write_to(&overlapped), mapping.view().read_from(&overlapped)] {
        assert_eq!(refused.expect_err("overlapped").kind(), io::ErrorKind::InvalidInput);
    }
    let mut bytes = vec![0; 4096];
    mapping.view().read_exact_at(0, &mut bytes).expect("bytes");
    assert_eq!(bytes, pattern(4096));
}

#[test]
fn a_mapped_file_grows_by_calls_and_is_mapped_when_nobody_looks_at_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("journal");
    let mut file = MappedFile::create(&path).expect("mapped");
    let mut expected = Vec::new();
    for i in 0..20_000u32 {
        let entry = format!("entry {i}\n");
        file.write_all(entry.as_bytes()).expect("a write");
        expected.extend_from_slice(entry.as_bytes());
    }
    assert_eq!(fs::metadata(&path).expect("there").len(), file.len().expect("a length"), "no zeros ahead");
    assert!(!file.view().expect("a view").is_empty(), "most of it is mapped by now");
    file.flush().expect("mapped");
    assert_eq!(file.view().expect("a view").len(), expected.len());
    file.write_all_at(u64::try_from(expected.len()).expect("small") + 10, b"far").expect("behind a hole");
    expected.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0far");
    let mut tail = vec![0; 30];
    let start = expected.len() - 20;
    assert_eq!(file.read_at(u64::try_from(start).expect("small"), &mut tail).expect("a read"), 20);
    assert_eq!(tail[..20], expected[start..], "the part that is mapped, and the part that is not");
    file.write_all_at(3, b"XYZ").expect("inside");
    expected[3..6].copy_from_slice(b"XYZ");
    file.seek(SeekFrom::Start(0)).expect("a position");
    let mut seen = Vec::new();
    file.read_to_end(&mut seen).expect("all of it");
    assert!(seen == expected);
    assert_eq!(file.write_at(u64::MAX - 1, b"xy").expect_err("no file is so long").kind(), io::ErrorKind::FileTooLarge);
    file.sync_all().expect("a disk");
    file.close().expect("closed");
    assert!(fs::read(&path).expect("there") == expected);
}

#[test]
fn a_mapped_file_may_be_opened_in_any_way() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, b"0123456789").expect("a file");
    for reads in [false, true] {
        let file = File::options().append(true).read(reads).open(&path).expect("open");
        let mut appended = MappedFile::new(file).expect("mapped");
        appended.write_all(b"ab").expect("a write");
        appended.write_all(b"cd").expect("a write");
    }
    assert_eq!(fs::read(&path).expect("there"), b"0123456789abcdabcd");
    let mut written = MappedFile::new(File::options().write(true).open(&path).expect("open")).expect("mapped");
    written.write_all(b"AB").expect("a write");
    drop(written);
    assert_eq!(fs::read(&path).expect("there"), b"AB23456789abcdabcd");
    let mut read = MappedFile::open(&path).expect("mapped");
    for offset in [0, 17, 18, 1000] {
        let refused = read.write_at(offset, b"x").expect_err("read only");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{offset}");
    }
    let mut all = String::new();
    read.read_to_string(&mut all).expect("text");
    assert_eq!(all, "AB23456789abcdabcd");
    let (pipe, _writer) = io::pipe().expect("a pipe");
    assert!(MappedFile::new(File::from(std::os::windows::io::OwnedHandle::from(pipe))).is_err());
}

/// A page to which no access is allowed.
fn raw_faulting_page() -> *mut u8 {
    // SAFETY: a new range, which nothing else uses.
    let page = unsafe { VirtualAlloc(ptr::null(), 4096, MEM_RESERVE, PAGE_NOACCESS) };
    assert!(!page.is_null());
    page.cast()
}

/// A load without a guard.
fn raw_load(address: *const u8) -> u8 {
    // SAFETY: for the tests' purpose: the load faults, and the process dies or a foreign handler repairs it.
    unsafe { address.read_volatile() }
}

/// Makes memory of the foreign page where an access to it faults; passes on what it does not know.
unsafe extern "system" fn foreign_handler(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: Windows gives a handler valid pointers.
    let pointers = unsafe { *pointers };
    // SAFETY: as above.
    let record = unsafe { *pointers.ExceptionRecord };
    let page = FOREIGN_PAGE.load(Ordering::Relaxed);
    if record.ExceptionCode != EXCEPTION_ACCESS_VIOLATION || record.ExceptionInformation[1] & !0xfff != page {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    FOREIGN_FAULTS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: commits a page that only the test uses.
    unsafe { VirtualAlloc(ptr::without_provenance(page), 4096, MEM_COMMIT, PAGE_READWRITE) };
    EXCEPTION_CONTINUE_EXECUTION
}

/// One of our faults, which must be an `Err` and no business of anybody else.
fn our_fault_is_an_error() {
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), 8192, 0);
    let before = FOREIGN_FAULTS.load(Ordering::Relaxed);
    assert_eq!(mapping.view().load::<u32>(4096).expect_err("cut").kind, FaultKind::Truncated { file_len: 0 });
    assert!(mapping.view().store(4096, 1u32).is_err());
    assert!(mapping.view().read_at(0, &mut [0; 5000]).is_err());
    assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), before, "a foreign handler has seen our fault");
}

/// Whether the process has died of an access violation, as it does without us.
fn died_of_an_access_violation(output: &Output) -> bool {
    output.status.code() == Some(EXCEPTION_ACCESS_VIOLATION)
}

#[test]
fn a_fault_that_is_not_ours_kills_as_it_would_without_us() {
    let output = in_child("windows::a_fault_that_is_not_ours_kills_as_it_would_without_us", || {
        our_fault_is_an_error();
        assert!(fault::status().armed && !fault::status().blocked);
        println!("survived ours");
        raw_load(raw_faulting_page());
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("survived ours"), "{output:?}");
    assert!(died_of_an_access_violation(&output), "{output:?}");
}

#[test]
fn foreign_handlers_before_and_behind_ours_get_what_is_theirs() {
    let output = in_child("windows::foreign_handlers_before_and_behind_ours_get_what_is_theirs", || {
        our_fault_is_an_error();
        for first in [0, 1] {
            // SAFETY: the handler leaves alone what it does not know.
            let handler = unsafe { AddVectoredExceptionHandler(first, Some(foreign_handler)) };
            for len in [1, 8, 300, 5000] {
                let page = raw_faulting_page();
                FOREIGN_PAGE.store(page.addr(), Ordering::Relaxed);
                let before = FOREIGN_FAULTS.load(Ordering::Relaxed);
                assert_eq!(raw_load(page), 0);
                assert_eq!(FOREIGN_FAULTS.load(Ordering::Relaxed), before + 1);
                our_fault_is_an_error();
                let mapping = MapOptions::read_only().map(pattern_file(len)).expect("a mapping");
                let mut seen = vec![0; len];
                mapping.view().read_exact_at(0, &mut seen).expect("no fault");
                assert!(seen == pattern(len));
                // SAFETY: made by VirtualAlloc, and used no more.
                unsafe { VirtualFree(page.cast(), 0, MEM_RELEASE) };
            }
            // SAFETY: the handle came from adding it.
            assert_ne!(unsafe { RemoveVectoredExceptionHandler(handler) }, 0);
        }
        println!("survived everything");
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("survived everything"), "{output:?}");
}

#[test]
fn a_program_and_a_library_may_both_hold_the_crate() {
    let test = "windows::a_program_and_a_library_may_both_hold_the_crate";
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().and_then(|deps| deps.parent()).expect("a target folder");
    let library = folder.join("examples").join("plugin.dll");
    if !library.exists() {
        return skip(test, "examples/plugin.dll is not built: run `cargo test` for the whole package");
    }
    let output = in_child(test, || {
        use std::os::windows::ffi::OsStrExt;
        our_fault_is_an_error();
        let path: Vec<u16> = library.as_os_str().encode_wide().chain([0]).collect();
        // SAFETY: the library's initialisers are std's only.
        let library = unsafe { LoadLibraryW(path.as_ptr()) };
        assert!(!library.is_null(), "{}", io::Error::last_os_error());
        // SAFETY: a valid library and name.
        let function = unsafe { GetProcAddress(library, c"mapio_plugin_survives_a_fault".as_ptr().cast()) };
        let function = function.expect("it is exported");
        // SAFETY: the type it has in examples/plugin.rs; both conventions are the same on x86-64.
        let plugin_survives: extern "C" fn() -> i32 = unsafe { std::mem::transmute(function) };
        our_fault_is_an_error();
        assert_eq!(plugin_survives(), 1, "its fault is an Err there");
        our_fault_is_an_error();
        assert_eq!(plugin_survives(), 1);
        // SAFETY: nothing of it is used below, but its handler, which has made the library stay.
        unsafe { FreeLibrary(library) };
        our_fault_is_an_error();
        println!("survived everything");
        raw_load(raw_faulting_page());
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("survived everything"), "{output:?}");
    assert!(died_of_an_access_violation(&output), "{output:?}");
}
