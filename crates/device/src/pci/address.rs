//! What PCI devices are called: where they are, and what they are.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::Error;

/// Where a PCI function is: `0000:00:03.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The group of buses, 0 on most machines.
    pub domain: u32,
    /// The bus.
    pub bus: u8,
    /// The device on the bus, below 32.
    pub device: u8,
    /// The function of the device, below 8.
    pub function: u8,
}

/// What a PCI function is: `1234:11e8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Who made it.
    pub vendor: u16,
    /// Which of the vendor's devices it is.
    pub device: u16,
}

impl FromStr for Address {
    type Err = Error;

    /// Reads `0000:00:03.0`, or `00:03.0` of domain 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (place, function) = text.rsplit_once('.')?;
            let (rest, device) = place.rsplit_once(':')?;
            let (domain, bus) = rest.split_once(':').unwrap_or(("0", rest));
            let device = digits(device, 1..=2)?;
            Some(Self {
                domain: u32::try_from(digits(domain, 1..=8)?).ok()?,
                bus: u8::try_from(digits(bus, 1..=2)?).ok()?,
                device: u8::try_from(device).ok().filter(|device| *device < 32)?,
                function: u8::try_from(digits(function, 1..=1)?).ok().filter(|function| *function < 8)?,
            })
        };
        read().ok_or_else(|| Error::invalid(format!("{text:?}"), "it is not a PCI address such as 0000:00:03.0"))
    }
}

impl FromStr for Id {
    type Err = Error;

    /// Reads `1234:11e8`, with all four digits of each.
    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (vendor, device) = text.split_once(':')?;
            Some(Self {
                vendor: u16::try_from(digits(vendor, 4..=4)?).ok()?,
                device: u16::try_from(digits(device, 4..=4)?).ok()?,
            })
        };
        read().ok_or_else(|| Error::invalid(format!("{text:?}"), "it is not a PCI vendor and device such as 1234:11e8"))
    }
}

/// A hexadecimal number of so many digits.
fn digits(text: &str, lens: RangeInclusive<usize>) -> Option<u64> {
    let is_number = lens.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_ids_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Address>().map(|address| address.to_string()).ok();
        for (text, wanted) in [
            ("0000:00:03.0", "0000:00:03.0"),
            ("ff:1F.7", "0000:ff:1f.7"),
            ("10000:a:b.c", ""),
            ("1a:2:3.4", "001a:02:03.4"),
        ] {
            assert_eq!(read(text).unwrap_or_default(), wanted, "{text}");
        }
        for bad in ["", ":", ".", "0:0", "0.0", "00:20.0", "00:00.8", "0000:00:03.0 ", "+0:0.0", "0:0:0:0.0", "100:0.0"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!("1234:11E8".parse::<Id>().unwrap().to_string(), "1234:11e8");
        for bad in ["", "1234", "1234:", ":1", "12345:1111", "1234:-111", "0001:0002:0003", "00:03"] {
            assert!(bad.parse::<Id>().is_err(), "{bad}");
        }
        assert_eq!(
            "x".parse::<Id>().unwrap_err().to_string(),
            "\"x\": it is not a PCI vendor and device such as 1234:11e8"
        );
    }
}
