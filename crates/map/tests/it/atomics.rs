//! Atomic integers in mapped files: what core's atomics do, for threads and processes, and an `Err` where the bytes are
//! not to be had.

use std::fs::File;
use std::hint::spin_loop;
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mapio_map::{Access, AtomicInteger, AtomicView, Fault, FaultKind, MapMode, MapOptions, Mapping};
use mapio_testkit::{FileAt, bus_errors_tell_where, in_children, pattern, report, runner, skip};

use crate::support::{GUARDED, cut_mapping, pattern_file};

const ORDERINGS: [Ordering; 5] = [Relaxed, Acquire, Release, AcqRel, SeqCst];
/// The largest page that Linux has on the platforms tested, so that its multiples are page bounds on each.
const PAGE: usize = 64 << 10;
/// Increments by each thread, or process, in each way.
const TURNS: u32 = 50_000;
const THREADS: u32 = 4;
const PROCESS_TURNS: u64 = 200_000;

/// Calls a generic function for each width.
macro_rules! every_width {
    ($function:ident($($argument:expr),*)) => {
        $function::<u8>($($argument),*);
        $function::<u16>($($argument),*);
        $function::<u32>($($argument),*);
        $function::<u64>($($argument),*);
    };
}

/// Adds to a word by comparing and exchanging until nobody was faster.
macro_rules! add_by_exchange {
    ($word:expr, $value:expr) => {
        let word = $word;
        let mut seen = word.load(Relaxed).expect("a word");
        while let Err(found) =
            word.compare_exchange_weak(seen, seen.wrapping_add($value), SeqCst, Relaxed).expect("a word")
        {
            seen = found;
        }
    };
}

type Operation<T> = (&'static str, Access, fn(&AtomicView<'_, T>, Ordering) -> Result<(), Fault>);

/// Every operation, with an ordering that is made one which it allows. Each changes a zero if it can.
fn operations<T: AtomicInteger + From<u8>>() -> [Operation<T>; 15] {
    use Access::{Read, Write};
    [
        ("load", Read, |word, order| word.load(of_load(order)).map(drop)),
        ("store", Write, |word, order| word.store(T::from(1), of_store(order))),
        ("swap", Write, |word, order| word.swap(T::from(1), order).map(drop)),
        ("compare_exchange", Write, |word, order| {
            word.compare_exchange(T::from(0), T::from(1), order, of_load(order)).map(drop)
        }),
        ("compare_exchange that fails", Write, |word, order| {
            word.compare_exchange(T::from(99), T::from(1), order, of_load(order)).map(drop)
        }),
        ("compare_exchange_weak", Write, |word, order| {
            word.compare_exchange_weak(T::from(0), T::from(1), order, of_load(order)).map(drop)
        }),
        ("fetch_add", Write, |word, order| word.fetch_add(T::from(1), order).map(drop)),
        ("fetch_sub", Write, |word, order| word.fetch_sub(T::from(1), order).map(drop)),
        ("fetch_and", Write, |word, order| word.fetch_and(T::from(1), order).map(drop)),
        ("fetch_nand", Write, |word, order| word.fetch_nand(T::from(1), order).map(drop)),
        ("fetch_or", Write, |word, order| word.fetch_or(T::from(1), order).map(drop)),
        ("fetch_xor", Write, |word, order| word.fetch_xor(T::from(1), order).map(drop)),
        ("fetch_max", Write, |word, order| word.fetch_max(T::from(1), order).map(drop)),
        ("fetch_min", Write, |word, order| word.fetch_min(T::from(1), order).map(drop)),
        ("fetch_update", Write, |word, order| word.fetch_update(order, of_load(order), |_| Some(T::from(1))).map(drop)),
    ]
}

fn of_load(order: Ordering) -> Ordering {
    match order {
        Release => Relaxed,
        AcqRel => Acquire,
        order => order,
    }
}

fn of_store(order: Ordering) -> Ordering {
    match order {
        Acquire => Relaxed,
        AcqRel => Release,
        order => order,
    }
}

