//! What this process has used so far: getrusage(2), which rustix does not have.
#![expect(unsafe_code, reason = "getrusage")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// Time and page faults of all threads of the process since it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Spent in the program.
    pub(crate) user: Duration,
    /// Spent in the kernel for it.
    pub(crate) system: Duration,
    /// Page faults that needed no I/O.
    pub(crate) minor_faults: u64,
    /// Page faults that did.
    pub(crate) major_faults: u64,
}

impl Usage {
    pub(crate) fn now() -> io::Result<Self> {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY: the call writes a whole rusage to the address given, if it succeeds.
        if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: written by the successful call.
        let usage = unsafe { usage.assume_init() };
        Ok(Self {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            minor_faults: usage.ru_minflt.try_into().unwrap_or(0),
            major_faults: usage.ru_majflt.try_into().unwrap_or(0),
        })
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.try_into().unwrap_or(0));
    seconds + Duration::from_micros(time.tv_usec.try_into().unwrap_or(0))
}
