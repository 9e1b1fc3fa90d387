//! The system's clock, as it is written into files and memory: nanoseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now: 0 before 1970, and the largest number after the year 2554.
pub(crate) fn now_ns() -> u64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

/// A duration as that many nanoseconds, or the largest number.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
