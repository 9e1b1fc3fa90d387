//! Plain atomics in a mapping: a fault poisons that mapping, and nothing else in the process takes notice.
#![expect(unsafe_code, reason = "raw mappings at chosen addresses, errno, signal masks")]
#![expect(clippy::as_conversions, reason = "addresses as the C library has them")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use libc::{SIGBUS, SIGSEGV, c_int};
use mapio_map::{Access, AtomicMapping, FaultKind, MapMode, MapOptions, Protection, fault};
use mapio_testkit::{SmallFs, bus_errors_tell_where, in_child, report, runner, skip};

use crate::coexistence::{
    a_foreign_fault_is_repaired, assert_died_of, assert_done, block_bus_errors, install_foreign, our_fault_is_an_error,
    raw_faulting_page, raw_load, si_addr,
};
use crate::support::pattern_file;

const PAGE: usize = 4096;

fn bytes(len: usize) -> u64 {
    u64::try_from(len).expect("small")
}

/// A file in memory of some pages, each of whose `u64`s is 7.
fn file_of_sevens(pages: usize) -> File {
    let file = File::from(rustix::fs::memfd_create("poison", rustix::fs::MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(&7u64.to_ne_bytes().repeat(pages * PAGE / 8), 0).expect("room");
    file
}

fn shared(file: &File) -> AtomicMapping {
    AtomicMapping::new(MapOptions::read_write().map(file).expect("a mapping")).expect("it can be written to")
}

/// The `u64` at the start of a page.
fn at_page(shared: &AtomicMapping, page: usize) -> &AtomicU64 {
    shared.get(page * PAGE).expect("inside")
}

/// Poisons a new mapping, and answers it.
fn poisoned() -> AtomicMapping {
    let file = file_of_sevens(1);
    let shared = shared(&file);
    file.set_len(0).expect("a cut");
    assert_eq!(at_page(&shared, 0).load(Ordering::Relaxed), 0);
    assert!(shared.is_poisoned());
    shared
}

#[test]
fn pages_that_were_protected_are_opened_for_atomics() {
    for protection in [Protection::None, Protection::ReadOnly] {
        let mut mapping = MapOptions::read_write().len(8192).memfd("protected").expect("memory");
        mapping.protect(0..4096, protection).expect("allowed");
        let atomics = AtomicMapping::new(mapping).expect("atomics");
        assert_eq!(atomics.get::<AtomicU32>(0).expect("inside").fetch_add(1, Ordering::Relaxed), 0);
        atomics.check().expect("nothing is missing");
    }
}

#[test]
fn an_atomic_on_a_page_that_was_cut_off_poisons_the_mapping_and_kills_nobody() {
    if !bus_errors_tell_where("poison::an_atomic_on_a_page_that_was_cut_off_poisons_the_mapping_and_kills_nobody") {
        return;
    }
    for mode in [MapMode::ReadWrite, MapMode::CopyOnWrite] {
        let file = file_of_sevens(4);
        let shared =
            AtomicMapping::new(MapOptions::new(mode).map(&file).expect("a mapping")).expect("it can be written to");
        assert_eq!(at_page(&shared, 2).load(Ordering::Relaxed), 7);
        file.set_len(bytes(PAGE)).expect("a cut");
        assert_eq!((shared.is_poisoned(), shared.check()), (false, Ok(())), "nobody has looked there");

        assert_eq!(at_page(&shared, 2).fetch_add(1, Ordering::Relaxed), 0);
        assert!(shared.is_poisoned());
        let fault = shared.check().expect_err("the file was cut");
        assert_eq!(fault.offset, 2 * PAGE);
        assert_eq!((fault.kind, fault.access), (FaultKind::Truncated { file_len: bytes(PAGE) }, Access::Write));
        assert_eq!(
            fault.to_string(),
            "writing at offset 8192 of the view: the file was cut short, it has 4096 bytes now"
        );

        assert_eq!(at_page(&shared, 2).load(Ordering::Relaxed), 1, "the page of zeros can be used");
        at_page(&shared, 1).store(3, Ordering::Release);
        assert_eq!(shared.check(), Err(fault), "it stays the first one");
        file.set_len(bytes(4 * PAGE)).expect("room");
        assert_eq!(shared.check(), Err(fault), "even when the file has grown back");
        assert_eq!(at_page(&shared, 2).load(Ordering::Relaxed), 1);
    }
}

#[test]
fn every_operation_of_every_width_survives() {
    if !bus_errors_tell_where("poison::every_operation_of_every_width_survives") {
        return;
    }
    let file = file_of_sevens(4);
    let shared = shared(&file);
    file.set_len(0).expect("a cut");
    assert_eq!(shared.get::<AtomicU8>(PAGE - 1).expect("inside").swap(1, Ordering::SeqCst), 0);
    let swapped =
        shared.get::<AtomicU16>(PAGE).expect("inside").compare_exchange(0, 2, Ordering::AcqRel, Ordering::Relaxed);
    assert_eq!(swapped, Ok(0));
    shared.get::<AtomicU32>(2 * PAGE).expect("inside").store(3, Ordering::Release);
    assert_eq!(shared.get::<AtomicU64>(3 * PAGE).expect("inside").load(Ordering::Acquire), 0);
    let all = shared.slice::<AtomicU64>(3 * PAGE, PAGE / 8).expect("inside");
    assert!(all.iter().all(|value| value.load(Ordering::Relaxed) == 0));
    assert_eq!(shared.view().load::<u32>(2 * PAGE), Ok(3));
    assert_eq!(shared.check().map_err(|fault| fault.offset), Err(0));
}

#[test]
fn a_page_that_did_not_fault_goes_on_being_shared() {
    if !bus_errors_tell_where("poison::a_page_that_did_not_fault_goes_on_being_shared") {
        return;
    }
    let file = file_of_sevens(2);
    let (one, other) = (shared(&file), shared(&file));
    file.set_len(bytes(PAGE)).expect("a cut");
    at_page(&one, 1).store(1, Ordering::Relaxed);
    assert!(one.is_poisoned());
    at_page(&one, 0).store(8, Ordering::Relaxed);
    assert_eq!(at_page(&other, 0).load(Ordering::Relaxed), 8);
    file.write_all_at(&9u64.to_ne_bytes(), 0).expect("room");
    assert_eq!(at_page(&one, 0).load(Ordering::Relaxed), 9);

    file.set_len(bytes(2 * PAGE)).expect("room");
    at_page(&other, 1).store(2, Ordering::Relaxed);
    assert_eq!(at_page(&one, 1).load(Ordering::Relaxed), 1, "what was replaced is shared with nobody");
    assert_eq!((one.is_poisoned(), other.is_poisoned()), (true, false), "only the one that has met the fault");
}

#[test]
fn the_fault_of_a_mapping_that_starts_inside_of_its_page_is_at_its_start() {
    if !bus_errors_tell_where("poison::the_fault_of_a_mapping_that_starts_inside_of_its_page_is_at_its_start") {
        return;
    }
    let file = file_of_sevens(3);
    let mapping = MapOptions::read_write().offset(bytes(PAGE + 96)).map(&file).expect("a mapping");
    let shared = AtomicMapping::new(mapping).expect("it can be written to");
    file.set_len(10).expect("a cut");
    assert_eq!(shared.get::<AtomicU64>(8).expect("inside").load(Ordering::Relaxed), 0);
    let fault = shared.check().expect_err("the file was cut");
    assert_eq!((fault.offset, fault.kind), (0, FaultKind::Truncated { file_len: 10 }));
    // The last byte is on the page behind, which the handler replaces too.
    assert_eq!(shared.get::<AtomicU8>(2 * PAGE - 97).expect("inside").load(Ordering::Relaxed), 0);
}

#[test]
fn a_hole_in_a_full_tmpfs_is_no_space() {
    if !bus_errors_tell_where("poison::a_hole_in_a_full_tmpfs_is_no_space") {
        return;
    }
    let test = "a_hole_in_a_full_tmpfs_is_no_space";
    let fs = match SmallFs::tmpfs(1 << 16) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a tmpfs needs root: {error}")),
    };
    let open = |name| File::options().read(true).write(true).create_new(true).open(fs.path().join(name));
    let file = open("sparse").expect("a file");
    file.set_len(bytes(4 * PAGE)).expect("a hole takes no space");
    let shared = shared(&file);
    at_page(&shared, 0).store(1, Ordering::Relaxed);
    let filler = open("filler").expect("a file");
    while filler.write_at(&[1; PAGE], filler.metadata().expect("open").len()).is_ok() {}
    assert_eq!(at_page(&shared, 3).fetch_or(4, Ordering::Relaxed), 0);
    let fault = shared.check().expect_err("no page is left");
    assert_eq!((fault.offset, fault.kind), (3 * PAGE, FaultKind::NoSpace));
    drop(filler);
}

#[test]
fn a_view_answers_the_fault_and_does_not_poison_until_the_page_is_replaced() {
    if !bus_errors_tell_where("poison::a_view_answers_the_fault_and_does_not_poison_until_the_page_is_replaced") {
        return;
    }
    let file = file_of_sevens(2);
    let shared = shared(&file);
    file.set_len(0).expect("a cut");
    assert!(shared.view().load::<u64>(PAGE).is_err());
    assert_eq!(shared.check(), Ok(()), "the access has told who made it");
    at_page(&shared, 1).store(5, Ordering::Relaxed);
    assert!(shared.is_poisoned());
    assert_eq!(shared.view().load::<u64>(PAGE), Ok(5), "the page of zeros is there for views too");
    assert!(shared.view().load::<u64>(0).is_err(), "the other page is not");
}

#[test]
fn threads_that_fault_at_one_page_at_once_share_one_page_of_zeros() {
    if !bus_errors_tell_where("poison::threads_that_fault_at_one_page_at_once_share_one_page_of_zeros") {
        return;
    }
    const THREADS: usize = 8;
    for _ in 0..200 {
        let file = file_of_sevens(1);
        let shared = shared(&file);
        file.set_len(0).expect("a cut");
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    at_page(&shared, 0).fetch_add(1, Ordering::Relaxed);
                    assert!(shared.is_poisoned());
                });
            }
        });
        // Each thread that has faulted may have replaced the page once more, but never after its own addition.
        assert!((1..=THREADS as u64).contains(&at_page(&shared, 0).load(Ordering::Relaxed)));
    }
}

