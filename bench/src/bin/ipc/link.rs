//! What every contender does: a channel between processes, seen from one of its ends.

use std::path::PathBuf;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// The end of a channel.
///
/// The processes know nothing of each other but a folder. Whatever is made is made in it, or carries its name; it is
/// removed when all ends are gone.
pub trait Link: Sized {
    /// Opens this end, and waits until all others are there: the first message that is sent then is received by all of
    /// them. A second one is sent only when they have got the first.
    fn open(task: &Task) -> anyhow::Result<Self>;

    /// Sends a message, of as many bytes as the job says, to the other end, or to all; waits while there is no room.
    fn send(&mut self, message: &[u8]) -> anyhow::Result<()>;

    /// Waits for the next message and copies all of it.
    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()>;
}

/// A channel that lends out its memory: a message is made where the other end reads it.
pub trait Loan: Link {
    /// Sends a message of which only the first 8 bytes are written: its number.
    fn send_number(&mut self, number: u64) -> anyhow::Result<()>;

    /// Waits for the next message and reads only its number.
    fn receive_number(&mut self) -> anyhow::Result<u64>;
}

/// What one process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    pub contender: String,
    pub side: Side,
    pub job: Job,
    /// The folder where the ends meet.
    pub place: PathBuf,
    /// The processor to stay on.
    pub processor: Option<usize>,
}

/// Which end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The one that measures. There is one; it sends first.
    Near,
    /// The other, or one of the others.
    Far,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub work: Work,
    /// Of a message: at least 8, as it carries its number.
    pub message_bytes: usize,
    /// How many are measured, besides those that warm up.
    pub messages: u64,
    /// How many far ends there are; 1 except for `Broadcast`.
    pub readers: usize,
}

/// How messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// There and back, one at a time.
    RoundTrip,
    /// From the far end to the near one, as fast as they can.
    Stream,
    /// The same by [`Loan`].
    Loan,
    /// From the near end to all far ones.
    Broadcast,
}

/// Writes a message's number at both of its ends.
pub fn put_number(message: &mut [u8], number: u64) {
    let bytes = number.to_le_bytes();
    message[..8].copy_from_slice(&bytes);
    let tail = message.len() - 8;
    message[tail..].copy_from_slice(&bytes);
}

/// The number at the start of a message.
pub fn number_of(message: &[u8]) -> u64 {
    message.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes))
}

/// Fails unless a message has this number at both of its ends.
pub fn check_number(message: &[u8], number: u64) -> anyhow::Result<()> {
    let last = message.last_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
    check(number_of(message), number)?;
    check(last, number)
}

/// Fails unless the number is the one that is expected.
pub fn check(found: u64, expected: u64) -> anyhow::Result<()> {
    ensure!(found == expected, "message {found} has come instead of {expected}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_wrong_number_at_either_end_is_refused() {
        let mut message = [0; 24];
        put_number(&mut message, 7);
        assert!(check_number(&message, 7).is_ok());
        assert!(check_number(&message, 8).is_err());
        for at in [0, 23] {
            let mut torn = message;
            torn[at] ^= 1;
            assert!(check_number(&torn, 7).is_err(), "{at}");
        }
        let mut shortest = [0; 8];
        put_number(&mut shortest, u64::MAX);
        assert!(check_number(&shortest, u64::MAX).is_ok());
    }
}
