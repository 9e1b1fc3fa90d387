//! Linux: POSIX shared memory in `/dev/shm`, System V shared memory, memory files.

use mapio_shared::channel::Notifier;
use mapio_shared::{ObjectKind, SharedObject, SharedOptions, inspect};
use mapio_testkit::{runner, skip};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{TestName, next};

/// What memory with a name is.
pub(crate) const MEMORY: ObjectKind = ObjectKind::Posix;
/// Where it is.
pub(super) const MEMORY_FOLDER: &str = "/dev/shm";

impl TestName {
    /// A new key of System V shared memory: that of a process has its number in it.
    pub(crate) fn sysv() -> Self {
        let key = 0x4000_0000 | (std::process::id() & 0x003f_ffff) << 8 | (next() & 0xff);
        Self { name: format!("sysv:{key:#x}"), _folder: None }
    }
}

/// Names of the kinds that not every system has.
pub(super) fn others() -> Vec<TestName> {
    vec![TestName::sysv()]
}

/// A new object of each kind that has no name of its own.
pub(crate) fn unnamed(options: &SharedOptions) -> Vec<SharedObject> {
    vec![options.create_memfd("contract").expect("memory"), options.create_sysv_private().expect("memory")]
}

/// Waits until a notifier has something to tell.
///
/// # Panics
/// It has not for a minute.
pub(crate) fn until_readable(notifier: &Notifier) {
    let mut fds = [PollFd::new(notifier, PollFlags::IN)];
    let hang = Timespec { tv_sec: 60, tv_nsec: 0 };
    assert_eq!(poll(&mut fds, Some(&hang)).expect("it is open"), 1);
}

/// Whether a process is told another start time of itself than others are, as by an emulator, so that nobody can wait for
/// its end; says that `test` is skipped if so.
pub(crate) fn lacks_own_start_time(test: &str) -> bool {
    // Field 22 of proc_pid_stat(5).
    let start_time = |path: &str| {
        let stat = std::fs::read_to_string(path).expect("a process's own");
        stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(19).map(str::to_owned))
    };
    let lacks = start_time("/proc/self/stat") != start_time(&format!("/proc/self/task/{}/stat", std::process::id()));
    if lacks {
        skip(test, "a process is told another start time of itself than others are, as by an emulator");
    }
    lacks
}

/// Whether an emulator loses the permissions of System V segments, as it has 16 bits where programs of the other byte
/// order have 32; says that `test` is skipped if so. Without an emulator they are never lost.
pub(crate) fn lacks_segment_permissions(test: &str) -> bool {
    if runner().is_none() {
        return false;
    }
    let name = TestName::sysv();
    let object = SharedOptions::new().len(1).permissions(0o604).create(&*name).expect("a segment");
    let lacks = inspect(&*name).expect("it is there").permissions != 0o604;
    drop(object);
    if lacks {
        skip(test, "the emulator loses the permissions of segments");
    }
    lacks
}
