//! Channels: what they promise, alone, between processes, and when these die.

mod contract;
mod deaths;
mod hostile;
// Processes that are single-stepped.
#[cfg(target_os = "linux")]
mod kills;
mod load;
mod loans;
mod processes;
// Processes that are stopped by signals.
#[cfg(target_os = "linux")]
mod stopped;

use mapio_shared::channel::{Full, Kind, Wait};

/// Every combination of what can be asked for.
fn combinations() -> impl Iterator<Item = (Kind, Full, Wait)> {
    let waits = [Wait::Spin, Wait::SpinThenSleep, Wait::Sleep];
    [Kind::Spsc, Kind::Broadcast].into_iter().flat_map(move |kind| {
        [Full::Block, Full::DropOldest]
            .into_iter()
            .flat_map(move |full| waits.into_iter().map(move |wait| (kind, full, wait)))
    })
}

/// A message that tells which it is and whether it is whole: 8 bytes of number, then bytes that follow from it.
pub(crate) fn message(number: u64, len: usize) -> Vec<u8> {
    assert!(len >= 8, "no room for the number");
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..len).map(|i| byte_of(number, i)));
    bytes
}

/// The number of a message.
///
/// # Panics
/// It is torn.
pub(crate) fn number_of(message: &[u8]) -> u64 {
    let number = u64::from_le_bytes(message[..8].try_into().unwrap());
    for (i, &byte) in message.iter().enumerate().skip(8) {
        assert_eq!(byte, byte_of(number, i), "message {number} of {} bytes is torn at {i}", message.len());
    }
    number
}

fn byte_of(number: u64, i: usize) -> u8 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(u32::try_from(i % 61).unwrap());
    mixed.to_le_bytes()[3] ^ mapio_testkit::pattern_at(i)
}
