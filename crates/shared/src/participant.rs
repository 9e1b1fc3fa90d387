//! Who takes part in an object, and who of them is alive.
//!
//! Whoever opens an object gets a number that nobody had before and nobody gets again, and locks the byte of that
//! number in the object's file, for as long as the handle is open. The kernel gives the lock up when the process dies,
//! however that happens, and not before: a stopped process holds it, a zombie does not, and no other process can have
//! it by accident, as happens to process numbers. So a number that stands in a lock or a ring is that of a live
//! participant exactly if its byte is locked; see docs/design/object.md.
//!
//! ```text
//! byte of the file          locked by
//! LOCK_BASE - 1             the gate: shared while somebody joins, exclusively while somebody removes the object
//! LOCK_BASE + number        participants, exclusively
//! READERS_BASE + reader     those who have it open for reading only, as `sys::READING` says: they can't write a number
//! ```
//! A reader's byte tells his PID namespace (32 bits), his process (22 bits) and which handle of it (7 bits). These
//! bytes lie behind the end of every file: locks need no bytes. An object that is no file has other locks, which do the
//! same: see `Locks` of `sys`.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::error::Error;
use crate::header::{CARD_COUNT, CARD_LEN, CARDS, LEFT, NEXT, field, text};
use crate::life::Liveness;
use crate::memory::{Memory, Ordering, Word};
use crate::sys::{self, ByteRange, Hold};

const LOCK_BASE: u64 = 1 << 62;
const READERS_BASE: u64 = LOCK_BASE + (1 << 61);
/// The first offset that no file has.
const READERS_END: u64 = 1 << 63;
/// Bits of a process's number: `PID_MAX_LIMIT` of linux/threads.h is 2^22.
const PID_BITS: u32 = 22;
/// Bits for the handles of one process that are told apart among readers.
const HANDLE_BITS: u32 = 7;
pub(crate) const GATE: ByteRange = LOCK_BASE - 1..LOCK_BASE;
/// The largest number: two bits of a word are left for those who keep numbers in words.
const MOST: u32 = (1 << 30) - 1;
/// How long the gate is waited for. It is held for some microseconds, unless its holder is stopped.
pub(crate) const GATE_PATIENCE: Duration = Duration::from_secs(5);
/// Numbers that are tried in a row before the counter is taken for damaged.
const NUMBER_TRIES: u32 = 1000;
/// How many users are told apart at most: a bound for what hostile locks can cost.
const MOST_LISTED: usize = 4096;

/// One's own part in an object, which ends when it is dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Participant {
    /// All of the object. It has the open file that holds the lock.
    memory: Memory,
    /// 0 for those who only read.
    number: u32,
    /// Which card tells of it.
    card: Option<usize>,
    /// The process that has joined. A child that it has forked shares the lock, and must not give it up.
    process: u32,
}

/// Somebody who has an object open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The participant's number, as it stands in locks and channels; 0 for one that has the object open for reading
    /// only.
    pub number: u32,
    /// The process, as its own PID namespace calls it; `None` when it has told nobody.
    pub pid: Option<u32>,
    /// The process's name: the first 15 bytes of the program's.
    pub name: String,
    /// What it has said that it is.
    pub role: String,
    /// Whether it is in the same PID namespace, so that `pid` means something here.
    pub here: bool,
    /// Whether it is alive. The others have died without closing the object, and their card was not yet used again.
    pub alive: bool,
    /// When the process was started, in clock ticks since the machine was; 0 if it is not known.
    pub(crate) start_time: u64,
}

/// A card: who has which number. It is for display only; nothing is decided by it.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Card {
    number: u32,
    pid: u32,
    /// In clock ticks since the machine was started: proc_pid_stat(5).
    start_time: u64,
    /// The inode of the PID namespace in which the process has `pid`: namespaces(7).
    pid_namespace: u64,
    role: [u8; 16],
    name: [u8; 16],
    /// The number again, written last: without it, the rest is that of somebody before, who died or is not done.
    seal: u32,
    zeros: u32,
}

const _: () = assert!(size_of::<Card>() == CARD_LEN);
/// Offset of `seal` in a card.
const SEAL: usize = std::mem::offset_of!(Card, seal);

impl Participant {
    /// Takes part: gets a number, locks its byte, fills a card.
    pub(crate) fn join(memory: &Memory, role: &str) -> Result<Self, Error> {
        for _ in 0..NUMBER_TRIES {
            let number = next_number(memory)?;
            if memory.try_lock(byte_of(number), Hold::Exclusive).map_err(os(memory))? {
                let mut participant = Self::new(memory, number);
                participant.card = participant.fill_card(role)?;
                return Ok(participant);
            }
        }
        Err(memory.corrupt(NEXT, "numbers are given again that somebody has"))
    }

