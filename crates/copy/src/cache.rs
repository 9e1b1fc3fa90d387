//! Leaving the page cache as it was: what a copy has brought into it goes again, what was there stays.

use std::fs::File;
use std::num::NonZero;
use std::ops::Range;

use mapio_map::MapOptions;

use crate::sys::{self, Errno, evict};

/// Bytes that are mapped at a time to ask for their pages.
const WINDOW_BYTES: u64 = 1 << 30;

/// The parts of a file that were not in the page cache when they were asked for.
#[derive(Debug)]
pub(crate) struct Absent(Vec<Range<u64>>);

impl Absent {
    /// Asks for the first `len` bytes. The kernel tells it only to those who may write to the file; to others
    /// everything is there, and stays.
    pub(crate) fn of(file: &File, len: u64) -> Self {
        let mut absent = Vec::<Range<u64>>::new();
        if !sys::EVICTS {
            return Self(absent);
        }
        let mut offset = 0;
        while offset < len {
            let window = WINDOW_BYTES.min(len - offset);
            let residency = usize::try_from(window)
                .ok()
                .and_then(|window| MapOptions::read_only().offset(offset).len(window).map(file).ok())
                .and_then(|mapping| mapping.view().residency().ok());
            if let Some(residency) = residency {
                let page_bytes = u64::try_from(residency.page_bytes()).unwrap_or(u64::MAX);
                let starts = (0..).map(|page: u64| offset.saturating_add(page.saturating_mul(page_bytes)));
                for (start, _) in starts.zip(residency.pages()).filter(|(_, resident)| !**resident) {
                    match absent.last_mut() {
                        Some(last) if last.end == start => last.end = start + page_bytes,
                        _ => absent.push(start..start + page_bytes),
                    }
                }
            }
            offset += window;
        }
        Self(absent)
    }

    /// Drops these parts again.
    pub(crate) fn evict(&self, file: &File) {
        for range in &self.0 {
            evict(file, range.start, NonZero::new(range.end - range.start));
        }
    }
}

/// Drops what was just written, after it has reached the disk: only clean pages can go. The kernel tells an error of
/// the disk once, so whoever hears it here must pass it on.
pub(crate) fn evict_written(file: &File) -> Result<(), Errno> {
    match sys::fdatasync(file) {
        Ok(()) => evict(file, 0, None),
        // What has no disk, as a pipe has none, has no pages either: fsync(2).
        Err(Errno::INVAL) => {}
        Err(errno) => return Err(errno),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_was_absent_goes_again_and_what_was_there_stays() {
        // A file system with a disk: what is in memory only can't be evicted.
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("file");
        let mut file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        let page = u64::try_from(mapio_map::page_bytes()).unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let len = 1 << 20;
        evict(&file, 0, None);
        // The first page comes back, and maybe some behind it.
        sys::read_at(&file, &mut [0], 0).unwrap();
        let absent = Absent::of(&file, len);
        if absent.0.is_empty() {
            mapio_testkit::skip("what was absent goes again", "nothing leaves the memory here");
            return;
        }
        assert!(absent.0.iter().all(|range| range.start >= page));
        read_all(&file);
        assert!(Absent::of(&file, len).0.is_empty());
        absent.evict(&file);
        assert_eq!(Absent::of(&file, len).0, absent.0);
    }

    fn read_all(file: &File) {
        let mut bytes = vec![0; 1 << 20];
        assert_eq!(sys::read_at(file, &mut bytes, 0).unwrap(), bytes.len());
    }
}