#[test]
fn who_reads_zeros_of_a_replaced_page_is_told_when_he_asks() {
    if !bus_errors_tell_where("poison::who_reads_zeros_of_a_replaced_page_is_told_when_he_asks") {
        return;
    }
    let mut met = 0;
    for _ in 0..2000 {
        let file = file_of_sevens(1);
        let shared = shared(&file);
        let start = Barrier::new(3);
        met += thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                file.set_len(0).expect("a cut");
            });
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..200 {
                        let value = at_page(&shared, 0).load(Ordering::Relaxed);
                        let poisoned = shared.is_poisoned();
                        // The file has a 7 there as long as it has anything.
                        assert!(value == 7 || poisoned, "zeros, and nobody has said so");
                        if poisoned {
                            return 1;
                        }
                    }
                    0
                })
            });
            readers.map(|reader| reader.join().expect("no thread dies")).iter().sum::<u64>()
        });
    }
    report("poison", &format!("{met} of 4000 readers have met a replaced page, and all of them were told"));
}

/// The calling thread's errno.
fn errno<'a>() -> &'a AtomicI32 {
    // SAFETY: no preconditions.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: valid as long as the thread, whose test is over before.
    unsafe { AtomicI32::from_ptr(errno) }
}

#[test]
fn errno_is_kept() {
    if !bus_errors_tell_where("poison::errno_is_kept") {
        return;
    }
    let errno = errno();
    let file = file_of_sevens(1);
    let shared = shared(&file);
    file.set_len(0).expect("a cut");
    let atomic = at_page(&shared, 0);
    errno.store(77, Ordering::Relaxed);
    let value = atomic.load(Ordering::Relaxed);
    assert_eq!((errno.load(Ordering::Relaxed), value), (77, 0));
    assert!(shared.is_poisoned());
}