fn at<'a, T: AtomicInteger>(mapping: &'a Mapping, offset: usize) -> AtomicView<'a, T> {
    mapping.view().atomic(offset).expect("inside and aligned")
}

fn zeros(len: usize) -> File {
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(u64::try_from(len).expect("small")).expect("room");
    file
}

fn assert_fault(answer: Result<(), Fault>, offset: usize, kind: FaultKind, access: Access, what: &str) {
    let fault = answer.expect_err(what);
    assert_eq!((fault.offset, fault.kind, fault.access), (offset, kind, access), "{what}");
}

#[test]
fn every_operation_does_what_cores_does_and_touches_nothing_beside() {
    let file = pattern_file(2 * PAGE);
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    macro_rules! width {
        ($int:ty, $atomic:ident) => {
            for offset in [0, 8, 4096 - size_of::<$int>(), 4096, 2 * PAGE - size_of::<$int>()] {
                let word = at::<$int>(&mapping, offset);
                let core = $atomic::new(word.load(Relaxed).expect("a word"));
                for _ in 0..10_000 {
                    // Few values, so that comparisons succeed, and all the others.
                    let mut value = || {
                        let mask = if next() % 2 == 0 { 3 } else { u64::from(<$int>::MAX) };
                        <$int>::try_from(next() & mask).expect("masked")
                    };
                    let (value, other) = (value(), value());
                    let order = ORDERINGS[usize::try_from(next() % 5).expect("five")];
                    let failure = of_load(ORDERINGS[usize::try_from(next() % 5).expect("five")]);
                    let update = |before: $int| before.checked_sub(value);
                    macro_rules! same {
                        ($operation:ident, $arguments:tt) => {
                            assert_eq!(word.$operation $arguments, Ok(core.$operation $arguments), "{order:?} {value}")
                        };
                    }
                    match next() % 15 {
                        0 => same!(load, (of_load(order))),
                        1 => same!(store, (value, of_store(order))),
                        2 => same!(swap, (value, order)),
                        3 => same!(compare_exchange, (value, other, order, failure)),
                        4 => {
                            let current = core.load(Relaxed);
                            same!(compare_exchange, (current, other, order, failure));
                        }
                        5 => {
                            // Core's may fail for no reason; one that did not is the same as the strong one.
                            let strong = core.compare_exchange(value, other, order, failure);
                            assert_eq!(word.compare_exchange_weak(value, other, order, failure), Ok(strong));
                        }
                        6 => same!(fetch_add, (value, order)),
                        7 => same!(fetch_sub, (value, order)),
                        8 => same!(fetch_and, (value, order)),
                        9 => same!(fetch_nand, (value, order)),
                        10 => same!(fetch_or, (value, order)),
                        11 => same!(fetch_xor, (value, order)),
                        12 => same!(fetch_max, (value, order)),
                        13 => same!(fetch_min, (value, order)),
                        _ => same!(fetch_update, (order, failure, update)),
                    }
                    assert_eq!(word.load(Relaxed), Ok(core.load(Relaxed)));
                }
                let mut seen = vec![0; 2 * PAGE];
                file.read_exact_at(&mut seen, 0).expect("all of it");
                let mut expected = pattern(2 * PAGE);
                let bytes = offset..offset + size_of::<$int>();
                expected[bytes.clone()].copy_from_slice(&core.into_inner().to_ne_bytes());
                assert!(seen == expected, "a byte beside {bytes:?} has changed");
                file.write_all_at(&pattern(2 * PAGE), 0).expect("room");
            }
        };
    }
    width!(u8, AtomicU8);
    width!(u16, AtomicU16);
    width!(u32, AtomicU32);
    width!(u64, AtomicU64);
}

