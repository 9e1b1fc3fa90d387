//! What a fault of an atomic access means for the rest of its mapping: nothing where atomics are guarded, and elsewhere
//! that every access to it answers that fault from then on. Each test says both.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Barrier;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;

use mapio_map::{AtomicMapping, AtomicView, Fault, FaultKind, MapOptions, Mapping, Protection, View};
use mapio_testkit::{bus_errors_tell_where, report};

use crate::support::GUARDED;

/// The largest page that Linux has on the platforms tested.
const PAGE: usize = 64 << 10;

fn bytes(len: usize) -> u64 {
    u64::try_from(len).expect("small")
}

/// A file in memory of some pages, each of whose `u64`s is 7.
fn file_of_sevens(pages: usize) -> File {
    let file = File::from(rustix::fs::memfd_create("unguarded", rustix::fs::MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(&7u64.to_ne_bytes().repeat(pages * PAGE / 8), 0).expect("room");
    file
}

fn map(file: &File) -> Mapping {
    MapOptions::read_write().map(file).expect("a mapping")
}

/// The `u64` at the start of a page.
fn at_page<'a>(view: View<'a>, page: usize) -> AtomicView<'a, u64> {
    view.atomic(page * PAGE).expect("inside and aligned")
}

/// Every kind of access to the second page of a view of four; none changes its first word.
fn accesses(view: View<'_>) -> Vec<(&'static str, Result<(), Fault>)> {
    let (word, mut buf, page) = (at_page(view, 1), [0; 9], view.slice(PAGE..2 * PAGE).expect("inside"));
    let word32 = view.atomic::<u32>(PAGE + 8).expect("inside and aligned");
    let memory = MapOptions::read_write().len(PAGE).memfd("other").expect("memory");
    let copied = page.copy_to(&memory.view());
    // Not /dev/null, which looks at no byte.
    let sink = tempfile::tempfile().expect("a temporary file");
    let told = |sent: std::io::Result<()>| sent.map_err(|error| error.downcast::<Fault>().expect("a fault"));
    vec![
        ("atomic load", word.load(SeqCst).map(drop)),
        ("exchange", word.compare_exchange(7, 7, SeqCst, Relaxed).map(drop)),
        ("add", word.fetch_add(0, Relaxed).map(drop)),
        ("and of a byte", view.atomic::<u8>(PAGE + 17).expect("inside").fetch_and(0xff, Relaxed).map(drop)),
        ("wait", word32.wait(0x5555_5555, None).map(drop)),
        ("wake", word32.wake(1).map(drop)),
        ("load", view.load::<u16>(PAGE + 5).map(drop)),
        ("large load", view.load::<[u8; 100]>(PAGE + 5).map(drop)),
        ("store", view.store(PAGE, 7u64)),
        ("read", view.read_exact_at(PAGE + 5, &mut buf)),
        ("write", view.write_all_at(PAGE, &7u64.to_ne_bytes())),
        ("fill", view.fill(PAGE + 4000..PAGE + 4008, 0)),
        ("copy from", copied),
        ("copy to", memory.view().copy_to(&page)),
        ("write(2)", told(page.write_all_to(&sink))),
        ("chunks", page.chunks(100).next_chunk().map(drop)),
    ]
}

#[test]
fn a_fault_of_an_atomic_poisons_its_mapping_where_atomics_are_not_guarded() {
    if !bus_errors_tell_where("unguarded::a_fault_of_an_atomic_poisons_its_mapping_where_atomics_are_not_guarded") {
        return;
    }
    let file = file_of_sevens(4);
    let (mapping, other) = (map(&file), map(&file));
    at_page(other.view(), 0).load(Relaxed).expect("there");
    let first = mapping.view().slice(8..).expect("inside");
    file.set_len(bytes(2 * PAGE)).expect("a cut");
    let cut = FaultKind::Truncated { file_len: bytes(2 * PAGE) };
    for (name, answer) in accesses(mapping.view()) {
        assert_eq!(answer, Ok(()), "{name}: nobody has touched what was cut");
    }
    let fault = first.atomic::<u32>(3 * PAGE - 8).expect("aligned").fetch_or(1, Relaxed).expect_err("it was cut");
    assert_eq!((fault.offset, fault.kind), (3 * PAGE - 8, cut));
    file.set_len(bytes(4 * PAGE)).expect("room");
    for _ in 0..2 {
        for (name, answer) in accesses(mapping.view()) {
            assert_eq!(answer.map_err(|fault| fault.kind), if GUARDED { Ok(()) } else { Err(cut) }, "{name}");
        }
        for (name, answer) in accesses(other.view()) {
            assert_eq!(answer, Ok(()), "{name}: another mapping is not poisoned");
        }
    }
    assert_eq!(mapping.view().read_at(0, &mut [0; 8]).is_ok(), GUARDED);
    assert_eq!(at_page(mapping.view(), 3).load(Relaxed).is_ok(), GUARDED, "also where the file has grown back");
}

