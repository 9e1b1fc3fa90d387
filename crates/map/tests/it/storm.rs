//! The truncation storm: eight threads read, write, count and lock through one mapping while another cuts the file and
//! lets it grow again, 200,000 times. Nobody dies, no byte is wrong, nobody hangs on a lock, and where nothing is cut
//! nothing is lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mapio_map::{AtomicView, Fault, FaultKind, MapOptions, View};
use mapio_testkit::{pattern, pattern_at, report, skip};

use crate::support::GUARDED;

const CUTS: u64 = 200_000;
const THREADS: usize = 8;
const PAGE: usize = 4096;
const LEN: usize = 64 * PAGE;
/// Bytes that are never cut: they must read as written, always.
const FLOOR: usize = 4 * PAGE;
/// Pages of words, one that is never cut and one that is there most of the time.
const WORDS: [usize; 2] = [FLOOR - PAGE, 16 * PAGE];
/// What lies between them: bytes of the pattern, and below the floor nothing else.
const DATA: [Range<usize>; 3] = [0..WORDS[0], FLOOR..WORDS[1], WORDS[1] + PAGE..LEN];

/// What a thread has seen: by the kind of access, how many were `Ok` and how many `Err`.
#[derive(Debug, Default)]
struct Seen {
    counts: BTreeMap<&'static str, [u64; 2]>,
    /// The greatest value of the counter that may be cut.
    greatest: u64,
}

impl Seen {
    fn count<T>(&mut self, kind: &'static str, answer: Result<T, Fault>) -> Option<T> {
        let [ok, err] = self.counts.entry(kind).or_default();
        match answer {
            Ok(value) => {
                *ok += 1;
                Some(value)
            }
            Err(fault) => {
                assert!(matches!(fault.kind, FaultKind::Truncated { .. }), "{fault:?}");
                assert!(fault.offset >= FLOOR, "{fault:?} where the file is never cut");
                *err += 1;
                None
            }
        }
    }

    fn add(mut self, other: Self) -> Self {
        for (kind, [ok, err]) in other.counts {
            let sum = self.counts.entry(kind).or_default();
            *sum = [sum[0] + ok, sum[1] + err];
        }
        self.greatest = self.greatest.max(other.greatest);
        self
    }

    fn ok(&self, kind: &str) -> u64 {
        self.counts.get(kind).map_or(0, |counts| counts[0])
    }
}

#[test]
fn nobody_dies_and_no_byte_is_wrong_in_a_truncation_storm() {
    // In memory: on a disk's file system most of the time would go into its journal.
    let file = File::from(rustix::fs::memfd_create("storm", rustix::fs::MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(&pattern(LEN), 0).expect("room");
    for page in WORDS {
        file.write_all_at(&[0; PAGE], u64::try_from(page).expect("small")).expect("room");
    }
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let stop = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (view, file, stop) = (mapping.view(), &file, &stop);
                scope.spawn(move || access_until(view, file, stop, 77 * u64::try_from(thread).expect("small") + 1))
            })
            .collect();
        cut_and_grow(&file);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no thread dies")).fold(Seen::default(), Seen::add)
    });
    let counts: Vec<_> = seen.counts.iter().map(|(kind, [ok, err])| format!("{kind}: {ok} Ok, {err} Err")).collect();
    report("truncation storm", &format!("{CUTS} cuts, {THREADS} threads, 0 deaths; {}", counts.join("; ")));
    for (kind, [ok, err]) in &seen.counts {
        assert!(*ok > 100, "{kind} must be tried: {ok}");
        assert!(*err > 100 || kind.ends_with("floor"), "the storm must hit {kind}: {err}");
    }
    if GUARDED {
        let words = Words::new(mapping.view(), WORDS[0]);
        assert_eq!(words.added.load(Ordering::Relaxed), Ok(seen.ok("add, floor")));
        assert_eq!(words.twins.load(Ordering::Relaxed), Ok(twin(seen.ok("exchange, floor"))));
        assert_eq!(words.lock.load(Ordering::Relaxed), Ok(0));
        assert_eq!(mapping.view().load::<u64>(words.held_at), Ok(seen.ok("lock, floor")));
        assert!(seen.greatest < seen.ok("add"), "{} is more than was ever added", seen.greatest);
    } else {
        skip(
            "truncation storm, atomic accesses",
            "this build has no guarded ones: the first fault poisons the mapping",
        );
    }
}

/// Cuts the file to a whole number of pages, from the floor up to all of it, 200,000 times.
fn cut_and_grow(file: &File) {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..CUTS {
        let pages = FLOOR / PAGE + next(&mut random) % ((LEN - FLOOR) / PAGE + 1);
        set_len(file, pages * PAGE);
    }
}

fn set_len(file: &File, len: usize) {
    file.set_len(u64::try_from(len).expect("small")).expect("room");
}

