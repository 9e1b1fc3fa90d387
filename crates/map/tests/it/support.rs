//! Files for the tests, and what accesses to them have answered.

use std::fs::File;

use mapio_map::{MapOptions, Mapping};
use mapio_testkit::{FileAt, pattern, runner, skip};

// Which tests need it are Linux's, too.
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

/// Whether accesses are guarded instructions in this build, rather than system calls and core's atomics: a fault that
/// an atomic access meets poisons no mapping then.
pub(crate) const GUARDED: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64", not(mapio_portable)));

/// An unnamed temporary file of `len` bytes with [`pattern`] in it.
pub(crate) fn pattern_file(len: usize) -> File {
    let file = tempfile::tempfile().expect("a temporary file");
    file.write_all_at(&pattern(len), 0).expect("room for it");
    file
}

/// A mapping of `len` bytes of which the file has only the first `file_len`: a multiple of the page size.
pub(crate) fn cut_mapping(options: MapOptions, len: usize, file_len: usize) -> (File, Mapping) {
    // Windows cuts no file that is mapped. One that was always shorter than its mapping faults in the same place.
    if cfg!(windows) {
        let file = pattern_file(file_len);
        let mapping = options.len(len).map(&file).expect("a mapping");
        return (file, mapping);
    }
    let file = pattern_file(len);
    let mapping = options.map(&file).expect("a mapping");
    file.set_len(u64::try_from(file_len).expect("small")).expect("a cut");
    (file, mapping)
}

/// Whether an emulator runs the tests, which does without much of what the kernel offers; says that `test` is skipped
/// if so.
pub(crate) fn is_emulated(test: &str) -> bool {
    let emulated = runner().is_some();
    if emulated {
        skip(test, "the emulator does not hand on what is tested here");
    }
    emulated
}
