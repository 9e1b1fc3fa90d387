//! Files, and every way to copy them.

// Owners, permission bits and extended attributes.
#[cfg(target_os = "linux")]
mod linux;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use mapio_copy::{CopyOptions, Engine, Error, Meter, Observer, Summary, Target};

#[cfg(target_os = "linux")]
pub(crate) use linux::{mark, mark_of, picture_of};

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

/// Gathers what a copy complains about.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<Vec<Error>>);

impl Observer for Complaints {
    fn failed(&self, error: Error) {
        self.0.lock().expect("nobody panics with it").push(error);
    }
}

/// Copies as cp(1) does, and answers what went wrong.
pub(crate) fn copy_all(options: &CopyOptions, sources: &[PathBuf], target: Target<'_>) -> (Summary, Vec<Error>) {
    let complaints = Complaints::default();
    let summary = options.copy_all(sources, target, &Meter::new(), &complaints);
    (summary, complaints.0.into_inner().expect("nobody panics with it"))
}

/// An error with its causes, as the command says it: one line.
pub(crate) fn line_of(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(reason) = cause {
        line = format!("{line}: {reason}");
        cause = reason.source();
    }
    line
}

/// All names below a folder, itself left out, in order. Links are not followed.
pub(crate) fn names_below(folder: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("it is there").is_dir() {
                folders.push(entry.path());
            }
            names.push(entry.path());
        }
    }
    names.sort();
    names
}

/// Checks that no temporary file is left anywhere below a folder.
pub(crate) fn assert_no_temporaries(folder: &Path, case: &str) {
    let is_temporary =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".mapio-"));
    let left: Vec<_> = names_below(folder).into_iter().filter(is_temporary).collect();
    assert!(left.is_empty(), "{case}: left behind: {left:?}");
}