/// A handler that leaves an errno behind, as one may that calls the system.
extern "C" fn repairs_and_fails(_: c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's siginfo of a fault.
    let page = unsafe { info.as_ref() }.map_or(0, si_addr) & !(PAGE - 1);
    map_at(page, None, libc::PROT_READ, libc::MAP_FIXED);
    // SAFETY: closes nothing.
    unsafe { libc::close(-1) };
}

#[test]
fn errno_is_kept_when_a_fault_is_passed_on() {
    if !bus_errors_tell_where("poison::errno_is_kept_when_a_fault_is_passed_on") {
        return;
    }
    assert_done(&in_child("poison::errno_is_kept_when_a_fault_is_passed_on", || {
        // SAFETY: zeros are a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = repairs_and_fails as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::sigaction(SIGBUS, &raw const action, std::ptr::null_mut()) };
        drop(poisoned());
        let page = raw_faulting_page();
        let errno = errno();
        errno.store(77, Ordering::Relaxed);
        let value = raw_load(page);
        assert_eq!((errno.load(Ordering::Relaxed), value), (77, 0));
    }));
}

/// Maps a page at an address, of a file or of zeros.
fn map_at(addr: usize, file: Option<&File>, protection: c_int, flags: c_int) -> *mut u8 {
    let kind = if file.is_some() { libc::MAP_SHARED } else { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS };
    let fd = file.map_or(-1, |file| file.as_raw_fd());
    // SAFETY: the callers' addresses are those of a page that was given back, or that is theirs to replace.
    let page = unsafe { libc::mmap(addr as *mut libc::c_void, PAGE, protection, kind | flags, fd, 0) };
    assert_eq!(page.addr(), addr, "somebody else has taken it");
    page.cast()
}