#[test]
fn only_aligned_bytes_of_the_view_make_an_atomic() {
    fn check<T: AtomicInteger>() {
        const LEN: usize = 10_000;
        let size = size_of::<T>();
        for lead in [0, 1, 4, 4095, 4096] {
            let start = u64::try_from(lead).expect("small");
            let mapping = MapOptions::read_only().offset(start).map(pattern_file(lead + LEN)).expect("a mapping");
            for skipped in [0, 1, 6, 8] {
                let view = mapping.view().slice(skipped..).expect("inside");
                let len = view.len();
                let offsets = (0..20).chain(4080..4120).chain(len - 20..len + 20).chain(usize::MAX - 20..=usize::MAX);
                for offset in offsets {
                    let made = view.atomic::<T>(offset).map(drop);
                    let what = format!("{size} bytes at {offset} of {len}, {lead} + {skipped}");
                    if offset > len - size {
                        assert_fault(made, offset, FaultKind::OutOfBounds { view_len: len }, Access::Read, &what);
                    } else if (lead + skipped + offset) % size != 0 {
                        assert_fault(made, offset, FaultKind::Misaligned { align: size }, Access::Read, &what);
                    } else {
                        assert_eq!(made, Ok(()), "{what}");
                    }
                }
            }
        }
        let empty = MapOptions::read_only().map(zeros(0)).expect("a mapping");
        assert_fault(
            empty.view().atomic::<T>(0).map(drop),
            0,
            FaultKind::OutOfBounds { view_len: 0 },
            Access::Read,
            "an empty view",
        );
    }
    every_width!(check());
}

#[test]
fn a_read_only_mapping_answers_protection_to_all_but_loads() {
    fn check<T: AtomicInteger + From<u8>>(mapping: &Mapping) {
        let view = mapping.view().slice(8..).expect("inside");
        let word = view.atomic::<T>(16).expect("aligned");
        for (name, access, operation) in operations::<T>() {
            for order in ORDERINGS {
                match access {
                    Access::Read => assert_eq!(operation(&word, order), Ok(()), "{name} {order:?}"),
                    Access::Write => assert_fault(operation(&word, order), 16, FaultKind::Protection, access, name),
                }
            }
        }
        let nothing = word.fetch_update(SeqCst, SeqCst, |_| None);
        assert_eq!(nothing, Ok(Err(T::from(0))), "nothing was to be stored");
    }
    let file = zeros(100);
    let mapping = MapOptions::read_only().map(&file).expect("a mapping");
    every_width!(check(&mapping));
    let mut seen = [1; 100];
    file.read_exact_at(&mut seen, 0).expect("all of it");
    assert_eq!(seen, [0; 100]);
}

#[test]
fn a_copy_on_write_mapping_keeps_its_values_to_itself() {
    fn check<T: AtomicInteger + From<u8>>() {
        for (name, access, operation) in operations::<T>() {
            // Each meets the page that is still the file's, and the one that is a copy already.
            let file = zeros(2 * PAGE);
            let mapping = MapOptions::new(MapMode::CopyOnWrite).map(&file).expect("a mapping");
            mapping.view().store(PAGE, 0u8).expect("a copy");
            for offset in [8, PAGE + 8] {
                let word = at::<T>(&mapping, offset);
                assert_eq!(operation(&word, SeqCst), Ok(()), "{name}");
                let unchanged = ["compare_exchange that fails", "fetch_and", "fetch_min"].contains(&name);
                let changes = access == Access::Write && !unchanged;
                assert_eq!(word.load(SeqCst) != Ok(T::from(0)), changes, "{name}");
            }
            let mut seen = vec![1; 2 * PAGE];
            file.read_exact_at(&mut seen, 0).expect("all of it");
            assert!(seen.iter().all(|&byte| byte == 0), "{name} has changed the file");
        }
    }
    every_width!(check());
}

