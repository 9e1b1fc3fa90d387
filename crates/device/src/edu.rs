//! QEMU's educational device: a PCI device that is made to learn on (`-device edu`, 1234:11e8).
//!
//! It computes factorials, which takes time and ends with an interrupt, and copies between memory and a buffer of its
//! own by DMA. Its registers are in BAR 0.

pub mod registers;

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::bus::RegisterIo;
use crate::error::Error;
use crate::waiting::Waiting;
use registers::{Acknowledge, DmaCommand, Id, Registers, Status};

/// Bytes of its buffer.
pub const BUFFER_LEN: usize = 4096;

/// The first memory address that its DMA does not reach: it has 28 address lines (`dma_mask`).
pub const DMA_END: u64 = 1 << 28;

/// Where transfers see its buffer.
pub(crate) const BUFFER_ADDR: u64 = 0x4_0000;

/// What errors call it.
const NAME: &str = "edu";

/// The educational device.
///
/// `W` is how it waits: [`Polled`](crate::Polled), or [`Driven`](crate::Driven) by its interrupt.
#[derive(Debug)]
pub struct Edu<B, W> {
    registers: Registers<B>,
    waiting: W,
    timeout: Duration,
}

impl<B: RegisterIo, W: Waiting> Edu<B, W> {
    /// Takes the device into use: its interrupt is on if it is waited for. Each operation takes at most 10 seconds,
    /// until [`set_timeout`](Self::set_timeout).
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it is another device, or a dead one; [`Error::Invalid`] for a bus of less than 0xa0
    /// bytes; those of the bus.
    pub fn new(bus: B, waiting: W) -> Result<Self, Error> {
        let registers = Registers::new(bus)?;
        let id = registers.id().read()?;
        if id.signature() != Id::SIGNATURE_EDU {
            return Err(unexpected(format!("it is another device, with the identification {:#010x}", id.0)));
        }
        for probe in [0x1234_5678_u32, 0xedcb_a987] {
            registers.liveness().write(probe)?;
            let answer = registers.liveness().read()?.0;
            if answer != !probe {
                return Err(unexpected(format!(
                    "it does not live: {answer:#010x} is not the opposite of {probe:#010x}"
                )));
            }
        }
        registers.status().write(Status::default().with_interrupt(u32::from(W::INTERRUPTS)))?;
        Ok(Self { registers, waiting, timeout: Duration::from_secs(10) })
    }

    /// Sets how long an operation may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The version of the device: major and minor.
    ///
    /// # Errors
    /// Those of the bus.
    pub fn version(&self) -> Result<(u32, u32), Error> {
        let id = self.registers.id().read()?;
        Ok((id.major(), id.minor()))
    }

    /// Computes a factorial modulo 2^32, and waits for it.
    ///
    /// # Errors
    /// [`Error::Timeout`] if it is not ready in time, also with one that was begun before; those of the bus and of the
    /// interrupt.
    pub fn factorial(&mut self, number: u32) -> Result<u32, Error> {
        // While it computes, it would not listen.
        let start = Instant::now();
        self.finish_factorial(start)?;
        self.registers.factorial().write(number)?;
        self.finish_factorial(start)?;
        Ok(self.registers.factorial().read()?.0)
    }

    /// Copies from memory into the device's buffer, and waits for the end. `memory_addr` is an address as the device
    /// sees memory, in bytes; `buffer` is where in its buffer.
    ///
    /// The device must be a master on the bus ([`PciDevice::set_bus_master`](crate::pci::PciDevice::set_bus_master)),
    /// or it moves nothing, and does not say so. QEMU 7.2 ends the machine at a transfer up to the buffer's last byte:
    /// its check of the range (`edu_check_range`, hw/misc/edu.c) counted one byte too many.
    ///
    /// It goes wherever it is told to: only an address that was set aside for the device may be used, such as one that
    /// an IOMMU maps for it, as one that is written through /dev/mem. After an error the transfer may still be going
    /// on: the memory is the device's until a later call has succeeded. What the processor has stored there before is
    /// seen by it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is not in the buffer, or where the device's 28 address lines do not reach;
    /// [`Error::Timeout`]; those of the bus and of the interrupt. That there is no such memory is not told: the device
    /// does not notice.
    pub fn load(&mut self, memory_addr: u64, buffer: Range<usize>) -> Result<(), Error> {
        let (buffer_addr, len) = check(memory_addr, &buffer)?;
        self.transfer(memory_addr, buffer_addr, len, DmaCommand::default().with_direction(DmaCommand::TO_DEVICE))
    }

