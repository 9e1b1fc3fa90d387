//! Runs the command in a folder of its own, on objects of its own.

#[cfg(not(windows))]
#[path = "support/linux.rs"]
mod system;
#[cfg(windows)]
#[path = "support/windows.rs"]
mod system;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mapio_shared::SharedObject;
use mapio_testkit::{Interrupter, runner};
use tempfile::TempDir;

/// The executable that cargo has built for these tests.
pub(crate) const MAPIO: &str = env!("CARGO_BIN_EXE_mapio");

/// `mapio` with these words.
pub(crate) fn mapio(words: &[&str]) -> Command {
    let mut command = match runner() {
        Some(mut runner) => {
            runner.arg(MAPIO);
            runner
        }
        None => Command::new(MAPIO),
    };
    command.args(words);
    command
}

/// Starts `mapio` with these words and three pipes; a Ctrl-C can be sent to it.
pub(crate) fn start(words: &[&str]) -> Child {
    started(&mut mapio(words))
}

/// Starts a command as [`start`] does.
pub(crate) fn started(command: &mut Command) -> Child {
    let command = Interrupter::prepare(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    mapio_testkit::started(|| command.spawn()).expect("it runs")
}

/// What the system says of a file that does not exist.
pub(crate) fn no_such_file() -> String {
    let error = fs::metadata("there is no such file").expect_err("nobody has made it").to_string();
    error.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// The name of an object, which no other test has; whatever has it is removed when it is dropped.
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// A name of POSIX shared memory, or of a section, which ends with its last user.
    pub(crate) fn new() -> Self {
        Self::of(Self::number())
    }

    /// A name whose object is there until it is removed.
    pub(crate) fn lasting() -> Self {
        system::lasting(&Self::number())
    }

    pub(crate) fn of(name: String) -> Self {
        Self(name)
    }

    fn number() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("mapio-test-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // Most tests have removed it, or have never made it.
        let _ = SharedObject::remove(&self.0);
    }
}

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
        mapio_testkit::started(|| mapio(words).current_dir(self.root()).output()).expect("it runs")
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