#[test]
fn every_operation_with_every_ordering_faults_at_every_page_edge_of_a_cut_file() {
    if !bus_errors_tell_where("every_operation_with_every_ordering_faults_at_every_page_edge_of_a_cut_file") {
        return;
    }
    let test = "every_operation_with_every_ordering_faults_at_every_page_edge_of_a_cut_file";
    fn check<T: AtomicInteger + From<u8>>(faults: &mut u64) {
        const PAGES: usize = 3;
        let size = size_of::<T>();
        for left in 0..PAGES {
            let (file, mut mapping) = cut_mapping(MapOptions::read_write(), PAGES * PAGE, left * PAGE);
            let file_len = u64::try_from(left * PAGE).expect("small");
            // The faults count from the view, whose first bytes are cut off here.
            let view = mapping.view().slice(8..).expect("inside");
            for edge in (0..=PAGES).map(|page| page * PAGE) {
                for offset in [edge.wrapping_sub(size), edge, edge + PAGE / 2] {
                    let Ok(word) = view.atomic::<T>(offset.wrapping_sub(8)) else { continue };
                    for (name, access, operation) in operations::<T>() {
                        for order in ORDERINGS {
                            let answer = operation(&word, order);
                            if offset < left * PAGE {
                                assert_eq!(answer, Ok(()), "{name} {order:?}");
                                continue;
                            }
                            assert_fault(answer, offset - 8, FaultKind::Truncated { file_len }, access, name);
                            *faults += 1;
                        }
                    }
                }
            }
            file.set_len(u64::try_from(PAGES * PAGE).expect("small")).expect("room");
            let mut seen = vec![1; (PAGES - left) * PAGE];
            file.read_exact_at(&mut seen, file_len).expect("all of it");
            assert!(seen.iter().all(|&byte| byte == 0), "an operation that faulted has stored something");
            if cfg!(windows) {
                mapping.resize(PAGES * PAGE).expect("mapped again, since a view does not grow with its file");
            }
            let again = MapOptions::read_write().map(&file).expect("a mapping");
            let mapping = if GUARDED { &mapping } else { &again };
            assert_eq!(at::<T>(mapping, left * PAGE).fetch_add(T::from(7), SeqCst), Ok(T::from(0)), "it works again");
        }
    }
    let mut faults = 0;
    every_width!(check(&mut faults));
    report(test, &format!("{faults} faults became Err"));
}

#[test]
fn nothing_is_lost_when_four_threads_change_the_same_words() {
    macro_rules! width {
        ($int:ty) => {
            let mapping = MapOptions::read_write().map(zeros(4096)).expect("a mapping");
            let word = |index: usize| at::<$int>(&mapping, 64 * index);
            thread::scope(|scope| {
                for thread in 0..THREADS {
                    let mine: $int = 1 << thread;
                    scope.spawn(move || {
                        for _ in 0..TURNS {
                            word(0).fetch_add(1, Relaxed).expect("a word");
                            word(1).fetch_sub(1, AcqRel).expect("a word");
                            add_by_exchange!(word(2), 1);
                            let stored = word(3).fetch_update(Release, Acquire, |value| Some(value.wrapping_add(1)));
                            assert!(stored.is_ok_and(|stored| stored.is_ok()));
                            // Each thread sets and clears its own bit, and finds it as it left it.
                            assert_eq!(word(4).fetch_xor(mine, Relaxed).expect("a word") & mine, 0);
                            assert_eq!(word(4).fetch_xor(mine, SeqCst).expect("a word") & mine, mine);
                            assert_eq!(word(5).fetch_or(mine, Acquire).expect("a word") & mine, 0);
                            assert_eq!(word(5).fetch_and(!mine, Release).expect("a word") & mine, mine);
                        }
                    });
                }
            });
            let expected = (0..THREADS * TURNS).fold(0, |sum: $int, _| sum.wrapping_add(1));
            let expected = [expected, expected.wrapping_neg(), expected, expected, 0, 0];
            assert_eq!(std::array::from_fn(|index| word(index).load(SeqCst)), expected.map(Ok));
        };
    }
    width!(u8);
    width!(u16);
    width!(u32);
    width!(u64);
}

