//! Files for the tests, and what accesses to them have answered.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

use mapio_map::{Fault, FaultKind, MapOptions, Mapping};
use mapio_testkit::{pattern, skip};

/// Whether accesses are guarded instructions in this build, rather than system calls: there are signals then, and
/// atomic accesses.
pub(crate) const GUARDED: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64", not(mapio_portable)));

/// Whether an emulator runs the tests, which does without much of what the kernel offers; says that `test` is skipped if so.
pub(crate) fn is_emulated(test: &str) -> bool {
    let emulated = mapio_testkit::runner().is_some();
    if emulated {
        skip(test, "the emulator does not hand on what is tested here");
    }
    emulated
}

/// Whether there are no atomic accesses in this build; says that `test` is skipped if so.
pub(crate) fn lacks_atomics(test: &str) -> bool {
    if !GUARDED {
        skip(test, "this build has no guarded instructions, and so no atomic accesses");
    }
    !GUARDED
}

/// An unnamed temporary file of `len` bytes with [`pattern`] in it.
pub(crate) fn pattern_file(len: usize) -> File {
    let file = tempfile::tempfile().expect("a temporary file");
    file.write_all_at(&pattern(len), 0).expect("room for it");
    file
}

/// A mapping of `len` bytes of which the file has only the first `file_len`: a multiple of the page size.
pub(crate) fn cut_mapping(options: MapOptions, len: usize, file_len: usize) -> (File, Mapping) {
    let file = pattern_file(len);
    let mapping = options.map(&file).expect("a mapping");
    file.set_len(u64::try_from(file_len).expect("small")).expect("a cut");
    (file, mapping)
}

/// A loop device on a file; detached when dropped. Needs root.
pub(crate) struct LoopDevice(std::path::PathBuf);

impl LoopDevice {
    pub(crate) fn attach(file: &std::path::Path) -> std::io::Result<Self> {
        let output = std::process::Command::new("losetup").args(["--find", "--show"]).arg(file).output()?;
        match output.status.success() {
            true => Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into())),
            false => Err(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // A failure must not hide the one of the test.
        let _ = std::process::Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

/// How many accesses were `Ok`, and how many an `Err` of which kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    ok: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts an answer, and gives it back.
    pub(crate) fn count<T>(&mut self, answer: Result<T, Fault>) -> Result<T, Fault> {
        match &answer {
            Ok(_) => self.ok += 1,
            Err(fault) => *self.faults.entry(name(fault.kind)).or_default() += 1,
        }
        answer
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Ok", self.ok)?;
        for (kind, count) in &self.faults {
            write!(f, ", {count} Err({kind})")?;
        }
        write!(f, ", 0 deaths")
    }
}

fn name(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Truncated { .. } => "Truncated",
        FaultKind::NoSpace => "NoSpace",
        FaultKind::Io(libc::EIO) => "Io(EIO)",
        FaultKind::Io(libc::ENOTCONN) => "Io(ENOTCONN)",
        FaultKind::Io(_) => "Io",
        _ => "another kind",
    }
}