/// Makes a mapping, poisons it if asked to, drops it, and answers the address of its first page.
fn addr_that_was_registered(is_poisoned: bool) -> usize {
    let file = file_of_sevens(1);
    let shared = if is_poisoned { poisoned() } else { shared(&file) };
    let addr = std::ptr::from_ref(at_page(&shared, 0)).addr();
    drop(shared);
    addr
}

#[test]
fn a_bus_error_at_the_address_of_a_dropped_mapping_kills() {
    if !bus_errors_tell_where("poison::a_bus_error_at_the_address_of_a_dropped_mapping_kills") {
        return;
    }
    for is_poisoned in [false, true] {
        let output = in_child("poison::a_bus_error_at_the_address_of_a_dropped_mapping_kills", || {
            let addr = addr_that_was_registered(is_poisoned);
            let empty = file_of_sevens(0);
            raw_load(map_at(addr, Some(&empty), libc::PROT_READ, libc::MAP_FIXED_NOREPLACE));
        });
        assert_died_of(SIGBUS, &output);
    }
}

#[test]
fn a_segmentation_fault_at_the_address_of_a_dropped_mapping_kills() {
    if !bus_errors_tell_where("poison::a_segmentation_fault_at_the_address_of_a_dropped_mapping_kills") {
        return;
    }
    let output = in_child("poison::a_segmentation_fault_at_the_address_of_a_dropped_mapping_kills", || {
        let addr = addr_that_was_registered(true);
        raw_load(map_at(addr, None, libc::PROT_NONE, libc::MAP_FIXED_NOREPLACE));
    });
    assert_died_of(SIGSEGV, &output);
}

#[test]
fn a_bus_error_beside_a_mapping_kills() {
    if !bus_errors_tell_where("poison::a_bus_error_beside_a_mapping_kills") {
        return;
    }
    let output = in_child("poison::a_bus_error_beside_a_mapping_kills", || {
        let _poisoned = poisoned();
        raw_load(raw_faulting_page());
    });
    assert_died_of(SIGBUS, &output);
}

#[test]
fn a_segmentation_fault_inside_of_a_mapping_kills() {
    let output = in_child("poison::a_segmentation_fault_inside_of_a_mapping_kills", || {
        let shared = shared(&file_of_sevens(1));
        let atomic = at_page(&shared, 0);
        // SAFETY: a page of the mapping, of which nobody holds anything but atomics.
        unsafe { libc::mprotect(atomic.as_ptr().cast(), PAGE, libc::PROT_READ) };
        assert_eq!(atomic.load(Ordering::Relaxed), 7);
        atomic.store(1, Ordering::Relaxed);
    });
    assert_died_of(SIGSEGV, &output);
}