/// What two processes do to one file: each way of counting, and a lock around a count that is not atomic.
fn count_in(folder: &Path) {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(folder.join("counts")).expect("room");
    file.set_len(4096).expect("room");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let [by_add, by_exchange, lock, present, alternated] =
        [0, 64, 128, 192, 256].map(|offset| at::<u64>(&mapping, offset));
    let narrow = at::<u8>(&mapping, 320);
    present.fetch_add(1, SeqCst).expect("a word");
    // Both go on at once. One that waits in vain goes on alone, and the parent sees what became of the other.
    for _ in 0..1_000_000 {
        if present.load(SeqCst) == Ok(2) {
            break;
        }
        thread::yield_now();
    }
    let (mut others, mut alternations) = (0, 0);
    for turn in 0..PROCESS_TURNS {
        let counted = by_add.fetch_add(1, Relaxed).expect("a word") - turn;
        alternations += u64::from(counted != others);
        others = counted;
        if turn % 100 == 0 {
            // Where both have one processor, neither is to come to its end in one go.
            thread::yield_now();
        }
        add_by_exchange!(by_exchange, 1);
        add_by_exchange!(narrow, 1);
        // A1: pairs with R1 of the owner before, of either process.
        while lock.compare_exchange(0, 1, Acquire, Relaxed).expect("a word").is_err() {
            thread::yield_now();
        }
        let count: u64 = mapping.view().load(264).expect("a word");
        mapping.view().store(264, count + 1).expect("a word");
        // R1: publishes the count to the next owner.
        lock.store(0, Release).expect("a word");
    }
    alternated.fetch_add(alternations, Relaxed).expect("a word");
}

#[test]
fn two_processes_count_in_one_file_and_nothing_is_lost() {
    let test = "atomics::two_processes_count_in_one_file_and_nothing_is_lost";
    let (folder, outputs) = in_children(test, 2, count_in);
    for output in outputs {
        assert!(output.status.success(), "{output:?}");
    }
    // Both processes are gone; what they have stored is in the file.
    let bytes = std::fs::read(folder.path().join("counts")).expect("the processes have made it");
    let count = |offset: usize| u64::from_ne_bytes(bytes[offset..offset + 8].try_into().expect("eight"));
    let expected = 2 * PROCESS_TURNS;
    assert_eq!([0, 64, 128, 192, 264].map(count), [expected, expected, 0, 2, expected]);
    assert_eq!(u64::from(bytes[320]), expected % 256);
    report(test, &format!("{expected} by 2 processes each way, who took turns {} times", count(256)));
}

#[test]
fn a_value_survives_the_death_of_the_process_that_stored_it() {
    let test = "atomics::a_value_survives_the_death_of_the_process_that_stored_it";
    let (folder, outputs) = in_children(test, 1, |folder| {
        std::fs::write(folder.join("value"), [0; 16]).expect("room");
        let mapping = MapOptions::read_write().open(folder.join("value")).expect("a mapping");
        at::<u32>(&mapping, 4).fetch_add(0x0102_0304, Relaxed).expect("a word");
        at::<u16>(&mapping, 10).store(0x0506, Relaxed).expect("a word");
        std::process::abort();
    });
    assert!(!outputs[0].status.success(), "{:?}", outputs[0]);
    let bytes = std::fs::read(folder.path().join("value")).expect("the process has made it");
    assert_eq!(bytes[4..8], 0x0102_0304_u32.to_ne_bytes());
    assert_eq!(bytes[8..12], [[0; 2], 0x0506_u16.to_ne_bytes()].concat());
}

/// Rounds of the tests of ordering.
const ROUNDS: u64 = 50_000;

