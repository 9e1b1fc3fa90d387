//! Sizes on the command line: `5`, `64k`, `1m`, `1g`, in powers of 1024.

use std::num::NonZero;

/// The largest buffer, in bytes.
const LARGEST: usize = 1 << 30;

/// Reads the size of a buffer: 1 byte to 1 GiB.
pub(crate) fn buffer(text: &str) -> Result<NonZero<usize>, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        unit => return Err(format!("'{unit}' is not a unit: use k, m or g, for 1024, 1024^2 or 1024^3 bytes")),
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = whole.then(|| digits.parse::<usize>().ok()).flatten();
    let number = number.ok_or_else(|| format!("'{digits}' is not a whole number of bytes"))?;
    let bytes = number.checked_mul(1 << shift).filter(|&bytes| bytes <= LARGEST).and_then(NonZero::new);
    bytes.ok_or_else(|| "a buffer has 1 byte to 1 GiB".to_owned())
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
}
