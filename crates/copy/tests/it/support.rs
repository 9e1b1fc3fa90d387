//! Files, and every way to copy them.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use mapio_copy::{CopyOptions, Engine};

/// Every engine, with the buffers that matter to it.
pub(crate) fn every_way() -> Vec<(String, CopyOptions)> {
    let read_write = |bytes| {
        let bytes = NonZero::new(bytes).expect("not zero");
        (format!("read-write {bytes}"), CopyOptions::new().engine(Engine::ReadWrite).buffer_bytes(bytes))
    };
    let engines = Engine::ALL.map(|engine| (engine.name().to_owned(), CopyOptions::new().engine(engine)));
    let auto = [("auto".to_owned(), CopyOptions::new()), read_write(4093), read_write(1 << 30)];
    auto.into_iter().chain(engines).collect()
}

/// Checks that a folder holds exactly these files, so that no temporary one is left.
pub(crate) fn assert_holds(folder: &Path, expected: &[&str]) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, expected);
}
