//! A bare ring in shared memory for one writer and one reader, who spin: what a channel costs that protects nothing.
//!
//! ```text
//!   one for each direction:
//!   | taken: u64, alone in 4096 bytes | slot | slot | slot | ...
//!                                      commit: u64, message
//! ```
//! A message is there when the commit word of its slot has its position plus one. It comes with the message's first
//! cache line, so a receiver waits for one line only. The writer looks at `taken` when it knows of no free slot.

use std::hint::spin_loop;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use memmap2::MmapRaw;

use crate::link::{Link, Loan, Side, Task};
use crate::place;

/// Bytes before the slots.
const HEADER_BYTES: usize = 4096;
/// Of a slot before its message.
const COMMIT_BYTES: usize = size_of::<u64>();
/// What the slots take together, as far as there are neither fewer than 8 nor more than 1024.
const SLOTS_BYTES: usize = 4 << 20;

/// Both directions.
pub struct Ring {
    out: Half,
    back: Half,
}

/// An end of one direction.
struct Half {
    memory: Rc<MmapRaw>,
    /// Where its header is.
    offset: usize,
    slot_bytes: usize,
    /// A power of two.
    slots: u64,
    /// How many messages this end has sent or received.
    position: u64,
    /// How many the reader is known to have taken.
    taken: u64,
}

impl Half {
    fn pointer(&self, offset: usize) -> *mut u8 {
        // SAFETY: the offset is one of `slot` or 0, inside the part of the mapping that is this half's.
        unsafe { self.memory.as_mut_ptr().add(self.offset + offset) }
    }

    fn atomic(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: inside the mapping, which lives as long as `self`, at a multiple of 64; both ends use these 8 bytes
        // as an atomic alone.
        unsafe { AtomicU64::from_ptr(self.pointer(offset).cast()) }
    }

    /// The offset of the slot for this end's next message.
    fn slot(&self) -> usize {
        HEADER_BYTES + (self.position & (self.slots - 1)) as usize * self.slot_bytes
    }

    #[inline]
    fn send(&mut self, message: &[u8]) {
        while self.position - self.taken == self.slots {
            spin_loop();
            self.taken = self.atomic(0).load(Ordering::Acquire);
        }
        let slot = self.slot();
        // SAFETY: the slot has room for a message of the job's length, of which this is a part or all, and nobody reads
        // it before it is committed.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr(), self.pointer(slot + COMMIT_BYTES), message.len()) };
        self.position += 1;
        self.atomic(slot).store(self.position, Ordering::Release);
    }

    #[inline]
    fn receive(&mut self, message: &mut [u8]) {
        let slot = self.slot();
        while self.atomic(slot).load(Ordering::Acquire) != self.position + 1 {
            spin_loop();
        }
        // SAFETY: as in `send`; nobody writes there before `taken` says so.
        unsafe { ptr::copy_nonoverlapping(self.pointer(slot + COMMIT_BYTES), message.as_mut_ptr(), message.len()) };
        self.position += 1;
        self.atomic(0).store(self.position, Ordering::Release);
    }
}

impl Link for Ring {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let slot_bytes = (task.job.message_bytes + COMMIT_BYTES).next_multiple_of(64);
        let slots = (SLOTS_BYTES / slot_bytes).clamp(8, 1024).next_power_of_two();
        let half_bytes = (HEADER_BYTES + slots * slot_bytes).next_multiple_of(4096);
        let memory = Rc::new(place::share(task, 2 * half_bytes).context("sharing memory")?);
        let half = |offset| Half {
            memory: Rc::clone(&memory),
            offset,
            slot_bytes,
            slots: slots as u64,
            position: 0,
            taken: 0,
        };
        let (first, second) = (half(0), half(half_bytes));
        Ok(match task.side {
            Side::Near => Self { out: first, back: second },
            Side::Far => Self { out: second, back: first },
        })
    }

    #[inline]
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        self.out.send(message);
        Ok(())
    }

    #[inline]
    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        self.back.receive(message);
        Ok(())
    }
}

impl Loan for Ring {
    #[inline]
    fn send_number(&mut self, number: u64) -> anyhow::Result<()> {
        self.out.send(&number.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn receive_number(&mut self) -> anyhow::Result<u64> {
        let mut number = [0; 8];
        self.back.receive(&mut number);
        Ok(u64::from_le_bytes(number))
    }
}
