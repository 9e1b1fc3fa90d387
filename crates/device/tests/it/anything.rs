//! Devices that answer anything.

use std::cell::Cell;

use mapio_device::model::{Model, Simulated};
use mapio_device::{Error, RegisterIo, Width};

/// A device that answers what it was given, again and again, refuses some accesses, and keeps nothing.
pub(crate) struct Anything {
    answers: Vec<u64>,
    next: Cell<usize>,
}

impl Anything {
    pub(crate) fn new(answers: &[u64]) -> Self {
        Self { answers: answers.to_owned(), next: Cell::new(0) }
    }
}

impl RegisterIo for Anything {
    fn name(&self) -> &str {
        "a test"
    }

    fn len(&self) -> usize {
        0x1000
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        let index = self.next.get();
        self.next.set(index + 1);
        let answer = self.answers[index % self.answers.len()];
        if answer % 23 == 22 {
            return Err(Error::Refused { object: self.name().to_owned(), offset, width, reason: "this time" });
        }
        Ok(answer & width.max())
    }

    fn write(&self, _: usize, _: Width, _: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// A model until it turns bad: then random answers, after the driver took it for its device. It goes on interrupting.
pub(crate) struct TurnsBad<M: Model> {
    pub(crate) good: Simulated<M>,
    bad: Anything,
    is_bad: Cell<bool>,
}

impl<M: Model> TurnsBad<M> {
    pub(crate) fn new(good: M, answers: &[u64]) -> Self {
        Self { good: Simulated::new(good), bad: Anything::new(answers), is_bad: Cell::new(false) }
    }

    pub(crate) fn turn_bad(&self) {
        self.is_bad.set(true);
    }
}

impl<M: Model> RegisterIo for &TurnsBad<M> {
    fn name(&self) -> &str {
        "a test"
    }

    fn len(&self) -> usize {
        self.good.len()
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        if self.is_bad.get() { self.bad.read(offset, width) } else { self.good.read(offset, width) }
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.good.write(offset, width, value)
    }
}
