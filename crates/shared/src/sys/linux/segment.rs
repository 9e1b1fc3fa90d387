//! System V segments: sysvipc(7).
#![expect(unsafe_code, reason = "shmget(2) and shmctl(2), which rustix does not have")]

use std::fs;
use std::io;
use std::mem::MaybeUninit;

use crate::sys::SegmentStatus;

/// What /proc/sysvipc/shm has in a line, of those that are needed.
const FIELDS: [usize; 8] = [0, 1, 2, 3, 4, 6, 7, 8];

/// Makes a segment of zeros that did not exist, and answers its identifier: shmget(2). Key 0 is `IPC_PRIVATE`.
pub(crate) fn create_segment(key: i32, len: usize, mode: u32) -> io::Result<i32> {
    let mode = i32::try_from(mode & 0o777).map_err(io::Error::other)?;
    get_segment(key, len, libc::IPC_CREAT | libc::IPC_EXCL | mode)
}

/// The identifier of the segment that has a key.
pub(crate) fn find_segment(key: i32) -> io::Result<i32> {
    get_segment(key, 0, 0)
}

fn get_segment(key: i32, len: usize, flags: i32) -> io::Result<i32> {
    // SAFETY: shmget takes numbers, and changes no memory of the process.
    let id = unsafe { libc::shmget(key, len, flags) };
    if id < 0 { Err(io::Error::last_os_error()) } else { Ok(id) }
}

/// Sets owner, group and permissions of a segment; `None` leaves what there is: shmctl(2), `IPC_SET`.
pub(crate) fn set_segment(id: i32, owner: (Option<u32>, Option<u32>), mode: u32) -> io::Result<()> {
    let mut status = MaybeUninit::<libc::shmid_ds>::zeroed();
    // SAFETY: the kernel writes a shmid_ds, for which there is room.
    if unsafe { libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was zeroed, and then written by the kernel: integers, for which all bits are valid.
    let mut status = unsafe { status.assume_init() };
    status.shm_perm.uid = owner.0.unwrap_or(status.shm_perm.uid);
    status.shm_perm.gid = owner.1.unwrap_or(status.shm_perm.gid);
    // The field has 16 or 32 bits, depending on the C library.
    status.shm_perm.mode = (mode & 0o777).try_into().map_err(io::Error::other)?;
    // SAFETY: the kernel reads a shmid_ds.
    if unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut status) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Removes a segment: its key at once, its memory with the last that has it attached: shmctl(2), `IPC_RMID`.
pub(crate) fn remove_segment(id: i32) -> io::Result<()> {
    // SAFETY: IPC_RMID takes no third argument.
    if unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// All segments of the IPC namespace, whoever may use them: proc_sysvipc(5).
pub(crate) fn segments() -> io::Result<Vec<SegmentStatus>> {
    let table = fs::read_to_string("/proc/sysvipc/shm")?;
    Ok(table.lines().skip(1).filter_map(line).collect())
}

/// What there is to know of one segment; `None` if there is none of that identifier.
pub(crate) fn segment(id: i32) -> io::Result<Option<SegmentStatus>> {
    Ok(segments()?.into_iter().find(|segment| segment.id == id))
}

/// Reads a line of the table: key, shmid, perms, size, cpid, lpid, nattch, uid, gid, cuid, cgid, atime, dtime, ctime,
/// ...
fn line(line: &str) -> Option<SegmentStatus> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [key, id, mode, len, creator, attached, user, group] = FIELDS.map(|at| words.get(at).copied().unwrap_or(""));
    let mode = u32::from_str_radix(mode, 8).ok()?;
    Some(SegmentStatus {
        // Printed as a signed number.
        key: key.parse().ok()?,
        id: id.parse().ok()?,
        mode: mode & 0o777,
        is_removed: mode & 0o1000 != 0,
        len: len.parse().ok()?,
        creator: creator.parse().ok()?,
        attached: attached.parse().ok()?,
        user: user.parse().ok()?,
        group: group.parse().ok()?,
        changed_s: words.get(13)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_listed_as_it_was_made_until_it_is_removed() {
        let id = create_segment(0, 5000, 0o640).unwrap();
        set_segment(id, (None, None), 0o604).unwrap();
        let found = segment(id).unwrap().unwrap();
        if mapio_testkit::runner().is_some() && found.mode == 0 {
            remove_segment(id).unwrap();
            return mapio_testkit::skip("segment::tests", "the emulator loses the permissions of segments");
        }
        assert_eq!((found.len, found.mode, found.attached, found.is_removed), (5000, 0o604, 0, false));
        assert_eq!(found.creator, std::process::id());
        remove_segment(id).unwrap();
        assert!(segment(id).unwrap().is_none());
    }

    #[test]
    fn a_line_of_the_table_is_read_by_its_columns() {
        let found = line("-2147483647 32769  1600 4097 12 13 2 1000 1001 0 0 5 6 7 8 9").unwrap();
        assert_eq!((found.key, found.id, found.mode, found.is_removed), (i32::MIN + 1, 32769, 0o600, true));
        assert_eq!((found.user, found.group, found.changed_s, found.creator), (1000, 1001, 7, 12));
        assert!(line("what is this").is_none());
    }
}
