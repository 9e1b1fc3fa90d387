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
