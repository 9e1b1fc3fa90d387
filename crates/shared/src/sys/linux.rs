//! Linux.
#![expect(unsafe_code, reason = "fcntl(2) on open file description locks, which rustix does not have")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use super::{ByteRange, Hold};

mod folder;
mod locks;
mod maps;
mod object_file;
mod segment;
mod signal;
mod watcher;

pub(crate) use super::parking::Parking;
pub(crate) use folder::*;
pub(crate) use locks::Locks;
pub(crate) use maps::Maps;
pub(crate) use object_file::*;
pub(crate) use segment::*;
pub(crate) use signal::Signal;
pub(crate) use watcher::Watcher;

/// Where named POSIX objects are: shm_overview(7).
pub(crate) const OBJECT_FOLDER: Option<&str> = Some("/dev/shm");
/// Bytes that a file's name may have: `NAME_MAX`.
pub(crate) const MOST_NAME_BYTES: usize = 255;
/// How a reader's byte is locked.
pub(crate) const READING: Hold = Hold::Shared;
pub(crate) const NO_SEGMENTS: Option<&str> = None;
pub(crate) const NO_SECTIONS: Option<&str> = Some("names for all sessions are those of Windows");

pub(crate) fn create_section(_: &str, _: u64, _: super::Owner, _: u32) -> io::Result<Option<OwnedFd>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn open_section(_: &str, _: bool) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn sections() -> io::Result<Vec<(String, bool)>> {
    Ok(Vec::new())
}