    /// Shows that a process reads: it can't write a number, and needs none.
    pub(crate) fn join_reading(memory: &Memory) -> Result<Self, Error> {
        let first = reader_byte(sys::pid_namespace().unwrap_or(0), std::process::id());
        for byte in first..first + (1 << HANDLE_BITS) {
            // Two that find the same byte free share it where they can, and are listed as one.
            let bytes = byte..byte + 1;
            let is_free = !memory.has_other_locks(bytes.clone()).map_err(os(memory))?;
            let is_last = byte + 1 == first + (1 << HANDLE_BITS);
            if (is_free || is_last) && memory.try_lock(bytes, sys::READING).map_err(os(memory))? {
                break;
            }
        }
        Ok(Self::new(memory, 0))
    }

    fn new(memory: &Memory, number: u32) -> Self {
        Self { memory: memory.clone(), number, card: None, process: std::process::id() }
    }

    /// Whether this is a copy in a child of the process that has joined: fork(2).
    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    /// Whether it only reads.
    pub(crate) fn is_reader(&self) -> bool {
        self.number == 0
    }

    /// Writes a card, where there is one whose owner is gone.
    fn fill_card(&self, role: &str) -> Result<Option<usize>, Error> {
        for offset in (0..CARD_COUNT).map(|index| CARDS + index * CARD_LEN) {
            let word = self.memory.u32(offset)?;
            let before = word.load(Ordering::Relaxed)?;
            if before != 0 && self.is_alive(before)? {
                continue;
            }
            if word.compare_exchange(before, self.number, Ordering::Relaxed, Ordering::Relaxed)?.is_ok() {
                let card = Card {
                    number: self.number,
                    pid: std::process::id(),
                    start_time: sys::start_time().unwrap_or(0),
                    pid_namespace: sys::pid_namespace().unwrap_or(0),
                    role: field(role),
                    name: field(&sys::process_name().unwrap_or_default()),
                    seal: self.number,
                    zeros: 0,
                };
                self.memory.write(offset + 4, &card.as_bytes()[4..SEAL])?;
                self.memory.u32(offset + SEAL)?.store(self.number, Ordering::Release)?;
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }
}

impl Liveness for Participant {
    fn number(&self) -> u32 {
        self.number
    }

    fn is_alive(&self, number: u32) -> Result<bool, Error> {
        // The kernel does not tell an open file of its own locks.
        if number == self.number && number != 0 {
            return Ok(true);
        }
        is_alive(&self.memory, number)
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if self.is_forked() {
            // The lock is the parent's as well. It ends with the last descriptor.
            return;
        }
        if self.number == 0 {
            // A descriptor that somebody else has kept must not pass for a reader. It fails for no reason that there
            // is.
            let _ = self.memory.unlock(READERS_BASE..READERS_END);
            return;
        }
        // In an object that was cut short there is nothing to give back, and nobody to tell.
        let _ = self.memory.u32(LEFT).and_then(|word| word.fetch_add(1, Ordering::Relaxed));
        if let Some(card) = self.card {
            let cleared =
                |word: Word<'_, u32>| word.compare_exchange(self.number, 0, Ordering::Relaxed, Ordering::Relaxed);
            let _ = self.memory.u32(card).and_then(cleared);
        }
        // As above. Last: whoever sees that the number is free may find everything else in order.
        let _ = self.memory.unlock(byte_of(self.number));
    }
}

/// The gate of an object, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Gate<'a> {
    memory: &'a Memory,
}

impl<'a> Gate<'a> {
    /// The gate that the handle has taken by other means.
    pub(crate) fn adopt(memory: &'a Memory) -> Self {
        Self { memory }
    }

    /// Waits for the gate, for a few seconds at most.
    pub(crate) fn pass(memory: &'a Memory, hold: Hold) -> Result<Self, Error> {
        Self::pass_within(memory, hold, GATE_PATIENCE)
    }

