//! A device that is nothing but memory.

use std::time::Instant;

use super::Model;
use crate::width::Width;

/// Registers that hold what is written to them, in every width: to try something out on, when it is not the device
/// that is the matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    bytes: Vec<u8>,
}

impl Memory {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Model for Memory {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn read(&mut self, offset: usize, width: Width, _: Instant) -> Result<u64, &'static str> {
        let mut value = [0; 8];
        value[..width.bytes()].copy_from_slice(&self.bytes[offset..offset + width.bytes()]);
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        self.bytes[offset..offset + width.bytes()].copy_from_slice(&value.to_le_bytes()[..width.bytes()]);
        Ok(())
    }
}
