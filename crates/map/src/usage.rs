//! What the process or the thread has used: time, and page faults, which are what a mapping costs.

use std::io;
use std::ops::Sub;
use std::time::Duration;

use crate::sys::{self, Scope};

/// Processor time and page faults since the process or the thread began: getrusage(2); on Windows GetProcessTimes and
/// GetProcessMemoryInfo, which tell all page faults in one number, given here as minor ones.
///
/// ```
/// use mapio_map::{MapOptions, Usage};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("file");
/// std::fs::write(&path, vec![7; 1 << 20])?;
/// let mapping = MapOptions::read_only().open(&path)?;
/// let (sum, used) = Usage::during(|| {
///     (0..256).map(|page| mapping.view().load::<u8>(page * 4096).map(u64::from)).sum::<Result<u64, _>>()
/// })?;
/// assert_eq!(sum?, 256 * 7);
/// println!("{} minor and {} major faults", used.minor_faults, used.major_faults);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[doc(alias("getrusage", "rusage", "fault_counts"))]
pub struct Usage {
    /// Processor time in the program itself.
    pub user: Duration,
    /// Processor time in the kernel on its behalf.
    pub system: Duration,
    /// Page faults that found the page in memory.
    pub minor_faults: u64,
    /// Page faults that had to wait for the disk.
    pub major_faults: u64,
}

impl Usage {
    /// What all threads of the process have used so far.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn of_process() -> io::Result<Self> {
        sys::usage(Scope::Process)
    }

    /// What the calling thread has used so far.
    ///
    /// # Errors
    /// The system does not tell: `Unsupported` on Windows, which counts page faults by process alone.
    pub fn of_thread() -> io::Result<Self> {
        sys::usage(Scope::Thread)
    }

    /// Runs `operation` and answers what the calling thread used for it; on Windows, which counts page faults by
    /// process alone, what all threads used meanwhile.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn during<T>(operation: impl FnOnce() -> T) -> io::Result<(T, Self)> {
        let before = sys::usage(sys::NARROWEST_SCOPE)?;
        let result = operation();
        Ok((result, sys::usage(sys::NARROWEST_SCOPE)? - before))
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used between an earlier moment, on the right, and a later one; zero where the order is wrong.
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
            major_faults: self.major_faults.saturating_sub(earlier.major_faults),
        }
    }
}