    /// Waits for the gate, for so long at most.
    pub(crate) fn pass_within(memory: &'a Memory, hold: Hold, patience: Duration) -> Result<Self, Error> {
        let begin = Instant::now();
        let mut pause = Duration::from_micros(20);
        loop {
            if let Some(gate) = Self::try_pass(memory, hold)? {
                return Ok(gate);
            }
            if begin.elapsed() > patience {
                return Err(Error::Timeout { object: memory.object().to_owned(), waited: begin.elapsed() });
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Takes the gate if it is free.
    pub(crate) fn try_pass(memory: &'a Memory, hold: Hold) -> Result<Option<Self>, Error> {
        let taken = memory.try_lock(GATE, hold).map_err(os(memory))?;
        Ok(taken.then_some(Self { memory }))
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        // It fails for no reason that fcntl(2) gives; and it ends with the handle.
        let _ = self.memory.unlock(GATE);
    }
}

/// Whether anybody but this open file takes part, or reads.
pub(crate) fn has_others(memory: &Memory) -> Result<bool, Error> {
    memory.has_other_locks(LOCK_BASE..READERS_END).map_err(os(memory))
}

/// All others who have the object open, and those who died while they had, whose cards are still there. Of this open
/// file's locks the kernel does not tell; `own` is whose card is not one of the dead.
pub(crate) fn others(memory: &Memory, own: Option<&Participant>) -> Result<Vec<User>, Error> {
    let mut users = Vec::new();
    let numbers = memory.other_locks(LOCK_BASE..READERS_BASE, MOST_LISTED).map_err(os(memory))?;
    let readers = memory.other_locks(READERS_BASE..READERS_END, MOST_LISTED).map_err(os(memory))?;
    let mut cards = cards(memory)?;
    let namespace = sys::pid_namespace().unwrap_or(0);
    for number in numbers.iter().filter_map(|byte| u32::try_from(byte - LOCK_BASE).ok()) {
        let card = cards.iter().position(|card| card.number == number).map(|at| cards.swap_remove(at));
        let card = card.filter(|card| card.seal == number);
        users.push(card.map_or_else(|| User::unknown(number), |card| User::of(&card, namespace, true)));
    }
    users.extend(readers.iter().map(|byte| User::reader(byte - READERS_BASE, namespace)));
    let own = own.map_or(0, |own| own.number);
    for card in cards.iter().filter(|card| card.number != 0 && card.number != own && card.number == card.seal) {
        users.push(User::of(card, namespace, false));
    }
    Ok(users)
}

impl User {
    pub(crate) fn unknown(number: u32) -> Self {
        Self { number, pid: None, name: String::new(), role: String::new(), here: true, alive: true, start_time: 0 }
    }

    /// The reader whose byte is so far from the first one.
    fn reader(byte: u64, namespace: u64) -> Self {
        let pid = u32::try_from(byte >> HANDLE_BITS & ((1 << PID_BITS) - 1)).unwrap_or(0);
        let here = byte >> (HANDLE_BITS + PID_BITS) == namespace & u64::from(u32::MAX);
        let name = if here { sys::name_of(pid).unwrap_or_default() } else { String::new() };
        let start_time = if here { sys::start_time_of(pid).unwrap_or(0) } else { 0 };
        Self { pid: Some(pid), name, role: "reader".into(), here, start_time, ..Self::unknown(0) }
    }

    fn of(card: &Card, namespace: u64, alive: bool) -> Self {
        Self {
            number: card.number,
            pid: Some(card.pid),
            name: text(&card.name),
            role: text(&card.role),
            here: card.pid_namespace == namespace,
            alive,
            start_time: card.start_time,
        }
    }
}

fn cards(memory: &Memory) -> Result<Vec<Card>, Error> {
    let mut bytes = [0; CARD_COUNT * CARD_LEN];
    memory.read(CARDS, &mut bytes)?;
    let card = |bytes: &[u8]| Card::read_from_bytes(bytes).unwrap_or_else(|_| unreachable!("chunks of that size"));
    Ok(bytes.chunks_exact(CARD_LEN).map(card).collect())
}

fn is_alive(memory: &Memory, number: u32) -> Result<bool, Error> {
    if number == 0 || number > MOST {
        return Ok(false);
    }
    memory.has_other_locks(byte_of(number)).map_err(os(memory))
}

/// A number that nobody had before.
fn next_number(memory: &Memory) -> Result<u32, Error> {
    let word = memory.u32(NEXT)?;
    let mut given = word.load(Ordering::Relaxed)?;
    loop {
        // It stops there, rather than to start again from 0 some day.
        let Some(number) = given.checked_add(1).filter(|number| *number <= MOST) else {
            return Err(Error::Crowded { object: memory.object().to_owned(), places: MOST.into() });
        };
        match word.compare_exchange(given, number, Ordering::Relaxed, Ordering::Relaxed)? {
            Ok(_) => return Ok(number),
            Err(found) => given = found,
        }
    }
}

/// The first of the bytes that a process may lock which reads.
fn reader_byte(namespace: u64, pid: u32) -> u64 {
    let process = (namespace & u64::from(u32::MAX)) << PID_BITS | u64::from(pid) & ((1 << PID_BITS) - 1);
    READERS_BASE + (process << HANDLE_BITS)
}

fn byte_of(number: u32) -> ByteRange {
    let byte = LOCK_BASE + u64::from(number);
    byte..byte + 1
}

fn os(memory: &Memory) -> impl FnOnce(io::Error) -> Error + use<> {
    Error::os("locking a byte of", memory.object())
}