/// Locks bytes for this open file; `false` if another open file has a lock on some of them that forbids it.
///
/// The lock belongs to the open file description: all descriptors that were duplicated from one another share it, and
/// it ends when the last of them is closed, in whatever process, or when that process dies. Does not block. See
/// fcntl(2), "Open file description locks".
pub(crate) fn try_lock(file: BorrowedFd<'_>, bytes: ByteRange, hold: Hold) -> io::Result<bool> {
    match set(file, bytes, kind(hold)) {
        Ok(()) => Ok(true),
        // POSIX allows either for a lock that is held.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives up what this open file holds of a range.
pub(crate) fn unlock(file: BorrowedFd<'_>, bytes: ByteRange) -> io::Result<()> {
    set(file, bytes, libc::F_UNLCK)
}

/// A range that another open file has locked, of those that would forbid a lock of the kind on `bytes`.
///
/// Locks of this open file itself are never reported. With several, any one is; its bytes may reach beyond those asked
/// for.
pub(crate) fn locked(file: BorrowedFd<'_>, bytes: ByteRange, hold: Hold) -> io::Result<Option<ByteRange>> {
    let mut lock = request(bytes, kind(hold))?;
    call(file, libc::F_OFD_GETLK, &mut lock)?;
    if i32::from(lock.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let start = u64::try_from(lock.l_start).map_err(io::Error::other)?;
    // 0 is "to the end of all bytes".
    let len = u64::try_from(lock.l_len).map_err(io::Error::other)?;
    Ok(Some(start..if len == 0 { u64::MAX } else { start + len }))
}

/// When this process was started, in clock ticks since the machine was: proc_pid_stat(5), field 22.
pub(crate) fn start_time() -> io::Result<u64> {
    start_time_of(std::process::id())
}

/// The same of any process of this PID namespace.
pub(crate) fn start_time_of(pid: u32) -> io::Result<u64> {
    let field = stat_field(pid, 22)?.parse();
    field.map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Whether a process of this PID namespace has ended, even if nobody has waited for it yet: proc_pid_stat(5), field 3.
pub(crate) fn is_ended(pid: u32) -> bool {
    match stat_field(pid, 3) {
        Ok(state) => matches!(&*state, "Z" | "X" | "x"),
        Err(error) => matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)),
    }
}

/// A field of proc_pid_stat(5) behind the second, counted from 1.
fn stat_field(pid: u32, number: usize) -> io::Result<String> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    let stat = String::from_utf8_lossy(&stat);
    // The second field is a name, which may hold anything, in parentheses.
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = behind_name.split_whitespace().nth(number - 3).map(str::to_owned);
    field.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What tells this process's System V objects from others of the same identifiers: ipc_namespaces(7).
pub(crate) fn ipc_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/ipc")?.ino())
}

/// What tells this process's PID namespace from others: namespaces(7).
pub(crate) fn pid_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// The name of this process: the first 15 bytes of its program's.
pub(crate) fn process_name() -> io::Result<String> {
    name_of(std::process::id())
}

/// The name of a process of this PID namespace: proc_pid_comm(5).
pub(crate) fn name_of(pid: u32) -> io::Result<String> {
    let name = fs::read(format!("/proc/{pid}/comm"))?;
    Ok(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
}

fn kind(hold: Hold) -> i32 {
    match hold {
        Hold::Shared => libc::F_RDLCK,
        Hold::Exclusive => libc::F_WRLCK,
    }
}

fn set(file: BorrowedFd<'_>, bytes: ByteRange, kind: i32) -> io::Result<()> {
    call(file, libc::F_OFD_SETLK, &mut request(bytes, kind)?)
}

cfg_select! {
    all(target_env = "gnu", any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc", target_arch = "m68k")) => {
        /// A lock whose offsets have 64 bits.
        type Lock = libc::flock64;

        /// fcntl(2) on a lock. The C library's function takes one whose offsets have 32 bits, so the kernel is called.
        fn call(file: BorrowedFd<'_>, command: i32, lock: &mut Lock) -> io::Result<()> {
            // SAFETY: the argument of both commands is a pointer to a lock, which the kernel reads and writes.
            match unsafe { libc::syscall(libc::SYS_fcntl64, file.as_raw_fd(), command, std::ptr::from_mut(lock)) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
    _ => {
        /// A lock whose offsets have 64 bits.
        type Lock = libc::flock;

        /// fcntl(2) on a lock.
        fn call(file: BorrowedFd<'_>, command: i32, lock: &mut Lock) -> io::Result<()> {
            // SAFETY: the argument of both commands is a pointer to a lock, which the kernel reads and writes.
            match unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(lock)) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

fn request(bytes: ByteRange, kind: i32) -> io::Result<Lock> {
    // SAFETY: a lock is integers, for which zeros are valid; `l_pid` must be 0.
    let mut lock: Lock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(kind).map_err(io::Error::other)?;
    lock.l_whence = libc::c_short::try_from(libc::SEEK_SET).map_err(io::Error::other)?;
    lock.l_start = bytes.start.try_into().map_err(io::Error::other)?;
    lock.l_len = bytes.end.saturating_sub(bytes.start).try_into().map_err(io::Error::other)?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_lock_is_seen_by_other_open_files_alone_and_ends_with_the_last_descriptor() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let (mine, other) = (named.reopen().unwrap(), named.reopen().unwrap());
        let far = 1 << 62;
        assert!(try_lock(mine.as_fd(), far..far + 1, Hold::Exclusive).unwrap());
        assert_eq!(locked(mine.as_fd(), 0..far + 9, Hold::Exclusive).unwrap(), None);
        assert_eq!(locked(other.as_fd(), 0..far + 9, Hold::Exclusive).unwrap(), Some(far..far + 1));
        assert!(!try_lock(other.as_fd(), far..far + 1, Hold::Shared).unwrap());
        let duplicate = mine.try_clone().unwrap();
        drop(mine);
        assert!(!try_lock(other.as_fd(), far..far + 1, Hold::Exclusive).unwrap());
        drop(duplicate);
        assert!(try_lock(other.as_fd(), far..far + 1, Hold::Exclusive).unwrap());
        unlock(other.as_fd(), far..far + 1).unwrap();
        assert_eq!(locked(named.as_fd(), 0..u64::MAX >> 1, Hold::Exclusive).unwrap(), None);
    }

    #[test]
    fn shared_locks_go_together() {
        let named = tempfile::NamedTempFile::new().unwrap();
        let (mine, other) = (named.reopen().unwrap(), named.reopen().unwrap());
        assert!(try_lock(mine.as_fd(), 0..10, Hold::Shared).unwrap());
        assert!(try_lock(other.as_fd(), 5..15, Hold::Shared).unwrap());
        assert_eq!(locked(named.as_fd(), 0..99, Hold::Shared).unwrap(), None);
        assert!(locked(named.as_fd(), 0..99, Hold::Exclusive).unwrap().is_some());
        assert!(!try_lock(named.as_fd(), 0..1, Hold::Exclusive).unwrap());
    }
}