fn access_until(view: View<'_>, file: &File, stop: &AtomicBool, mut random: u64) -> Seen {
    let mut seen = Seen::default();
    let (mut buf, bytes) = (vec![0; LEN], pattern(LEN));
    let kinds = if GUARDED { 8 } else { 5 };
    while !stop.load(Ordering::Relaxed) {
        let data = &DATA[next(&mut random) % DATA.len()];
        let offset = data.start + next(&mut random) % (data.len() - 8);
        let len = next(&mut random) % (data.end - offset);
        match next(&mut random) % kinds {
            0 => {
                if let Some(loaded) = seen.count("load", view.load::<[u8; 8]>(offset)) {
                    check(offset, &loaded);
                }
            }
            1 => {
                let value = <[u8; 8]>::try_from(&bytes[offset..offset + 8]).expect("eight");
                seen.count("store", view.store(offset, value));
            }
            2 => {
                let read = seen.count("read", view.read_at(offset, &mut buf[..len])).unwrap_or(0);
                check(offset, &buf[..read]);
            }
            3 => drop(seen.count("write", view.write_at(offset, &bytes[offset..offset + len]))),
            4 => {
                let floor = &mut buf[..WORDS[0]];
                view.read_exact_at(0, floor).expect("never cut");
                assert!(floor == &bytes[..WORDS[0]], "a wrong byte where the file is never cut");
            }
            kind => access_words(view, file, stop, kind, &mut random, &mut seen),
        }
    }
    seen
}

/// Words on one page, a cache line each.
struct Words<'a> {
    /// Counts by addition.
    added: AtomicView<'a, u64>,
    /// Counts by exchange, in both of its halves: one half alone is a wrong value.
    twins: AtomicView<'a, u64>,
    /// 0, or 1 while somebody holds it.
    lock: AtomicView<'a, u32>,
    /// Where a count is that is not atomic, and which only the holder of the lock touches.
    held_at: usize,
}

impl<'a> Words<'a> {
    fn new(view: View<'a>, page: usize) -> Self {
        Self {
            added: view.atomic(page).expect("aligned"),
            twins: view.atomic(page + 64).expect("aligned"),
            lock: view.atomic(page + 128).expect("aligned"),
            held_at: page + 192,
        }
    }
}

/// `count` in both halves.
fn twin(count: u64) -> u64 {
    count << 32 | count
}

fn access_words(view: View<'_>, file: &File, stop: &AtomicBool, kind: usize, random: &mut u64, seen: &mut Seen) {
    let page = next(random) % WORDS.len();
    let words = Words::new(view, WORDS[page]);
    let name = |names: [&'static str; 2]| names[page];
    match kind {
        5 => {
            let before = seen.count(name(["add, floor", "add"]), words.added.fetch_add(1, Ordering::Relaxed));
            if page == 1 {
                seen.greatest = seen.greatest.max(before.unwrap_or(0));
            }
        }
        6 => {
            let mut before = 0;
            let stored = loop {
                assert_eq!(before, twin(before >> 32), "half of a value");
                let new = before.wrapping_add(twin(1));
                match words.twins.compare_exchange(before, new, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(Err(found)) => before = found,
                    stored => break stored,
                }
            };
            seen.count(name(["exchange, floor", "exchange"]), stored);
        }
        _ => {
            let owned = loop {
                // A1: pairs with R1 of the holder before.
                match words.lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(Err(_)) if stop.load(Ordering::Relaxed) => return,
                    Ok(Err(_)) => thread::yield_now(),
                    taken => break seen.count(name(["lock, floor", "lock"]), taken),
                }
            };
            if owned.is_none() {
                return;
            }
            let stored = view.load::<u64>(words.held_at).and_then(|held| view.store(words.held_at, held + 1));
            assert!(page == 1 || stored.is_ok(), "never cut");
            // The cuts of the other thread seldom come just now: so some holders cut their own lock away.
            let cuts = page == 1 && next(random).is_multiple_of(8);
            if cuts {
                set_len(file, FLOOR);
            }
            // R1: publishes the count. A lock that was cut away meanwhile is nobody's: it is 0 when the file has grown.
            seen.count(name(["unlock, floor", "unlock"]), words.lock.store(0, Ordering::Release));
            if cuts {
                set_len(file, LEN);
            }
        }
    }
}

/// A byte is what everybody writes there, or zero where the file was cut and has grown again.
fn check(offset: usize, bytes: &[u8]) {
    for (i, &byte) in bytes.iter().enumerate() {
        let cut = byte == 0 && offset + i >= FLOOR;
        assert!(cut || byte == pattern_at(offset + i), "wrong byte {byte} at {}", offset + i);
    }
}

/// xorshift64: the same sequence in each run.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 32).expect("32 bits")
}
