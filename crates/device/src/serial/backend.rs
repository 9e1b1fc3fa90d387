//! `uart_16550`'s door to registers, on our buses: a driver by others, as it is, on any of them.
#![expect(unsafe_code, reason = "another crate's trait has unsafe functions")]

use uart_16550::backend::Backend;

use crate::bus::RegisterIo;
use crate::error::Error;
use crate::width::Width;

/// A bus as `uart_16550::Uart16550` accesses one.
///
/// That driver knows no failing access: one that fails reads as 0xff, as where nobody answers, and the error is
/// [kept](Self::error).
#[derive(Debug)]
pub struct Uart16550Backend<B> {
    bus: B,
    error: Option<Error>,
}

impl<B: RegisterIo> Uart16550Backend<B> {
    /// The registers at the start of a bus.
    pub fn new(bus: B) -> Self {
        Self { bus, error: None }
    }

    /// The first access that failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    fn note<T>(&mut self, accessed: Result<T, Error>) -> Option<T> {
        accessed.map_err(|error| self.error.get_or_insert(error)).ok()
    }
}

impl<B: RegisterIo> Backend for Uart16550Backend<B> {
    unsafe fn read(&mut self, register_offset: u8) -> u8 {
        let read = self.bus.read(register_offset.into(), Width::U8);
        self.note(read).and_then(|value| u8::try_from(value).ok()).unwrap_or(u8::MAX)
    }

    unsafe fn write(&mut self, register_offset: u8, value: u8) {
        let written = self.bus.write(register_offset.into(), Width::U8, value.into());
        // Kept, if it is an error.
        let _ = self.note(written);
    }
}
