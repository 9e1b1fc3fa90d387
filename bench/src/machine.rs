//! What the machine is like that the figures are of.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bytes_text;

/// The facts that figures depend on.
#[derive(Debug, Serialize)]
pub struct Machine {
    cpu: String,
    processors: usize,
    memory_bytes: u64,
    kernel: String,
    /// Of the folder that is measured.
    file_system: String,
}

impl Machine {
    /// Asks the kernel; what it does not tell is `unknown`.
    pub fn look(folder: &Path) -> Self {
        let memory_kib = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        Self {
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_kib.map_or(0, |kib: u64| kib << 10),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().into()),
            file_system: file_system(folder),
        }
    }

    /// All of it, on one line.
    pub fn text(&self) -> String {
        let Self { cpu, processors, memory_bytes, kernel, file_system } = self;
        format!(
            "{cpu}, {processors} processors, {} of memory, Linux {kernel}, {file_system}",
            bytes_text(*memory_bytes)
        )
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The value behind the first line that begins with a name.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// The kind of file system that a folder is on: the mount whose folder is the longest beginning of its path.
pub fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut best: Option<(PathBuf, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(path), Some(kind)) = (words.next(), words.next()) else { continue };
        let path = PathBuf::from(path.replace("\\040", " "));
        let is_longer = best.as_ref().is_none_or(|(found, _)| path.components().count() >= found.components().count());
        if folder.starts_with(&path) && is_longer {
            best = Some((path, kind));
        }
    }
    best.map_or_else(unknown, |(_, kind)| kind.to_owned())
}
