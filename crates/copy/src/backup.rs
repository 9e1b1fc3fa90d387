//! Backups of what is replaced, in the way of GNU's commands.

use std::ffi::{CString, OsStr};

use crate::destination;
use crate::options::Backup;
use crate::place::{Link, Place};
use crate::sys::{self, Errno, OFlags};

/// The name that the backup of a destination gets; a sibling of it.
pub(crate) fn name(place: Place<'_>, kind: Backup, suffix: &OsStr) -> Result<CString, Errno> {
    let own = last_component(place.name.to_bytes());
    let number = match kind {
        Backup::None | Backup::Simple => None,
        Backup::Numbered => Some(highest_number(place, own)? + 1),
        Backup::Existing => match highest_number(place, own)? {
            0 => None,
            number => Some(number + 1),
        },
    };
    let bytes = match number {
        None => [own, suffix.as_encoded_bytes()].concat(),
        Some(number) => [own, format!(".~{number}~").as_bytes()].concat(),
    };
    let name = CString::new(bytes).map_err(|_| Errno::INVAL)?;
    Ok(place.sibling(&name))
}

/// Whether the backup that a simple one would make has this name.
pub(crate) fn would_take(place: Place<'_>, suffix: &OsStr, source: &[u8]) -> bool {
    let own = last_component(place.name.to_bytes());
    [own, suffix.as_encoded_bytes()].concat() == last_component(source)
}

/// Gives the destination its backup name as well. The destination keeps its own until it is replaced, so that there is
/// no moment without it; where there are no hard links it moves.
///
/// Answers whether the destination still has its name.
pub(crate) fn make(place: Place<'_>, backup: &CString) -> Result<bool, Errno> {
    let renamed = || sys::renameat(place.dir, place.name, backup).map(|()| false);
    match sys::linkat((place.dir, place.name), (place.dir, backup), Link::Itself) {
        Ok(()) => return Ok(true),
        Err(Errno::EXIST) => {}
        Err(_) => return renamed(),
    }
    let own = last_component(place.name.to_bytes());
    if last_component(backup.to_bytes()).strip_prefix(own).and_then(number_of).is_some() {
        // Somebody has taken the number meanwhile. No numbered backup is ever replaced.
        return Err(Errno::EXIST);
    }
    // An earlier backup is replaced in one step.
    let made = destination::make_beside(place.named(backup), |beside| {
        sys::linkat((place.dir, place.name), (beside.dir, beside.name), Link::Itself)
    });
    match made {
        Ok(()) => Ok(true),
        // As above: that a name is taken is told before that there are no hard links.
        Err(_) => renamed(),
    }
}

/// Takes a backup back, after the copy has failed: the destination has its name again, or only that.
pub(crate) fn take_back(place: Place<'_>, backup: &CString) -> Result<(), Errno> {
    let id = |place: Place<'_>| place.status(Link::Itself).map(|status| status.id);
    match id(place) {
        // Left as a second name of it, it would be overwritten together with it by the next copy in place.
        Ok(there) if id(place.named(backup)) == Ok(there) => place.named(backup).remove(),
        Ok(_) => Ok(()),
        Err(_) => sys::rename_no_replace(place.dir, backup, place.name),
    }
}

/// The highest number of a numbered backup of this name; 0 if there is none.
fn highest_number(place: Place<'_>, own: &[u8]) -> Result<u64, Errno> {
    let folder = place.sibling(c".");
    let folder = place.named(&folder).open(OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let (mut highest, mut cookie) = (0, 0);
    let mut met = |name: &[u8]| highest = highest.max(name.strip_prefix(own).and_then(number_of).unwrap_or(0));
    while sys::list(sys::dir(&folder), &mut cookie, |_, name| met(name.to_bytes()))? {}
    Ok(highest)
}

/// The number in `.~7~`.
fn number_of(ending: &[u8]) -> Option<u64> {
    let digits = ending.strip_prefix(b".~")?.strip_suffix(b"~")?;
    let is_number = !digits.is_empty() && digits[0] != b'0' && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

pub(crate) fn last_component(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| !sys::is_separator(byte)).map_or(path.len(), |last| last + 1);
    &path[sys::folder_bytes(&path[..end])..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_backups_are_read_as_gnu_writes_them() {
        for (ending, number) in
            [(".~1~", Some(1)), (".~12~", Some(12)), (".~0~", None), (".~01~", None), (".~~", None), ("~", None)]
        {
            assert_eq!(number_of(ending.as_bytes()), number, "{ending}");
        }
    }

    #[test]
    fn the_last_component_is_found_behind_slashes() {
        for (path, last) in [("a", "a"), ("a/b", "b"), ("a/b//", "b"), ("/", ""), ("", "")] {
            assert_eq!(last_component(path.as_bytes()), last.as_bytes(), "{path}");
        }
    }
}
