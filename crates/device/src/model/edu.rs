//! QEMU's educational device, in this process.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Model, later};
use crate::edu::registers::{
    Acknowledge, DmaCommand, DmaCount, DmaDestination, DmaSource, Factorial, Id, InterruptStatus, Liveness, Raise,
    Status,
};
use crate::edu::{BUFFER_ADDR, BUFFER_LEN, DMA_END};
use crate::register::Spec;
use crate::width::Width;

/// What memory is there for devices: the bytes from address 0 on. Clones are the same memory.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    /// So many bytes of zeros.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![0; len])))
    }

    /// Copies bytes out. Where there is no memory, a device reads ones.
    pub fn read(&self, addr: u64, bytes: &mut [u8]) {
        self.each(addr, bytes.len(), |index, byte| bytes[index] = byte.map_or(0xff, |byte| *byte));
    }

    /// Copies bytes in. Where there is no memory, nothing happens.
    pub fn write(&self, addr: u64, bytes: &[u8]) {
        self.each(addr, bytes.len(), |index, byte| {
            if let Some(byte) = byte {
                *byte = bytes[index];
            }
        });
    }

    fn each(&self, addr: u64, len: usize, mut at: impl FnMut(usize, Option<&mut u8>)) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(addr).unwrap_or(usize::MAX);
        for index in 0..len {
            at(index, start.checked_add(index).and_then(|place| memory.get_mut(place)));
        }
    }
}

/// The educational device.
///
/// As QEMU's: registers below 0x80 have 32 bits and no other width, the others 32 or 64; DMA is cut off to 28 address
/// lines; what it does while it is busy is not disturbed. A transfer outside of its buffer does nothing.
#[derive(Debug)]
pub struct Edu {
    memory: Memory,
    /// How long a factorial takes, and a transfer.
    times: Times,
    failure: Option<EduFailure>,
    liveness: u32,
    factorial: u32,
    status: Status,
    interrupt_status: u32,
    source: u64,
    destination: u64,
    count: u64,
    command: DmaCommand,
    buffer: Vec<u8>,
    factorial_at: Option<Instant>,
    dma_at: Option<Instant>,
    /// Since when a reason to interrupt is there.
    raised: Option<Instant>,
}

/// How long the device takes.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// For a factorial.
    pub factorial: Duration,
    /// For a transfer; QEMU's takes 100 ms.
    pub dma: Duration,
}

/// What can be wrong with a simulated educational device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EduFailure {
    /// Nothing that it begins comes to an end.
    StuckBusy,
    /// Its interrupts don't arrive.
    LostInterrupt,
    /// It answers with a line of ones, as an empty slot.
    Gone,
}

impl Edu {
    /// A device on this memory.
    #[must_use]
    pub fn new(memory: Memory, times: Times) -> Self {
        Self {
            memory,
            times,
            failure: None,
            liveness: 0,
            factorial: 0,
            status: Status::default(),
            interrupt_status: 0,
            source: 0,
            destination: 0,
            count: 0,
            command: DmaCommand::default(),
            buffer: vec![0; BUFFER_LEN],
            factorial_at: None,
            dma_at: None,
            raised: None,
        }
    }

    /// Lets something be wrong from now on, or nothing.
    pub fn set_failure(&mut self, failure: Option<EduFailure>) {
        self.failure = failure;
    }

    /// Does what has happened until now, in the order in which it has.
    fn catch_up(&mut self, now: Instant) {
        if self.failure == Some(EduFailure::StuckBusy) {
            return;
        }
        let due = |at: Option<Instant>| at.filter(|at| *at <= now);
        if let (Some(dma), Some(factorial)) = (due(self.dma_at), due(self.factorial_at))
            && dma < factorial
        {
            self.finish_dma(dma);
        }
        if let Some(at) = due(self.factorial_at) {
            self.finish_factorial(at);
        }
        if let Some(at) = due(self.dma_at) {
            self.finish_dma(at);
        }
    }

    fn finish_factorial(&mut self, at: Instant) {
        self.factorial_at = None;
        // From 34! on, it is a multiple of 2^32.
        self.factorial = if self.factorial >= 34 { 0 } else { (1..=self.factorial).fold(1, u32::wrapping_mul) };
        self.status = self.status.with_computing(0);
        if self.status.interrupt() == 1 {
            self.raise(InterruptStatus::default().with_factorial(1).0, at);
        }
    }

