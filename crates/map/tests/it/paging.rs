//! Demand paging seen and steered: residency, populate, evict, lock, advice, write-back.
#![expect(clippy::as_conversions, reason = "small numbers, from usize to u64")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use mapio_map::{Access, Advice, Error, FaultKind, MapOptions, Mapping, Usage, page_bytes};
use mapio_testkit::{pattern, skip};

use crate::support::{cut_mapping, is_emulated};

const PAGES: usize = 64;

/// A file on the disk, beside the test executable, since folders for temporary files may lie in memory.
fn disk_file() -> File {
    let program = std::env::current_exe().expect("a running program has a path");
    let file = tempfile::tempfile_in(program.parent().expect("a folder")).expect("a temporary file");
    file.write_all_at(&pattern(PAGES * page_bytes()), 0).expect("room");
    file.sync_all().expect("a disk");
    file
}

fn resident(mapping: &Mapping) -> usize {
    mapping.view().residency().expect("mincore").resident_pages()
}

/// Evicts all pages; answers how many are left. The kernel keeps those that a processor has in hand just then.
fn evict(mapping: &Mapping) -> usize {
    let mut left = PAGES;
    for _ in 0..100 {
        mapping.view().evict().expect("evicted");
        left = resident(mapping);
        if left <= PAGES / 8 {
            break;
        }
    }
    left
}

#[test]
fn pages_leave_memory_when_evicted_and_come_back_when_populated() {
    if is_emulated("pages_leave_memory_when_evicted_and_come_back_when_populated") {
        return;
    }
    let test = "pages_leave_memory_when_evicted_and_come_back_when_populated";
    let file = disk_file();
    for options in [MapOptions::read_only(), MapOptions::read_write(), MapOptions::copy_on_write()] {
        let mapping = options.map(&file).expect("mapped");
        mapping.view().populate(Access::Read).expect("all there");
        assert_eq!(resident(&mapping), PAGES);
        let left = evict(&mapping);
        if left == PAGES {
            return skip(test, "the file system keeps its files in memory");
        }
        assert!(left <= PAGES / 8, "{left} pages");
        if let Ok(counts) = mapping.view().cache_counts() {
            assert!(counts.cached <= (PAGES / 8) as u64 && counts.dirty == 0, "{counts:?}");
        }
        let half = mapping.view().slice(..PAGES / 2 * page_bytes()).expect("inside");
        // No read-ahead, or the other half might come along.
        mapping.view().advise(Advice::Random).expect("advice");
        let ((), used) = Usage::during(|| half.populate(Access::Read).expect("all there")).expect("getrusage");
        assert_eq!(half.residency().expect("mincore").resident_pages(), PAGES / 2);
        assert!(used.major_faults + used.minor_faults > 0 && resident(&mapping) < PAGES, "{used:?}");
        mapping.view().prefetch().expect("advice");
        mapping.view().populate(Access::Read).expect("all there");
        assert_eq!(resident(&mapping), PAGES);
    }
}

/// Whether `touch` takes no page fault but those of a kernel that moves a page meanwhile, which are not of every run.
fn takes_no_faults(touch: impl Fn()) -> bool {
    (0..20).any(|_| {
        let ((), used) = Usage::during(&touch).expect("getrusage");
        used.minor_faults + used.major_faults == 0
    })
}

#[test]
fn populated_pages_take_no_faults_and_others_take_some() {
    if is_emulated("populated_pages_take_no_faults_and_others_take_some") {
        return;
    }
    let mapping = MapOptions::copy_on_write().map(disk_file()).expect("mapped");
    let touch = || {
        for page in 0..PAGES {
            mapping.view().store(page * page_bytes(), 1u8).expect("no fault");
        }
    };
    let ((), first) = Usage::during(touch).expect("getrusage");
    assert!(first.minor_faults + first.major_faults >= PAGES as u64, "a copy a page: {first:?}");
    assert!(takes_no_faults(touch));
    let mapping = MapOptions::copy_on_write().map(disk_file()).expect("mapped");
    mapping.view().populate(Access::Write).expect("memory");
    assert!(takes_no_faults(|| mapping.view().fill(.., 2).expect("no fault")));
    assert!(Usage::of_process().expect("getrusage").minor_faults > 0);
}

#[test]
fn populating_what_cannot_be_had_answers_the_fault() {
    if is_emulated("populating_what_cannot_be_had_answers_the_fault") {
        return;
    }
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), 5 * page_bytes(), 2 * page_bytes());
    for access in [Access::Read, Access::Write] {
        let Err(fault) = mapping.view().slice(10..).expect("inside").populate(access) else { panic!("cut") };
        assert_eq!((fault.offset, fault.access), (2 * page_bytes() - 10, access));
        assert!(matches!(fault.kind, FaultKind::Truncated { .. }));
        mapping.view().slice(..2 * page_bytes()).expect("inside").populate(access).expect("all there");
    }
    let mapping = MapOptions::read_only().map(disk_file()).expect("mapped");
    assert_eq!(mapping.view().populate(Access::Write).expect_err("read only").kind, FaultKind::Protection);
    mapping.view().slice(..0).expect("empty").populate(Access::Write).expect("nothing to do");
}