    /// Copies from the device's buffer into memory, and waits for the end; otherwise as [`load`](Self::load).
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn store(&mut self, buffer: Range<usize>, memory_addr: u64) -> Result<(), Error> {
        let (buffer_addr, len) = check(memory_addr, &buffer)?;
        self.transfer(buffer_addr, memory_addr, len, DmaCommand::default().with_direction(DmaCommand::TO_MEMORY))
    }

    /// Takes the bus and the way of waiting out again. The device stays as it is.
    pub fn into_parts(self) -> (B, W) {
        (self.registers.into_bus(), self.waiting)
    }

    fn finish_factorial(&mut self, start: Instant) -> Result<(), Error> {
        self.wait(start, |registers| Ok(registers.status().read()?.computing() == 0))
    }

    fn transfer(&mut self, source: u64, destination: u64, len: u64, command: DmaCommand) -> Result<(), Error> {
        // While it transfers, it would not listen.
        let start = Instant::now();
        self.finish_transfer(start)?;
        self.registers.dma_source().write(source)?;
        self.registers.dma_destination().write(destination)?;
        self.registers.dma_count().write(len)?;
        self.registers.dma_command().write(command.with_interrupt(u32::from(W::INTERRUPTS)).with_run(1))?;
        self.finish_transfer(start)
    }

    fn finish_transfer(&mut self, start: Instant) -> Result<(), Error> {
        self.wait(start, |registers| Ok(registers.dma_command().read()?.run() == 0))
    }

    /// Waits for what is left of the time since the operation's start, and takes back whatever the device interrupts
    /// for.
    fn wait(&mut self, start: Instant, is_done: impl Fn(&Registers<B>) -> Result<bool, Error>) -> Result<(), Error> {
        let Self { registers, waiting, timeout } = self;
        let waited = waiting.wait_for(NAME, timeout.saturating_sub(start.elapsed()), || {
            if W::INTERRUPTS {
                let reasons = registers.interrupt_status().read()?.0;
                if reasons != 0 {
                    registers.acknowledge().clear(Acknowledge(reasons))?;
                }
            }
            Ok(is_done(registers)?.then_some(()))
        });
        match waited {
            Err(Error::Timeout { object, .. }) => Err(Error::Timeout { object, after: *timeout }),
            waited => waited,
        }
    }
}

/// Checks the ends of a transfer: the buffer's address, and how many bytes.
fn check(memory_addr: u64, buffer: &Range<usize>) -> Result<(u64, u64), Error> {
    if buffer.is_empty() || buffer.end > BUFFER_LEN {
        return Err(Error::invalid(NAME, format!("bytes {buffer:?} are not in its buffer of {BUFFER_LEN}")));
    }
    let numbers = (u64::try_from(buffer.start), u64::try_from(buffer.len()));
    let (Ok(start), Ok(len)) = numbers else { unreachable!("they are at most {BUFFER_LEN}") };
    if memory_addr.checked_add(len).is_none_or(|end| end > DMA_END) {
        let reason = format!("it reaches memory below {DMA_END:#x}, not {len} bytes at {memory_addr:#x}");
        return Err(Error::invalid(NAME, reason));
    }
    Ok((BUFFER_ADDR + start, len))
}

fn unexpected(reason: String) -> Error {
    Error::Unexpected { object: NAME.to_owned(), reason }
}
