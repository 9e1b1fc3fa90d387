//! Files for the tests.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mapio_map::{MapOptions, Mapping};
use mapio_testkit::{pattern, skip};

/// Whether accesses are guarded instructions in this build, rather than system calls: there are signals then, and
/// atomic accesses.
pub(crate) const GUARDED: bool =
    cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64", not(mapio_portable)));

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
