//! Traces: every access of a driver, with time, place, value and names.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::RegisterIo;
use crate::error::Error;
use crate::register::{Block, Read, Register, Write};
use crate::width::Width;

/// Records that are kept if it is not said how many.
const KEPT_RECORDS: usize = 1024;

/// Where a value went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

/// An access that was made, or failed. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// When it began, since the trace was made.
    pub at: Duration,
    /// Where the value went.
    pub direction: Direction,
    /// Of the register, in bytes.
    pub offset: usize,
    /// Of the access.
    pub width: Width,
    /// What was read or written; `None` for a read that failed.
    pub value: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    /// The register of the block, and the index in it.
    pub register: Option<(&'static Register, usize)>,
}

/// A bus that hands each access on to another, and tells of it.
///
/// Traced accesses do what they do without; those of one thread are told in their order. The last records are kept in
/// memory, as many as are asked for; a callback gets all of them.
///
/// ```
/// use mapio_device::model::{Memory, Simulated};
/// use mapio_device::{RegisterIo, Trace, Width, blocks};
///
/// let bus = Trace::new(Simulated::new(Memory::new(vec![0; 64]))).block(blocks::find("pci").unwrap());
/// bus.write(0x0c, Width::U8, 0x10)?;
/// let text = bus.take()[0].to_string();
/// assert!(text.ends_with("write 8 bits 0x000c CACHE_LINE = 0x10"), "{text}");
/// # Ok::<(), mapio_device::Error>(())
/// ```
pub struct Trace<B> {
    bus: B,
    block: Option<&'static Block>,
    start: Instant,
    kept_records: usize,
    state: Mutex<State>,
    callback: Option<Callback>,
}

type Callback = Box<dyn Fn(&Record) + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Record>,
    dropped: u64,
    /// What registers were last seen to hold, to tell which of several an offset stands for.
    seen: Vec<(&'static Register, u64)>,
}

impl<B> Trace<B> {
    /// Traces a bus; keeps the last 1024 records.
    #[must_use]
    pub fn new(bus: B) -> Self {
        Self {
            bus,
            block: None,
            start: Instant::now(),
            kept_records: KEPT_RECORDS,
            state: Mutex::default(),
            callback: None,
        }
    }

    /// The same with the names of a block that begins at offset 0.
    #[must_use]
    pub fn block(self, block: &'static Block) -> Self {
        Self { block: Some(block), ..self }
    }

    /// The same keeping so many records.
    #[must_use]
    pub fn keep(self, records: usize) -> Self {
        Self { kept_records: records, ..self }
    }

    /// The same handing each record to a function, after the access and in the thread that has made it.
    #[must_use]
    pub fn tell(self, callback: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        Self { callback: Some(Box::new(callback)), ..self }
    }

    /// Takes the records out, the oldest first.
    pub fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.state().records).into()
    }

    /// How many records there was no room for.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// The bus.
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// Takes the bus out again.
    pub fn into_bus(self) -> B {
        self.bus
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves no state in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does an access, and tells of it.
    fn trace<T>(
        &self,
        (direction, offset, width): (Direction, usize, Width),
        access: impl FnOnce() -> Result<T, Error>,
        value: impl FnOnce(Option<&T>) -> Option<u64>,
    ) -> Result<T, Error> {
        let at = self.start.elapsed();
        let answer = access();
        let value = value(answer.as_ref().ok());
        let error = answer.as_ref().err().map(causes);
        let mut state = self.state();
        let register = self.block.and_then(|block| state.register(block, (direction, offset, width)));
        if let (Some((register, 0)), Some(value), None) = (register, value, &error) {
            state.see(register, value);
        }
        let record = Record { at, direction, offset, width, value, error, register };
        state.keep(&record, self.kept_records);
        drop(state);
        if let Some(callback) = &self.callback {
            callback(&record);
        }
        answer
    }
}

impl State {
    fn keep(&mut self, record: &Record, most: usize) {
        self.records.push_back(record.clone());
        while self.records.len() > most {
            self.records.pop_front();
            self.dropped += 1;
        }
    }

    fn see(&mut self, register: &'static Register, value: u64) {
        match self.seen.iter_mut().find(|(seen, _)| std::ptr::eq(*seen, register)) {
            Some((_, seen)) => *seen = value,
            None => self.seen.push((register, value)),
        }
    }

    /// Which register an access is of: one whose condition is known to hold, else one without a condition, else the
    /// first whose condition is not known to fail.
    fn register(
        &self,
        block: &'static Block,
        (direction, offset, width): (Direction, usize, Width),
    ) -> Option<(&'static Register, usize)> {
        let rank = |register: &Register| match block.condition(register) {
            None => Some(1),
            Some(condition) => match self.seen.iter().find(|(seen, _)| *seen == condition.register) {
                None => Some(2),
                Some((_, value)) => condition.holds(*value).then_some(0),
            },
        };
        let allows = |register: &Register| match direction {
            Direction::Read => register.read != Read::None,
            Direction::Write => register.write != Write::None,
        };
        let candidates = block.at(offset, width).filter(|(register, _)| allows(register));
        let ranked = candidates.filter_map(|candidate| Some((rank(candidate.0)?, candidate)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, candidate)| candidate)
    }
}

/// An error and its causes in one line.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

impl<B: RegisterIo> RegisterIo for Trace<B> {
    fn len(&self) -> usize {
        self.bus.len()
    }

    fn name(&self) -> &str {
        self.bus.name()
    }

    fn alignment(&self) -> usize {
        self.bus.alignment()
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.trace((Direction::Read, offset, width), || self.bus.read(offset, width), |value| value.copied())
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        let written = Some(value & width.max());
        self.trace((Direction::Write, offset, width), || self.bus.write(offset, width, value), |_| written)
    }

    fn read_relaxed(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.trace((Direction::Read, offset, width), || self.bus.read_relaxed(offset, width), |value| value.copied())
    }

    fn write_relaxed(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        let written = Some(value & width.max());
        self.trace((Direction::Write, offset, width), || self.bus.write_relaxed(offset, width, value), |_| written)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, offset, width, .. } = self;
        write!(f, "{:>12.6} {direction:<5} {width} {offset:#06x}", self.at.as_secs_f64())?;
        if let Some((register, index)) = self.register {
            write!(f, " {}", register.name)?;
            if register.count > 1 {
                write!(f, "[{index}]")?;
            }
        }
        if let Some(value) = self.value {
            write!(f, " = {value:#0digits$x}", digits = 2 + 2 * width.bytes())?;
            if let Some((register, _)) = self.register.filter(|(register, _)| !register.fields.is_empty()) {
                write!(f, " {}", register.decode(value))?;
            }
        }
        match &self.error {
            Some(error) => write!(f, " failed: {error}"),
            None => Ok(()),
        }
    }
}

impl<B: fmt::Debug> fmt::Debug for Trace<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("bus", &self.bus).finish_non_exhaustive()
    }
}