#[test]
fn what_is_dirty_is_counted_until_it_is_flushed() {
    let test = "what_is_dirty_is_counted_until_it_is_flushed";
    let mapping = MapOptions::read_write().map(disk_file()).expect("mapped");
    let view = mapping.view();
    match view.dirty_pages() {
        Ok(0) => {}
        Ok(dirty) => panic!("{dirty} dirty pages of a file that was synchronised"),
        Err(Error::Os { source, .. }) => return skip(test, &format!("cachestat(2): {source}")),
        Err(error) => panic!("{error}"),
    }
    for page in [3, 4, 40] {
        view.store(page * page_bytes() + 7, 1u8).expect("no fault");
    }
    if view.dirty_pages().expect("as before") == 0 {
        return skip(test, "the file system keeps its files in memory");
    }
    // The kernel may count by larger folios than pages.
    let part = view.slice(3 * page_bytes() + 7..4 * page_bytes()).expect("inside");
    assert_eq!(part.dirty_pages().expect("as before"), 1);
    part.flush().expect("a disk");
    assert_eq!(part.dirty_pages().expect("as before"), 0);
    view.flush_async().expect("a disk");
    view.flush().expect("a disk");
    let counts = view.cache_counts().expect("as before");
    assert_eq!((counts.dirty, counts.writeback), (0, 0));
}

#[test]
fn locked_pages_stay_and_are_counted() {
    let mapping = MapOptions::read_only().map(disk_file()).expect("mapped");
    let locked = mapping.view().slice(page_bytes() + 1..3 * page_bytes() + 1).expect("inside");
    locked.lock().expect("within the limit");
    mapping.view().evict().expect("evicted, as far as it goes");
    assert_eq!(locked.residency().expect("mincore").pages(), [true; 3]);
    let smaps = fs::read_to_string("/proc/self/smaps").expect("linux");
    assert!(smaps.lines().any(|line| line.starts_with("Locked:") && line.ends_with("12 kB")) || page_bytes() != 4096);
    locked.unlock().expect("unlocked");
}

#[test]
fn every_advice_is_taken_or_refused_with_a_reason() {
    if is_emulated("every_advice_is_taken_or_refused_with_a_reason") {
        return;
    }
    let file = disk_file();
    let mapping = MapOptions::copy_on_write().map(&file).expect("mapped");
    let view = mapping.view().slice(5..10_000).expect("inside");
    view.store(0, 9u8).expect("no fault");
    for advice in [
        Advice::Normal,
        Advice::Random,
        Advice::Sequential,
        Advice::WillNeed,
        Advice::Cold,
        Advice::PageOut,
        Advice::DontFork,
        Advice::DoFork,
        Advice::DontDump,
        Advice::DoDump,
    ] {
        view.advise(advice).unwrap_or_else(|error| panic!("{advice:?}: {error}"));
        assert_eq!(view.load::<u8>(0), Ok(9), "{advice:?} loses nothing");
    }
    // These depend on how the kernel was built.
    for advice in [Advice::HugePage, Advice::NoHugePage, Advice::Mergeable, Advice::Unmergeable] {
        match view.advise(advice) {
            Ok(()) => {}
            Err(Error::Os { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::InvalidInput, "{advice:?}"),
            Err(error) => panic!("{advice:?}: {error}"),
        }
    }
    view.advise(Advice::DontNeed).expect("advice");
    assert_eq!(view.load::<u8>(0), Ok(9), "a page that is partly outside loses nothing");
    mapping.view().advise(Advice::DontNeed).expect("advice");
    assert_eq!(view.load::<u8>(0), Ok(pattern(6)[5]), "the file's byte again");
    let shared = MapOptions::read_write().map(&file).expect("mapped");
    shared.view().slice(..page_bytes()).expect("inside").advise(Advice::DontNeed).expect("advice");
    assert_eq!(shared.view().load::<u8>(5), Ok(pattern(6)[5]), "a shared page comes back as it was");
    shared.view().slice(100..110).expect("inside").advise(Advice::Remove).expect("no page wholly inside");
    assert_eq!(shared.view().load::<u8>(105), Ok(pattern(106)[105]));
    match shared.view().slice(..page_bytes()).expect("inside").advise(Advice::Remove) {
        Ok(()) => assert_eq!(shared.view().load::<u8>(5), Ok(0), "a hole"),
        Err(Error::Os { source, .. }) => skip("every_advice", &format!("Remove: {source}")),
        Err(error) => panic!("{error}"),
    }
}
