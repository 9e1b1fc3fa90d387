//! Files for the tests.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mapio_map::{MapOptions, Mapping};
use mapio_testkit::pattern;

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
        let detached = std::process::Command::new("losetup").arg("--detach").arg(&self.0).status();
        assert!(std::thread::panicking() || detached.is_ok_and(|status| status.success()), "{:?} stays", self.0);
    }
}
