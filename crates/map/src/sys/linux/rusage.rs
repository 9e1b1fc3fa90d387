//! What the process or the thread has used so far: getrusage(2), which rustix does not have.
#![expect(unsafe_code, reason = "getrusage")]

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::sys::Scope;
use crate::usage::Usage;

/// Of whom `Usage::during` tells.
pub(crate) const NARROWEST_SCOPE: Scope = Scope::Thread;

pub(crate) fn usage(scope: Scope) -> io::Result<Usage> {
    let who = match scope {
        Scope::Process => libc::RUSAGE_SELF,
        Scope::Thread => libc::RUSAGE_THREAD,
    };
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: the call writes a whole rusage to the address given, if it succeeds.
    if unsafe { libc::getrusage(who, usage.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the successful call.
    let usage = unsafe { usage.assume_init() };
    Ok(Usage {
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        minor_faults: usage.ru_minflt.try_into().unwrap_or(0),
        major_faults: usage.ru_majflt.try_into().unwrap_or(0),
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.try_into().unwrap_or(0));
    seconds + Duration::from_micros(time.tv_usec.try_into().unwrap_or(0))
}