#[test]
fn a_foreign_handler_installed_before_ours_gets_its_own_faults() {
    if !bus_errors_tell_where("poison::a_foreign_handler_installed_before_ours_gets_its_own_faults") {
        return;
    }
    assert_done(&in_child("poison::a_foreign_handler_installed_before_ours_gets_its_own_faults", || {
        install_foreign();
        let shared = poisoned();
        a_foreign_fault_is_repaired();
        our_fault_is_an_error();
        assert_eq!(at_page(&shared, 0).load(Ordering::Relaxed), 0);
        drop(poisoned());
    }));
}

#[test]
fn a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours() {
    if !bus_errors_tell_where("poison::a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours") {
        return;
    }
    let test = "poison::a_foreign_handler_installed_after_ours_gets_its_own_faults_and_passes_on_ours";
    assert_done(&in_child(test, || {
        let shared = poisoned();
        install_foreign();
        drop(poisoned());
        a_foreign_fault_is_repaired();
        our_fault_is_an_error();
        assert_eq!(at_page(&shared, 0).load(Ordering::Relaxed), 0);
        drop(poisoned());
    }));
}

/// The documented limit: the kernel does not deliver a fault under a blocked signal, it kills.
#[test]
fn a_fault_in_a_thread_that_blocks_the_signal_kills_and_status_says_so_before() {
    if !bus_errors_tell_where("poison::a_fault_in_a_thread_that_blocks_the_signal_kills_and_status_says_so_before") {
        return;
    }
    let test = "poison::a_fault_in_a_thread_that_blocks_the_signal_kills_and_status_says_so_before";
    if runner().is_some() {
        return skip(test, "the emulator lets a fault under a blocked signal happen again for ever");
    }
    let output = in_child(test, || {
        drop(poisoned());
        assert!(fault::status().armed && !fault::status().blocked);
        block_bus_errors();
        assert!(fault::status().armed && fault::status().blocked);
        println!("status has said so");
        drop(poisoned());
    });
    assert!(String::from_utf8_lossy(&output.stdout).contains("status has said so"), "{output:?}");
    assert_died_of(SIGBUS, &output);
}

#[test]
fn status_tells_of_a_handler_in_front() {
    if !bus_errors_tell_where("poison::status_tells_of_a_handler_in_front") {
        return;
    }
    assert_done(&in_child("poison::status_tells_of_a_handler_in_front", || {
        drop(poisoned());
        assert!(fault::status().armed);
        install_foreign();
        assert!(!fault::status().armed);
    }));
}

#[test]
fn any_number_of_mappings_may_be_registered() {
    if !bus_errors_tell_where("poison::any_number_of_mappings_may_be_registered") {
        return;
    }
    const COUNT: usize = 1500;
    assert_done(&in_child("poison::any_number_of_mappings_may_be_registered", || {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        // Each mapping keeps a descriptor.
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).expect("up to the maximum");
        if limit.current.is_some_and(|most| most < bytes(COUNT) + 100) {
            return skip("any_number_of_mappings_may_be_registered", "too few descriptors are allowed");
        }
        let file = file_of_sevens(1);
        let mut all: Vec<_> = (0..COUNT).map(|_| shared(&file)).collect();
        file.set_len(0).expect("a cut");
        for victim in [0, 1, COUNT / 2, COUNT - 1] {
            assert_eq!(at_page(&all[victim], 0).load(Ordering::Relaxed), 0);
        }
        let poisoned: Vec<_> = (0..COUNT).filter(|&i| all[i].is_poisoned()).collect();
        assert_eq!(poisoned, [0, 1, COUNT / 2, COUNT - 1]);
        // Every second place is given back and taken again.
        let mut i = 0;
        all.retain(|_| {
            i += 1;
            i % 2 == 0
        });
        file.write_all_at(&7u64.to_ne_bytes().repeat(PAGE / 8), 0).expect("room");
        all.extend((0..COUNT / 2).map(|_| shared(&file)));
        assert!(all[COUNT / 2..].iter().all(|shared| at_page(shared, 0).load(Ordering::Relaxed) == 7));
        assert!(all[COUNT / 2..].iter().all(|shared| !shared.is_poisoned()), "a new mapping is not poisoned");
    }));
}

/// xorshift64: the same sequence in each run.
fn next(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits") % below
}

