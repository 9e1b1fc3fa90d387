//! Sizes on the command line: `5`, `64k`, `1m`, `1g`, in powers of 1024, and ranges of bytes: `64k..1m`.

use std::num::NonZero;
use std::ops::Range;

/// The largest buffer, in bytes.
const LARGEST: u64 = 1 << 30;

/// Reads the size of a buffer: 1 byte to 1 GiB.
pub(crate) fn buffer(text: &str) -> Result<NonZero<usize>, String> {
    let (number, shift) = number_and_shift(text)?;
    let bytes = number.checked_mul(1 << shift).filter(|&bytes| bytes <= LARGEST);
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).and_then(NonZero::new);
    bytes.ok_or_else(|| "a buffer has 1 byte to 1 GiB".to_owned())
}

/// Reads a number of bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let (number, shift) = number_and_shift(text)?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is more than a file can have"))
}

/// Reads a range of bytes, `START..END` without the byte at `END`: either may be left out, for the file's start or end.
pub(crate) fn range(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text.split_once("..").ok_or_else(|| "a range is START..END, such as 64k..1m".to_owned())?;
    let start = if start.is_empty() { 0 } else { bytes(start)? };
    let end = if end.is_empty() { u64::MAX } else { bytes(end)? };
    if start <= end { Ok(start..end) } else { Err("the range ends before it starts".to_owned()) }
}

/// The whole number that a size begins with, and the power of two that its unit stands for.
fn number_and_shift(text: &str) -> Result<(u64, u32), String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        unit => return Err(format!("'{unit}' is not a unit: use k, m or g, for 1024, 1024^2 or 1024^3 bytes")),
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = whole.then(|| digits.parse().ok()).flatten();
    Ok((number.ok_or_else(|| format!("'{digits}' is not a whole number of bytes"))?, shift))
}

/// The shortest way to write a size that [`buffer`] reads.
pub(crate) fn text(bytes: usize) -> String {
    let unit =
        [(1 << 30, "g"), (1 << 20, "m"), (1 << 10, "k")].into_iter().find(|(size, _)| bytes.is_multiple_of(*size));
    match unit {
        Some((size, unit)) if bytes > 0 => format!("{}{unit}", bytes / size),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_they_are_written() {
        for (written, bytes) in [("1", 1), ("5", 5), ("64k", 65536), ("64KiB", 65536), ("1m", 1 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(buffer(written).map(NonZero::get), Ok(bytes), "{written}");
        }
        for bytes in [1, 5, 100, 1024, 1500, 65536, 3 << 20, 1 << 30] {
            assert_eq!(buffer(&text(bytes)).map(NonZero::get), Ok(bytes));
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for bad in
            ["", "0", "k", "-1", "1.5m", "2g", "1025m", "99999999999999999999", "5x", "+5", "5kk", "1 k", "0x10", "ä"]
        {
            assert!(buffer(bad).is_err(), "{bad}");
        }
        assert_eq!(buffer("2g"), Err("a buffer has 1 byte to 1 GiB".to_owned()));
        assert_eq!(buffer("5x").unwrap_err().split(':').next(), Some("'x' is not a unit"));
    }

    #[test]
    fn ranges_leave_out_their_end_and_may_leave_out_a_bound() {
        assert_eq!(range("1..2k"), Ok(1..2048));
        assert_eq!(range("64k.."), Ok(65536..u64::MAX));
        assert_eq!(range("..5"), Ok(0..5));
        assert_eq!(range(".."), Ok(0..u64::MAX));
        assert_eq!(range("7..7"), Ok(7..7));
        for bad in ["", "5", "2..1", "1..2..3", "-1..2", "1..x", "0..17179869184g"] {
            assert!(range(bad).is_err(), "{bad}");
        }
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("16g"), Ok(1 << 34));
    }
}