#[test]
fn an_access_to_a_poisoned_mapping_changes_nothing() {
    if !bus_errors_tell_where("unguarded::an_access_to_a_poisoned_mapping_changes_nothing") {
        return;
    }
    let file = file_of_sevens(4);
    let mapping = map(&file);
    file.set_len(bytes(2 * PAGE)).expect("a cut");
    at_page(mapping.view(), 3).store(9, SeqCst).expect_err("it was cut");
    let mut buf = [1; 8];
    let stored = [
        at_page(mapping.view(), 1).store(9, SeqCst),
        mapping.view().store(PAGE + 8, 9u64),
        mapping.view().write_all_at(PAGE + 16, &[9; 100]),
        mapping.view().read_exact_at(0, &mut buf),
    ];
    assert_eq!(stored.map(|stored| stored.is_ok()), [GUARDED; 4]);
    let mut seen = [0; 16];
    file.read_exact_at(&mut seen, bytes(PAGE)).expect("all of it");
    let expected = if GUARDED { [9u64, 9] } else { [7, 7] };
    assert_eq!(seen, expected.map(u64::to_ne_bytes).concat()[..]);
    assert_eq!(buf, if GUARDED { 7u64.to_ne_bytes() } else { [1; 8] });
}

#[test]
fn a_plain_access_that_faults_poisons_nothing() {
    let file = file_of_sevens(4);
    let mapping = map(&file);
    let view = mapping.view();
    assert_eq!(at_page(view, 3).load(Relaxed), Ok(7));
    file.set_len(bytes(PAGE)).expect("a cut");
    assert!(view.load::<u8>(3 * PAGE).is_err() && view.store(3 * PAGE, 1u8).is_err());
    assert!(view.write_all_at(PAGE - 5, &[7; 9]).is_err() && view.fill(3 * PAGE.., 1).is_err());
    let pipe = std::io::pipe().expect("a pipe");
    assert!(view.slice(3 * PAGE..).expect("inside").write_to(&pipe.1).is_err());
    assert!(view.atomic::<u32>(3 * PAGE).expect("aligned").wait(7, None).is_err());
    file.set_len(bytes(4 * PAGE)).expect("room");
    assert_eq!(at_page(view, 3).fetch_add(1, Relaxed), Ok(0));
    assert_eq!(view.load::<u64>(3 * PAGE), Ok(1));
}

#[test]
fn an_atomic_on_a_page_that_was_protected_answers_protection() {
    for protection in [Protection::None, Protection::ReadOnly] {
        let mut mapping = map(&file_of_sevens(3));
        assert_eq!(at_page(mapping.view(), 1).load(Relaxed), Ok(7));
        mapping.protect(PAGE..2 * PAGE, protection).expect("allowed");
        assert_eq!(at_page(mapping.view(), 1).load(Relaxed).is_ok(), protection == Protection::ReadOnly);
        let fault = at_page(mapping.view(), 1).fetch_add(1, Relaxed).expect_err("not allowed");
        assert_eq!((fault.offset, fault.kind), (PAGE, FaultKind::Protection));
        mapping.protect(0..3 * PAGE, Protection::ReadWrite).expect("allowed");
        assert_eq!(at_page(mapping.view(), 1).load(Relaxed).is_ok(), GUARDED);
    }
}

