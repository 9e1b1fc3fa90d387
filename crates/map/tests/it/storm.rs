//! The truncation storm: eight threads read and write through one mapping while another cuts the file and lets it grow
//! again, 100,000 times. Nobody dies, and no byte is wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mapio_map::{Fault, FaultKind, MapOptions, View};
use mapio_testkit::{pattern, pattern_at, report};

const CUTS: u64 = 100_000;
const THREADS: usize = 8;
const PAGE: usize = 4096;
const LEN: usize = 64 * PAGE;
/// Bytes that are never cut: they must read as written, always.
const FLOOR: usize = 4 * PAGE;

/// What a thread has seen.
#[derive(Debug, Default)]
struct Seen {
    ok: u64,
    truncated: u64,
}

impl Seen {
    fn count<T>(&mut self, answer: Result<T, Fault>) -> Option<T> {
        match answer {
            Ok(value) => {
                self.ok += 1;
                Some(value)
            }
            Err(fault) => {
                assert!(matches!(fault.kind, FaultKind::Truncated { .. }), "{fault:?}");
                assert!(fault.offset >= FLOOR, "{fault:?} where the file is never cut");
                self.truncated += 1;
                None
            }
        }
    }
}

#[test]
fn nobody_dies_and_no_byte_is_wrong_in_a_truncation_storm() {
    // In memory: on a disk's file system most of the time would go into its journal.
    let file = File::from(rustix::fs::memfd_create("storm", rustix::fs::MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all_at(&pattern(LEN), 0).expect("room");
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let stop = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (view, stop) = (mapping.view(), &stop);
                scope.spawn(move || access_until(view, stop, 77 * u64::try_from(thread).expect("small") + 1))
            })
            .collect();
        cut_and_grow(&file);
        stop.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no thread dies")).collect::<Vec<_>>()
    });
    let (ok, truncated) = seen.iter().fold((0, 0), |(ok, err), seen| (ok + seen.ok, err + seen.truncated));
    assert!(truncated > 1000, "the storm must hit something: {truncated}");
    report("truncation storm", &format!("{CUTS} cuts, {THREADS} threads, {ok} Ok, {truncated} Err, 0 deaths"));
}

/// Cuts the file to a whole number of pages, from the floor up to all of it, 100,000 times.
fn cut_and_grow(file: &File) {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..CUTS {
        let pages = FLOOR / PAGE + next(&mut random) % ((LEN - FLOOR) / PAGE + 1);
        file.set_len(u64::try_from(pages * PAGE).expect("small")).expect("a cut");
    }
}

fn access_until(view: View<'_>, stop: &AtomicBool, mut random: u64) -> Seen {
    let mut seen = Seen::default();
    let (mut buf, bytes) = (vec![0; LEN], pattern(LEN));
    while !stop.load(Ordering::Relaxed) {
        let offset = next(&mut random) % (LEN - 8);
        let len = next(&mut random) % (LEN - offset);
        match next(&mut random) % 5 {
            0 => {
                if let Some(loaded) = seen.count(view.load::<[u8; 8]>(offset)) {
                    check(offset, &loaded);
                }
            }
            1 => drop(seen.count(view.store(offset, <[u8; 8]>::try_from(&bytes[offset..offset + 8]).expect("eight")))),
            2 => {
                let read = seen.count(view.read_at(offset, &mut buf[..len])).unwrap_or(0);
                check(offset, &buf[..read]);
            }
            3 => drop(seen.count(view.write_at(offset, &bytes[offset..offset + len]))),
            _ => {
                let floor = &mut buf[..FLOOR];
                view.read_exact_at(0, floor).expect("never cut");
                assert!(floor == &bytes[..FLOOR], "a wrong byte where the file is never cut");
            }
        }
    }
    seen
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
