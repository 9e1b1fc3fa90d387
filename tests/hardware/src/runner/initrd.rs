//! The guest's first files: an archive that the kernel unpacks into memory, in the form `newc` of cpio
//! (Documentation/driver-api/early-userspace/buffer-format.rst). It is not compressed: unpacking would take an emulated
//! processor longer than reading it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build::Programs;
use crate::debian::Kernel;

/// A folder, a regular file that may be executed, and a character device, as mknod(2) calls them.
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const DEVICE: u32 = 0o020_600;

/// Writes the archive into a folder: the guest program as `/init`, `mapio`, and modules, which `/modules/list` lists in
/// the order of loading, each with its parameters.
pub(crate) fn write(folder: &Path, kernel: &Kernel, programs: &Programs) -> Result<PathBuf> {
    let mut archive = Archive::default();
    for name in ["dev", "proc", "sys", "bin", "modules"] {
        archive.add(name, FOLDER, &[]);
    }
    // What the kernel opens for the first process.
    archive.add_device("dev/console", 5, 1);
    archive.add("init", PROGRAM, &read(&programs.guest)?);
    archive.add("bin/mapio", PROGRAM, &read(&programs.mapio)?);
    let mut list = String::new();
    for (path, parameters) in &kernel.modules {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.add(&format!("modules/{name}"), PROGRAM, &read(path)?);
        list.push_str(&format!("{name} {parameters}\n"));
    }
    archive.add("modules/list", PROGRAM, list.as_bytes());
    let path = folder.join("initrd");
    fs::write(&path, archive.finish()).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// An archive that is being written.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        self.entry(name, mode, contents, (0, 0));
    }

    fn add_device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, DEVICE, &[], (major, minor));
    }

    /// One entry: thirteen numbers of eight hexadecimal digits, the name and its zero, the contents; the latter two
    /// padded to a multiple of four bytes.
    fn entry(&mut self, name: &str, mode: u32, contents: &[u8], (major, minor): (u32, u32)) {
        self.entries += 1;
        let (inode, links, time) = (self.entries, 1, 0);
        let name_bytes = name.len() + 1;
        self.bytes.extend(b"070701");
        for number in [inode, mode, 0, 0, links, time] {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(format!("{:08x}{:08x}{:08x}", contents.len(), 0, 0).bytes());
        for number in [major, minor] {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(format!("{name_bytes:08x}{:08x}{name}\0", 0).bytes());
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_form_of_the_kernels_documentation() {
        let mut archive = Archive::default();
        archive.add("ab", PROGRAM, b"hello");
        archive.add_device("c", 5, 1);
        let first = "070701000000010000\
            81ed000000000000000000000001000000000000000500000000000000000000000000000000\
            0000000300000000ab\0\0\0\0hello\0\0\0";
        let second = "07070100000002000021800000000000000000000000010000000000000000\
            000000000000000000000005000000010000000200000000c\0";
        let (first_bytes, second_bytes) = (first.as_bytes(), second.as_bytes());
        assert_eq!(String::from_utf8_lossy(&archive.bytes[..first_bytes.len()]), first);
        assert_eq!(String::from_utf8_lossy(&archive.bytes[first_bytes.len()..][..second_bytes.len()]), second);
        assert!(archive.finish().len().is_multiple_of(4));
    }
}