#[test]
fn a_mapping_stays_poisoned_when_it_is_resized_and_one_that_has_moved_can_be_poisoned() {
    if !bus_errors_tell_where(
        "unguarded::a_mapping_stays_poisoned_when_it_is_resized_and_one_that_has_moved_can_be_poisoned",
    ) {
        return;
    }
    let file = file_of_sevens(16);
    let mut mapping = MapOptions::read_write().len(2 * PAGE).map(&file).expect("a mapping");
    assert_eq!(at_page(mapping.view(), 1).load(Relaxed), Ok(7));
    // What follows it in the address space makes it move, unless there is nothing.
    let _behind: Vec<_> =
        (0..4).map(|_| MapOptions::read_write().len(2 * PAGE).map(&file).expect("a mapping")).collect();
    mapping.resize(16 * PAGE).expect("room");
    assert_eq!(at_page(mapping.view(), 15).load(Relaxed), Ok(7));
    file.set_len(bytes(PAGE)).expect("a cut");
    let cut = FaultKind::Truncated { file_len: bytes(PAGE) };
    assert_eq!(at_page(mapping.view(), 9).swap(1, Relaxed).expect_err("it was cut").kind, cut);
    mapping.resize(8 * PAGE).expect("less is always to be had");
    let load = mapping.view().load::<u64>(0);
    assert_eq!(load.is_ok(), GUARDED);
    assert!(GUARDED || load.is_err_and(|fault| fault.kind == cut && fault.offset == 0));
}

#[test]
fn plain_atomics_take_the_place_of_those_of_views() {
    if !bus_errors_tell_where("unguarded::plain_atomics_take_the_place_of_those_of_views") {
        return;
    }
    let file = file_of_sevens(2);
    let mapping = map(&file);
    assert_eq!(at_page(mapping.view(), 1).load(Relaxed), Ok(7));
    let shared = AtomicMapping::new(mapping).expect("it can be written to");
    let loaded = at_page(shared.view(), 1).load(Relaxed);
    assert!(GUARDED || loaded.is_err_and(|fault| fault.kind == FaultKind::Unsupported), "{loaded:?}");
    assert_eq!((loaded.is_ok(), shared.view().load::<u64>(PAGE)), (GUARDED, Ok(7)));

    let mapping = map(&file);
    file.set_len(0).expect("a cut");
    at_page(mapping.view(), 1).load(Relaxed).expect_err("it was cut");
    let made = AtomicMapping::new(mapping);
    assert_eq!(made.is_ok(), GUARDED, "zeros are there already, of which nobody would be told");
}

#[test]
fn who_meets_zeros_of_a_cut_file_is_told_or_they_are_of_its_last_page() {
    if !bus_errors_tell_where("unguarded::who_meets_zeros_of_a_cut_file_is_told_or_they_are_of_its_last_page") {
        return;
    }
    let mut told = 0;
    for _ in 0..300 {
        let file = file_of_sevens(2);
        let mapping = map(&file);
        let (start, view) = (Barrier::new(4), mapping.view());
        told += thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                file.set_len(bytes(PAGE)).expect("a cut");
            });
            let readers = [0usize, 1, 2].map(|kind| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for turn in 0..100 {
                        let seen = if kind == 0 || (kind == 1 && turn % 2 == 0) {
                            at_page(view, 1).load(Relaxed)
                        } else {
                            view.load(PAGE)
                        };
                        match seen {
                            Ok(value) => assert_eq!(value, 7, "zeros, and nobody has said so"),
                            Err(_) => return 1,
                        }
                    }
                    0
                })
            });
            readers.map(|reader| reader.join().expect("no thread dies")).iter().sum::<u64>()
        });
    }
    report("unguarded", &format!("{told} of 900 readers have met the cut, and were told"));
}

#[test]
fn mappings_are_told_apart_however_many_there_are() {
    if !bus_errors_tell_where("unguarded::mappings_are_told_apart_however_many_there_are") {
        return;
    }
    let files: Vec<_> = (0..100).map(|_| file_of_sevens(1)).collect();
    let mut mappings: Vec<_> = files.iter().map(map).collect();
    let load = |mapping: &Mapping| at_page(mapping.view(), 0).load(Relaxed).is_ok();
    assert!(mappings.iter().all(load));
    for cut in files.iter().step_by(3) {
        cut.set_len(0).expect("a cut");
    }
    let there = |index: usize| !index.is_multiple_of(3);
    for _ in 0..2 {
        assert!(mappings.iter().enumerate().all(|(index, mapping)| load(mapping) == there(index)));
    }
    // Places that are given back are taken again, and nothing is left of what was there.
    mappings.truncate(50);
    mappings.extend(files[50..].iter().map(|file| {
        file.set_len(bytes(PAGE)).expect("room");
        map(file)
    }));
    assert!(mappings.iter().enumerate().all(|(index, mapping)| load(mapping) == (there(index) || index >= 50)));
}