#[test]
fn data_stored_before_a_release_is_there_after_the_acquire() {
    let mapping = MapOptions::read_write().map(zeros(2 * PAGE)).expect("a mapping");
    let (view, flag, taken) = (mapping.view(), at::<u32>(&mapping, 0), at::<u32>(&mapping, 64));
    // On the other page, by plain stores, and in Rust's own memory.
    let (there, here) = (PAGE + 128, AtomicU64::new(0));
    // Counted rather than asserted at once: the other thread waits for the answer.
    let mut stale = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=u32::try_from(ROUNDS).expect("few") {
                view.store(there, u64::from(round)).expect("a word");
                here.store(u64::from(round), Relaxed);
                // R1: publishes both.
                flag.store(round, Release).expect("a word");
                // A2: pairs with R2; nothing is stored again before it was looked at.
                while taken.load(Acquire) != Ok(round) {
                    thread::yield_now();
                }
            }
        });
        for round in 1..=u32::try_from(ROUNDS).expect("few") {
            // A1: pairs with R1.
            while flag.load(Acquire) != Ok(round) {
                thread::yield_now();
            }
            let seen = [view.load::<u64>(there).expect("a word"), here.load(Relaxed)];
            stale += u64::from(seen != [u64::from(round); 2]);
            // R2: says that both were read. By a swap, whose store releases too.
            taken.swap(round, Release).expect("a word");
        }
    });
    assert_eq!(stale, 0, "of {ROUNDS} rounds");
}

/// Dekker's test: each of two threads stores to its own word and then loads the other's. In one order of all accesses
/// whoever is second must see the first; with less than `SeqCst`, both may miss the other, on x86-64 too.
#[test]
fn of_two_threads_that_store_and_then_look_one_sees_the_other() {
    let test = "of_two_threads_that_store_and_then_look_one_sees_the_other";
    if runner().is_some() {
        return skip(test, "under the emulator loads overtake stores of that order, those of core's atomics too");
    }
    let mapping = MapOptions::read_write().map(zeros(4096)).expect("a mapping");
    let words = [0, 128].map(|offset| at::<u64>(&mapping, offset));
    let arrived = [AtomicU64::new(0), AtomicU64::new(0)];
    let run = |me: usize| -> Vec<u64> {
        let one_round = |round| {
            arrived[me].store(round, SeqCst);
            // On one processor the other must be let in now and then.
            for spin in 1.. {
                if arrived[1 - me].load(SeqCst) >= round {
                    break;
                }
                if spin % 1000 == 0 { thread::yield_now() } else { spin_loop() }
            }
            words[me].store(round, SeqCst).expect("a word");
            words[1 - me].load(SeqCst).expect("a word")
        };
        (1..=ROUNDS).map(one_round).collect()
    };
    let (mine, yours) = thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        (run(0), other.join().expect("no panic"))
    });
    for (round, (mine, yours)) in (1..).zip(mine.into_iter().zip(yours)) {
        assert!(mine >= round || yours >= round, "round {round}: both missed the other's store");
    }
}

#[test]
fn a_wait_ends_by_a_wake_of_another_mapping_by_a_change_and_by_time() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let (mine, yours) = (MapOptions::read_only().map(&file).unwrap(), MapOptions::read_write().map(&file).unwrap());
    let (seen, set) = (mine.view().atomic::<u32>(64).unwrap(), yours.view().atomic::<u32>(64).unwrap());
    set.store(1, SeqCst).unwrap();
    assert_eq!(seen.wait(1, Some(Duration::from_millis(1))), Ok(false));
    assert_eq!(seen.wait(0, None), Ok(true));
    thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            while seen.load(Acquire).unwrap() == 1 {
                seen.wait(1, None).unwrap();
            }
        });
        while set.wake(1) == Ok(0) {
            thread::yield_now();
        }
        set.store(2, Release).unwrap();
        set.wake(u32::MAX).unwrap();
        sleeper.join().unwrap();
    });
    assert_eq!(set.wake(1), Ok(0));
    if cfg!(windows) {
        return skip("a_wait_ends_by_a_wake: a word that is gone", "Windows cuts no file that is mapped");
    }
    file.set_len(0).unwrap();
    let gone = FaultKind::Truncated { file_len: 0 };
    assert_eq!(seen.wait(2, None).unwrap_err().kind, gone);
    assert_eq!(set.wake(1).unwrap_err().kind, gone);
}