/// Mappings come and go and fault in some threads, while others fill the same part of the address space with pages of
/// their own, over which no handler must ever map zeros.
#[test]
fn mappings_that_come_and_go_while_others_fault_never_harm_a_page_of_somebody_else() {
    if !bus_errors_tell_where("poison::mappings_that_come_and_go_while_others_fault_never_harm_a_page_of_somebody_else")
    {
        return;
    }
    const ROUNDS: usize = 6000;
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
    let (faults, harmless) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let stop = AtomicBool::new(false);
    let handed_over = Mutex::new(None::<AtomicMapping>);
    thread::scope(|scope| {
        let users: Vec<_> = (1..=4)
            .map(|thread| {
                let (faults, handed_over) = (&faults, &handed_over);
                scope.spawn(move || {
                    let mut random = SEED.rotate_left(thread);
                    for _ in 0..ROUNDS {
                        faults.fetch_add(come_and_go(&mut random, handed_over), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    harmless.fetch_add(own_pages_stay_as_they_are(), Ordering::Relaxed);
                }
            });
        }
        let ended: Vec<_> = users.into_iter().map(|user| user.join()).collect();
        stop.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.expect("no assertion fails"));
    });
    let (faults, harmless) = (faults.into_inner(), harmless.into_inner());
    assert!(faults > ROUNDS, "{faults}");
    report("poison", &format!("seed {SEED:#x}: {faults} pages replaced, {harmless} pages of others not harmed"));
}

/// One life of a mapping, which may end in another thread; answers its faults, of which it has as many as are due.
fn come_and_go(random: &mut u64, handed_over: &Mutex<Option<AtomicMapping>>) -> usize {
    let pages = 1 + next(random, 4);
    let file = file_of_sevens(pages);
    let shared = shared(&file);
    let left = next(random, pages + 1);
    file.set_len(bytes(left * PAGE)).expect("a cut");
    let mut first = None;
    let mut faults = 0;
    for _ in 0..next(random, 2 * pages) {
        let page = next(random, pages);
        let value = at_page(&shared, page).load(Ordering::Relaxed);
        assert_eq!(value, if page < left { 7 } else { 0 });
        faults += usize::from(page >= left);
        first = first.or((page >= left).then_some(page * PAGE));
    }
    assert_eq!(shared.check().err().map(|fault| fault.offset), first);
    // Another thread drops it, or the one that it holds is dropped here.
    let other = handed_over.lock().expect("nobody panics").replace(shared);
    if let Some(other) = other {
        let last = other.mapping().len() / PAGE - 1;
        at_page(&other, last).load(Ordering::Relaxed);
    }
    faults
}

/// Fills pages of its own and finds them unchanged after a while; answers how many.
fn own_pages_stay_as_they_are() -> usize {
    const PAGES: usize = 4;
    let own: Vec<_> = (0..PAGES)
        .map(|_| {
            let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new range, which nothing else uses.
            let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
            assert_ne!(page, libc::MAP_FAILED);
            // SAFETY: a page of our own, whose bytes are those of atomics.
            let page = unsafe { std::slice::from_raw_parts(page.cast::<AtomicU64>().cast_const(), PAGE / 8) };
            page.iter().for_each(|value| value.store(1, Ordering::Relaxed));
            page
        })
        .collect();
    thread::yield_now();
    for page in own {
        assert!(page.iter().all(|value| value.load(Ordering::Relaxed) == 1), "a page of somebody else was replaced");
        // SAFETY: mapped above, and used here for the last time.
        unsafe { libc::munmap(page.as_ptr().cast_mut().cast(), PAGE) };
    }
    PAGES
}

#[test]
fn nothing_of_a_mapping_remains_when_it_is_dropped() {
    if !bus_errors_tell_where("poison::nothing_of_a_mapping_remains_when_it_is_dropped") {
        return;
    }
    assert_done(&in_child("poison::nothing_of_a_mapping_remains_when_it_is_dropped", || {
        let addr = addr_that_was_registered(true);
        // Where anything were mapped, this would answer another address.
        map_at(addr, None, libc::PROT_READ, libc::MAP_FIXED_NOREPLACE);
        drop(pattern_file(1));
    }));
}
