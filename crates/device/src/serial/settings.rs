//! How bytes stand on a serial line: speed, bits, parity, flow control.

use std::time::Duration;

/// Settings of a serial port. Both ends of a line need the same ones.
///
/// The default is 115200 baud, 8 data bits, no parity, 1 stop bit, no flow control.
///
/// ```
/// use mapio_device::serial::{Parity, Settings};
///
/// let settings = Settings { baud: 9600, parity: Parity::Even, ..Settings::default() };
/// assert_eq!(settings.frame_time().as_micros(), 1145);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bits a second, start and stop bits included.
    pub baud: u32,
    /// Bits of a byte that are sent.
    pub data_bits: DataBits,
    /// The check bit.
    pub parity: Parity,
    /// The pause behind a byte.
    pub stop_bits: StopBits,
    /// How the receiver stops the sender.
    pub flow: Flow,
}

/// Bits of a byte that are sent; the upper ones are cut off, and are received as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataBits {
    /// 5 bits.
    Five,
    /// 6 bits.
    Six,
    /// 7 bits.
    Seven,
    /// 8 bits.
    Eight,
}

/// The check bit behind the data bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parity {
    /// There is none.
    None,
    /// It makes the number of ones odd.
    Odd,
    /// It makes the number of ones even.
    Even,
    /// It is always 1.
    Mark,
    /// It is always 0.
    Space,
}

/// Bits at rest behind each byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopBits {
    /// 1 bit.
    One,
    /// 2 bits; a 16550 makes 1.5 of them when there are 5 data bits.
    Two,
}

/// How the receiver stops the sender when it can't take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Not at all: bytes that nobody takes in time are lost, and the loss is an error.
    None,
    /// By a line: who wants bytes raises RTS, which is the other's CTS.
    RtsCts,
    /// By the bytes XOFF (0x13) and XON (0x11), which can then not be sent as data.
    XonXoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            baud: 115_200,
            data_bits: DataBits::Eight,
            parity: Parity::None,
            stop_bits: StopBits::One,
            flow: Flow::None,
        }
    }
}

impl Settings {
    /// How long one byte takes on the line.
    #[must_use]
    pub fn frame_time(&self) -> Duration {
        let parity = u64::from(self.parity != Parity::None);
        let stop = if self.stop_bits == StopBits::One { 1 } else { 2 };
        let bits = 1 + u64::from(self.data_bits.count()) + parity + stop;
        Duration::from_nanos(bits * 1_000_000_000 / u64::from(self.baud.max(1)))
    }
}

impl DataBits {
    /// How many.
    #[must_use]
    pub const fn count(self) -> u8 {
        5 + self.code()
    }

    /// The bits of a byte that are sent.
    #[must_use]
    pub const fn mask(self) -> u8 {
        u8::MAX >> (8 - self.count())
    }

    /// As both chips write it.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Five => 0,
            Self::Six => 1,
            Self::Seven => 2,
            Self::Eight => 3,
        }
    }
}