    fn finish_dma(&mut self, at: Instant) {
        self.dma_at = None;
        self.command = self.command.with_run(0);
        let to_memory = self.command.direction() == DmaCommand::TO_MEMORY;
        let (memory_addr, buffer_addr) =
            if to_memory { (self.destination, self.source) } else { (self.source, self.destination) };
        if let Some(range) = buffer_range(buffer_addr, self.count) {
            let memory_addr = memory_addr & (DMA_END - 1);
            if to_memory {
                self.memory.write(memory_addr, &self.buffer[range]);
            } else {
                self.memory.read(memory_addr, &mut self.buffer[range]);
            }
        }
        if self.command.interrupt() == 1 {
            self.raise(InterruptStatus::default().with_dma(1).0, at);
        }
    }

    fn raise(&mut self, reasons: u32, at: Instant) {
        self.interrupt_status |= reasons;
        if self.interrupt_status != 0 {
            self.raised.get_or_insert(at);
        }
    }

    fn answer(&self, offset: usize) -> u64 {
        match offset {
            Id::OFFSET => Id::default().with_major(1).with_signature(Id::SIGNATURE_EDU).0.into(),
            Liveness::OFFSET => self.liveness.into(),
            Factorial::OFFSET => self.factorial.into(),
            Status::OFFSET => self.status.0.into(),
            InterruptStatus::OFFSET => self.interrupt_status.into(),
            DmaSource::OFFSET => self.source,
            DmaDestination::OFFSET => self.destination,
            DmaCount::OFFSET => self.count,
            DmaCommand::OFFSET => self.command.0.into(),
            _ => u64::MAX,
        }
    }

    fn take(&mut self, offset: usize, value: u64, now: Instant) {
        let low = <u32 as crate::Value>::from_bits(value);
        match offset {
            Liveness::OFFSET => self.liveness = !low,
            Factorial::OFFSET if self.status.computing() == 0 => {
                self.factorial = low;
                self.status = self.status.with_computing(1);
                self.factorial_at = Some(later(now, self.times.factorial));
            }
            Status::OFFSET => self.status = self.status.with_interrupt(Status(low).interrupt()),
            Raise::OFFSET => self.raise(low, now),
            Acknowledge::OFFSET => {
                self.interrupt_status &= !low;
                if self.interrupt_status == 0 {
                    self.raised = None;
                }
            }
            // A transfer that runs is not disturbed.
            DmaSource::OFFSET..=DmaCommand::OFFSET if self.command.run() == 1 => {}
            DmaSource::OFFSET => self.source = value,
            DmaDestination::OFFSET => self.destination = value,
            DmaCount::OFFSET => self.count = value,
            DmaCommand::OFFSET if DmaCommand(low).run() == 1 => {
                self.command = DmaCommand(low);
                self.dma_at = Some(later(now, self.times.dma));
            }
            _ => {}
        }
    }
}

/// The bytes of the buffer that a transfer is of, if all of them are there.
fn buffer_range(addr: u64, count: u64) -> Option<Range<usize>> {
    let start = usize::try_from(addr.checked_sub(BUFFER_ADDR)?).ok()?;
    let end = start.checked_add(usize::try_from(count).ok()?)?;
    (end <= BUFFER_LEN).then_some(start..end)
}

/// Refuses the widths that QEMU refuses.
fn check(offset: usize, width: Width) -> Result<(), &'static str> {
    match width {
        Width::U32 => Ok(()),
        Width::U64 if offset >= DmaSource::OFFSET => Ok(()),
        _ => Err("edu takes 32 bits, and from 0x80 on also 64"),
    }
}

impl Model for Edu {
    fn len(&self) -> usize {
        0x10_0000
    }

    fn read(&mut self, offset: usize, width: Width, now: Instant) -> Result<u64, &'static str> {
        check(offset, width)?;
        self.catch_up(now);
        let answer = if self.failure == Some(EduFailure::Gone) { u64::MAX } else { self.answer(offset) };
        Ok(answer & width.max())
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, now: Instant) -> Result<(), &'static str> {
        check(offset, width)?;
        self.catch_up(now);
        if self.failure != Some(EduFailure::Gone) {
            self.take(offset, value, now);
        }
        Ok(())
    }

    fn interrupts_at(&mut self, now: Instant) -> Option<Instant> {
        self.catch_up(now);
        if matches!(self.failure, Some(EduFailure::LostInterrupt | EduFailure::Gone)) {
            return None;
        }
        if self.raised.is_some() || self.failure == Some(EduFailure::StuckBusy) {
            return self.raised;
        }
        let factorial = self.factorial_at.filter(|_| self.status.interrupt() == 1);
        let dma = self.dma_at.filter(|_| self.command.interrupt() == 1);
        factorial.into_iter().chain(dma).min()
    }
}
