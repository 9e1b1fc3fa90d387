//! Who has mapped what: proc_pid_maps(5).

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

/// See `sys`. Read when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    read: Option<Mapped>,
}

#[derive(Debug, Default)]
struct Mapped {
    /// Processes, by the device's numbers and the inode.
    files: HashMap<(u32, u32, u64), Vec<u32>>,
    /// Processes, by the segment's identifier.
    segments: HashMap<i32, Vec<u32>>,
}

impl Maps {
    pub(crate) fn of_file(&mut self, file: &Metadata) -> Option<&[u32]> {
        let device = file.dev();
        let key = (rustix::fs::major(device), rustix::fs::minor(device), file.ino());
        Some(self.mapped().files.get(&key).map_or(&[], Vec::as_slice))
    }

    pub(crate) fn of_segment(&mut self, id: i32) -> Option<&[u32]> {
        Some(self.mapped().segments.get(&id).map_or(&[], Vec::as_slice))
    }

    fn mapped(&mut self) -> &Mapped {
        self.read.get_or_insert_with(Mapped::read)
    }
}

impl Mapped {
    /// Looks at all processes that may be looked at.
    fn read() -> Self {
        let mut mapped = Self::default();
        let Ok(processes) = fs::read_dir("/proc") else { return mapped };
        for entry in processes.flatten() {
            if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
                && let Ok(maps) = fs::read(entry.path().join("maps"))
            {
                // A path may hold any bytes; what is needed comes before it.
                String::from_utf8_lossy(&maps).lines().for_each(|line| mapped.add(pid, line));
            }
        }
        mapped
    }

    /// A line: range, access, offset, device, inode, path.
    fn add(&mut self, pid: u32, line: &str) {
        let words: Vec<&str> = line.split_whitespace().take(6).collect();
        let [_, _, _, device, inode, path] = words[..] else { return };
        let device = device.split_once(':');
        let device = device.and_then(|(major, minor)| Some((hex(major)?, hex(minor)?)));
        let (Some((major, minor)), Ok(inode)) = (device, inode.parse::<u64>()) else { return };
        let pids = match i32::try_from(inode) {
            // The kernel names segments by their keys, and numbers their inodes by their identifiers.
            Ok(id) if path.starts_with("/SYSV") => self.segments.entry(id).or_default(),
            _ => self.files.entry((major, minor, inode)).or_default(),
        };
        if pids.last() != Some(&pid) {
            pids.push(pid);
        }
    }
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_tells_the_file_or_the_segment() {
        let mut mapped = Mapped::default();
        mapped.add(7, "7f00-7f01 rw-s 00000000 00:1b 4711                       /dev/shm/a b");
        mapped.add(7, "7f02-7f03 rw-s 00001000 00:1b 4711                       /dev/shm/a b");
        mapped.add(8, "7f00-7f01 r--s 00000000 00:01 32769                      /SYSV0000002a (deleted)");
        mapped.add(9, "7f00-7f01 r--p 00000000 00:00 0");
        mapped.add(9, "no line at all");
        assert_eq!(mapped.files.get(&(0, 0x1b, 4711)), Some(&vec![7]));
        assert_eq!(mapped.segments.get(&32769), Some(&vec![8]));
        assert_eq!((mapped.files.len(), mapped.segments.len()), (1, 1));
    }
}
