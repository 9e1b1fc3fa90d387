//! The algorithms on a mapping, with threads for processes. Under Miri, where data that is copied without order is a
//! race, they show that what is handed over is handed over; what is copied while it is written, as a latest value is,
//! it can't run.

use std::sync::Arc;
use std::thread;

use mapio_map::MapOptions;

use super::bell::{Bell, Wake};
use super::committed::Committed;
use super::flag::Flag;
use super::permits::Permits;
use super::versions::{Loaded, Versions};
use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Acquired, Patience};
use crate::memory::{Memory, Ordering};

const THREADS: u32 = 3;
const TURNS: u64 = if cfg!(miri) { 8 } else { 3000 };

/// A participant; those of numbers up to 9 are alive.
struct Number(u32);

impl Liveness for Number {
    fn number(&self) -> u32 {
        self.0
    }

    fn is_alive(&self, number: u32) -> Result<bool, Error> {
        Ok((1..=9).contains(&number))
    }
}

/// A page of zeros.
fn zeros() -> Memory {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let mapping = MapOptions::read_write().map(&file).unwrap();
    Memory::new(Arc::new(mapping), "test".into())
}

/// Runs it in several threads, each with a number.
fn in_threads(work: impl Fn(&Number) + Sync) {
    thread::scope(|scope| {
        (1..=THREADS).for_each(|number| {
            let work = &work;
            scope.spawn(move || work(&Number(number)));
        });
    });
}

/// Adds 1 to data that nothing protects but what is tested.
fn increase(memory: &Memory, offset: usize) {
    let mut bytes = [0; 8];
    memory.read(offset, &mut bytes).unwrap();
    memory.write(offset, &(u64::from_ne_bytes(bytes) + 1).to_ne_bytes()).unwrap();
}

fn data(memory: &Memory, offset: usize) -> u64 {
    let mut bytes = [0; 8];
    memory.read(offset, &mut bytes).unwrap();
    u64::from_ne_bytes(bytes)
}

#[test]
fn values_under_a_lock_are_handed_over() {
    let memory = zeros();
    let committed = Committed::new(&memory, 20);
    in_threads(|life| {
        for _ in 0..TURNS {
            let mut value = [0; 20];
            assert_eq!(committed.lock(life, Patience::Unlimited, &mut value).unwrap(), Some(false));
            let (count, _) = value.split_first_chunk::<8>().unwrap();
            let next = u64::from_ne_bytes(*count) + 1;
            value[..8].copy_from_slice(&next.to_ne_bytes());
            committed.commit(&value).unwrap();
            committed.unlock(life).unwrap();
        }
    });
    let mut value = [0; 20];
    committed.lock(&Number(1), Patience::None, &mut value).unwrap().unwrap();
    assert_eq!(value[..8], (u64::from(THREADS) * TURNS).to_ne_bytes());
    assert_eq!(committed.lock(&Number(2), Patience::None, &mut value).unwrap(), None);
}

#[test]
fn the_buffers_are_where_the_layout_says() {
    let memory = zeros();
    let committed = Committed::new(&memory, 12);
    assert_eq!((Committed::len(12), Versions::len(12), Permits::len(3)), (40, 64, Some(24)));
    let life = Number(7);
    committed.lock(&life, Patience::None, &mut [0; 12]).unwrap().unwrap();
    committed.commit(&[0x11; 12]).unwrap();
    committed.commit(&[0x22; 12]).unwrap();
    committed.commit(&[0x33; 12]).unwrap();
    committed.give_up(&life).unwrap();
    let mut expected = [0; 40];
    expected[4..8].copy_from_slice(&3_u32.to_ne_bytes());
    expected[8..20].fill(0x22);
    expected[24..36].fill(0x33);
    let mut bytes = [0; 40];
    memory.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, expected);

    let versions_memory = zeros();
    let versions = Versions::new(&versions_memory, 12);
    (1..=4_u8).for_each(|value| _ = versions.store(&life, Patience::None, &[value; 12]).unwrap().unwrap());
    let mut expected = [0; 64];
    expected[4..8].copy_from_slice(&8_u32.to_ne_bytes());
    expected[8..16].copy_from_slice(&4_u64.to_ne_bytes());
    expected[16..28].fill(3);
    expected[32..44].fill(4);
    expected[48..60].fill(2);
    let mut bytes = [0; 64];
    versions_memory.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, expected);
    let mut value = [0; 12];
    assert_eq!((versions.load(&mut value).unwrap(), value), (Loaded::Version(4), [4; 12]));

    let permits_memory = zeros();
    let permits = Permits::new(&permits_memory, 3);
    // From one's own: 7 mod 3.
    let taken = [(); 3].map(|()| permits.acquire(&life, Patience::None).unwrap().unwrap().0);
    assert_eq!(taken, [1, 2, 0]);
    permits.forget(&life, 2).unwrap();
    permits.release(&life, 0).unwrap();
    let words = [0, 4, 8, 12, 16].map(|offset| permits_memory.u32(offset).unwrap().load(Ordering::Relaxed).unwrap());
    assert_eq!(words, [2, 0, 0, 7, u32::MAX]);
}

#[test]
fn what_is_done_with_a_permit_is_handed_over() {
    const DATA: usize = 64;
    let memory = zeros();
    let permits = Permits::new(&memory, 1);
    in_threads(|life| {
        for _ in 0..TURNS {
            let (index, acquired) = permits.acquire(life, Patience::Unlimited).unwrap().unwrap();
            assert_eq!(acquired, Acquired::InOrder);
            increase(&memory, DATA);
            permits.release(life, index).unwrap();
        }
    });
    assert_eq!(data(&memory, DATA), u64::from(THREADS) * TURNS);
}

#[test]
fn what_an_event_is_set_for_is_handed_over() {
    const DATA: usize = 64;
    let memory = zeros();
    let (there, back) = (memory.part(0, Flag::LEN).unwrap(), memory.part(8, Flag::LEN).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..TURNS {
                Flag::new(&there).take(Patience::Unlimited).unwrap().unwrap();
                increase(&memory, DATA);
                Flag::new(&back).set().unwrap();
            }
        });
        for _ in 0..TURNS {
            increase(&memory, DATA);
            Flag::new(&there).set().unwrap();
            Flag::new(&back).take(Patience::Unlimited).unwrap().unwrap();
        }
    });
    assert_eq!(data(&memory, DATA), 2 * TURNS);
}

#[test]
fn a_bell_that_was_rung_keeps_nobody_asleep() {
    let memory = zeros();
    let bell = Bell::new(&memory, 0);
    let before = bell.ticket().unwrap();
    bell.ring(Wake::One).unwrap();
    // For ever, as a test would take it.
    bell.sleep(before, std::time::Duration::from_secs(1000)).unwrap();
    let after = bell.ticket().unwrap();
    assert!(after.is_of_another_ring(before) && !after.is_of_another_ring(after));
}

#[test]
fn after_the_last_version_there_is_none() {
    let memory = zeros();
    let versions = Versions::new(&memory, 8);
    let word = memory.u64(8).unwrap();
    word.store(u64::MAX, Ordering::Relaxed).unwrap();
    assert_eq!(versions.load(&mut [0; 8]).unwrap(), Loaded::Version(u64::MAX));
    assert_eq!(versions.store(&Number(1), Patience::None, &[1; 8]).unwrap(), Some(0));
    assert_eq!(versions.load(&mut [0; 8]).unwrap(), Loaded::Nothing);
}
