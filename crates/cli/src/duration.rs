//! Times on the command line: `100ms`, `5m`, `0.5`, `@1700000000.5`.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads a length of time: a whole number and a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a length of time, such as 100ms, 5s, 10m, 2h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let nanoseconds: u64 = match &text[digits.len()..] {
        "ns" => 1,
        "us" => 1000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(nanoseconds).map(Duration::from_nanos).ok_or_else(|| format!("'{text}' is too long a time"))
}

/// Reads the time between two looks at something: a number of seconds, or a length of time; a millisecond to a day.
pub(crate) fn between_looks(text: &str) -> Result<Duration, String> {
    const BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let wanted = seconds.or_else(|| duration(text).ok()).filter(|wanted| BOUNDS.contains(wanted));
    wanted.ok_or_else(|| format!("'{text}' is not 0.001 to 86400 seconds, nor a time such as 100ms or 5m"))
}

/// Reads a moment, in nanoseconds since 1970: `@SECONDS` since then, with or without a fraction, or a length of time
/// before now.
pub(crate) fn moment(text: &str) -> Result<u64, String> {
    let Some(seconds) = text.strip_prefix('@') else {
        let ago = duration(text)?;
        return Ok(nanoseconds(now().saturating_sub(ago)));
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = || format!("'{text}' is not '@' and seconds since 1970, such as @1700000000.5");
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return Err(wrong());
    }
    let seconds: u64 = whole.parse().map_err(|_| wrong())?;
    let fraction: u64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    seconds.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(fraction)).ok_or_else(wrong)
}

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_number_and_a_unit() {
        let good = [("1ns", 1), ("2us", 2000), ("100ms", 100_000_000), ("5s", 5_000_000_000), ("2m", 120_000_000_000)];
        for (text, wanted) in good {
            assert_eq!(duration(text), Ok(Duration::from_nanos(wanted)), "{text}");
        }
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for bad in ["", "5", "s", "-1s", "1.5s", "5 s", "5x", "99999999999999999999s", "18446744073709551615d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_time_between_looks_is_in_seconds_or_has_a_unit_and_is_bounded() {
        for (text, wanted) in [("1", 1000), ("0.5", 500), ("0.001", 1), ("100ms", 100), ("5m", 300_000)] {
            assert_eq!(between_looks(text), Ok(Duration::from_millis(wanted)), "{text}");
        }
        assert_eq!(
            (between_looks("86400"), between_looks("1d")),
            (Ok(Duration::from_secs(86_400)), between_looks("24h"))
        );
        for bad in ["", "0", "0s", "-1", "nan", "inf", "x", "86401", "2d", "1e300", "999us"] {
            assert!(between_looks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_are_seconds_since_1970_or_before_now() {
        assert_eq!(moment("@1.5"), Ok(1_500_000_000));
        assert_eq!(moment("@1700000000"), Ok(1_700_000_000_000_000_000));
        assert_eq!(moment("@0.000000001"), Ok(1));
        assert!(moment("1h").is_ok_and(|then| then > 1_700_000_000_000_000_000));
        for bad in ["@", "@x", "@-1", "@1.0000000001", "@99999999999999999999", "now"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
