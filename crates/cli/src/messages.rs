//! Messages on standard input and output: a line each, or bytes behind their length.

use std::io::{self, Write};
use std::ops::Range;

use anyhow::{Context, bail};
use serde::Serialize;

use crate::interrupt::Interrupt;

/// Bytes that are read at a time, and written.
pub(crate) const BUFFER_BYTES: usize = 64 << 10;
/// Bytes of the length before each message of `--length-framed`: a little-endian integer.
const LENGTH_BYTES: usize = 4;

/// How messages are told from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each ends with a line break, which is not a part of it; the last one need not.
    Lines,
    /// Each comes behind its length in bytes.
    Lengths,
}

impl Framing {
    /// What the option `--length-framed` says.
    pub(crate) fn of_option(length_framed: bool) -> Self {
        if length_framed { Self::Lengths } else { Self::Lines }
    }
}

/// Standard input, taken apart.
#[derive(Debug)]
pub(crate) struct Input {
    framing: Framing,
    bytes: Vec<u8>,
    /// How many of `bytes` belong to messages that were answered.
    used: usize,
    /// How many of them were looked through for a line break that was not there.
    searched: usize,
    is_over: bool,
}

impl Input {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, bytes: Vec::new(), used: 0, searched: 0, is_over: false }
    }

    /// Waits for messages, and answers all that have come as a whole: ranges of [`bytes`](Self::bytes). `None` when there
    /// are no more, or a signal has come.
    pub(crate) fn next(
        &mut self,
        interrupt: &Interrupt,
        most_bytes: usize,
    ) -> anyhow::Result<Option<Vec<Range<usize>>>> {
        self.bytes.drain(..self.used);
        self.searched -= self.used.min(self.searched);
        self.used = 0;
        loop {
            let messages = self.whole(most_bytes)?;
            if !messages.is_empty() {
                return Ok(Some(messages));
            }
            if self.is_over {
                return self.last();
            }
            match self.read(interrupt).context("reading standard input")? {
                Some(count) => self.is_over = count == 0,
                None => return Ok(None),
            }
        }
    }

    /// What the ranges are of.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Waits for more, and reads it; answers how much, 0 at the end; `None` if a signal was sooner.
    fn read(&mut self, interrupt: &Interrupt) -> io::Result<Option<usize>> {
        let len = self.bytes.len();
        self.bytes.resize(len + BUFFER_BYTES, 0);
        let read = interrupt.read_input(&mut self.bytes[len..]);
        self.bytes.truncate(len + read.as_ref().map_or(0, |count| count.unwrap_or(0)));
        read
    }

    /// The messages that have come as a whole.
    fn whole(&mut self, most_bytes: usize) -> anyhow::Result<Vec<Range<usize>>> {
        let mut messages = Vec::new();
        loop {
            match self.one(most_bytes) {
                Ok(Some((message, end))) => {
                    messages.push(message);
                    (self.used, self.searched) = (end, end);
                }
                Err(error) if messages.is_empty() => return Err(error),
                // An error comes again the next time, behind the messages before it.
                Ok(None) | Err(_) => return Ok(messages),
            }
        }
    }

    /// The message at `used`, if it is whole, and where the next one begins.
    fn one(&mut self, most_bytes: usize) -> anyhow::Result<Option<(Range<usize>, usize)>> {
        let rest = &self.bytes[self.used..];
        match self.framing {
            Framing::Lines => {
                let end = self.bytes[self.searched..].iter().position(|&byte| byte == b'\n');
                let end = end.map(|at| self.searched + at);
                if end.unwrap_or(self.bytes.len()) - self.used > most_bytes {
                    bail!("a line is longer than the {most_bytes} bytes that fit");
                }
                self.searched = self.bytes.len();
                Ok(end.map(|end| (self.used..end, end + 1)))
            }
            Framing::Lengths => {
                let Some(len) = rest.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
                let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
                if len > most_bytes {
                    bail!("a message of {len} bytes is longer than the {most_bytes} bytes that fit");
                }
                let start = self.used + LENGTH_BYTES;
                Ok((start + len <= self.bytes.len()).then(|| (start..start + len, start + len)))
            }
        }
    }

    /// What is left when nothing more comes.
    fn last(&mut self) -> anyhow::Result<Option<Vec<Range<usize>>>> {
        let rest = self.used..self.bytes.len();
        match self.framing {
            _ if rest.is_empty() => Ok(None),
            Framing::Lengths => bail!("standard input ends inside a message"),
            Framing::Lines => {
                self.used = rest.end;
                Ok(Some(vec![rest]))
            }
        }
    }
}

/// Writes a message as the framing has it.
pub(crate) fn write(output: &mut impl Write, framing: Framing, bytes: &[u8]) -> io::Result<()> {
    match framing {
        Framing::Lines => {
            output.write_all(bytes)?;
            output.write_all(b"\n")
        }
        Framing::Lengths => {
            let len = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
            output.write_all(&len.to_le_bytes())?;
            output.write_all(bytes)
        }
    }
}

/// A message in JSON: as text, or, if it is not UTF-8, in hexadecimal digits.
#[derive(Debug, Serialize)]
pub(crate) struct Payload<'a> {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let text = str::from_utf8(bytes).ok();
        let hex = text.is_none().then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect());
        Self { bytes: bytes.len(), text, hex }
    }
}

/// Whether an error is that nobody reads any more, which is none.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_broken))
}
