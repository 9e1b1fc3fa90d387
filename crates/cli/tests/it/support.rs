//! Runs the command in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mapio_testkit::runner;
use tempfile::TempDir;

/// The executable that cargo has built for these tests.
pub(crate) const MAPIO: &str = env!("CARGO_BIN_EXE_mapio");

/// A folder that the command runs in.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), bytes).expect("room");
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("a file")
    }

    /// Names of what is in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Runs `mapio` with these words.
    pub(crate) fn mapio(&self, words: &[&str]) -> Output {
        let mut command = match runner() {
            Some(mut runner) => {
                runner.arg(MAPIO);
                runner
            }
            None => Command::new(MAPIO),
        };
        command.args(words).current_dir(self.root()).output().expect("it runs")
    }

    /// Runs `mapio`, which must do it, and answers what it printed.
    pub(crate) fn done(&self, words: &[&str]) -> String {
        let output = self.mapio(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs `mapio`, which must fail with status 2 and one line that holds each of `parts`.
    pub(crate) fn fails(&self, words: &[&str], parts: &[&str]) {
        self.fails_with(2, words, parts);
    }

    /// Runs `mapio`, which must fail with this status and one line that holds each of `parts`.
    pub(crate) fn fails_with(&self, status: i32, words: &[&str], parts: &[&str]) {
        let output = self.mapio(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
        assert_eq!(stderr.lines().count(), 1, "{words:?}: {stderr}");
        assert!(stderr.starts_with("mapio: "), "{words:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{words:?}: '{part}' is not in: {stderr}");
        }
    }
}
