//! Runs the body of a test in a process of its own, where it may die, or in several that share a folder.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Names the test whose body this process is to run.
const CHILD_OF: &str = "MAPIO_TEST_CHILD_OF";
/// The folder that the processes of [`in_children`] share.
const FOLDER: &str = "MAPIO_TEST_FOLDER";
/// A program that runs the test executable, such as `qemu-aarch64`, and its arguments, separated by spaces.
const RUNNER: &str = "MAPIO_TEST_RUNNER";
/// The first line that a child prints, so that a wrong test name can't pass for a quiet success.
const STARTED: &str = "child started";

/// Runs `body` in a new process and answers how that ended; the calling test goes on in this one.
///
/// The process is this test executable, started again for this test alone, so `test` must be the test's full name, as
/// `cargo test -- --list` prints it. Standard output and error are captured.
///
/// # Panics
/// The process could not be started, or did not find the test.
pub fn in_child(test: &str, body: impl FnOnce()) -> Output {
    if is_child_of(test) {
        run(body);
    }
    check(test, started(|| start_again(test).output()).expect("the test executable starts again"))
}

/// Runs `body` in several new processes at once, which share a folder, and answers the folder and how each ended.
///
/// For the rest as [`in_child`].
///
/// # Panics
/// As [`in_child`], or the folder could not be made.
pub fn in_children(test: &str, count: usize, body: impl FnOnce(&Path)) -> (TempDir, Vec<Output>) {
    if is_child_of(test) {
        let folder = env::var_os(FOLDER).expect("a child of this function");
        run(|| body(Path::new(&folder)));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |_| {
        let mut command = start_again(test);
        command.env(FOLDER, folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        started(|| command.spawn()).expect("the test executable starts again")
    };
    let children: Vec<Child> = (0..count).map(start).collect();
    let outputs = children.into_iter().map(|child| check(test, child.wait_with_output().expect("own child"))).collect();
    (folder, outputs)
}

/// Starts a process by `start`, up to five times where Wine says that it has not started any.
///
/// Now and then Wine finds something else where a new process has to have the data that all of them share, and answers
/// `ERROR_INTERNAL_ERROR`. Nothing of the program has run by then.
///
/// # Errors
/// What `start` says.
pub fn started<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    /// Of Windows; no other system has a number as high.
    const ERROR_INTERNAL_ERROR: i32 = 1359;
    for _ in 1..5 {
        match start() {
            Err(error) if error.raw_os_error() == Some(ERROR_INTERNAL_ERROR) => {}
            started => return started,
        }
    }
    start()
}

/// Whether this process was started to run the body of `test`.
pub(crate) fn is_child_of(test: &str) -> bool {
    env::var_os(CHILD_OF).is_some_and(|name| name == test)
}

/// The child's side: all that there is to do.
fn run(body: impl FnOnce()) -> ! {
    // On standard output that nobody reads the parent would fail, loudly.
    let _ = writeln!(io::stdout(), "{STARTED}");
    body();
    process::exit(0);
}

/// The command that starts this test executable again, for the body of `test`.
pub(crate) fn start_again(test: &str) -> Command {
    let program = env::current_exe().expect("a running program has a path");
    let mut command = match runner() {
        Some(mut runner) => {
            runner.arg(program);
            runner
        }
        None => Command::new(program),
    };
    command.args(["--exact", test, "--nocapture", "--include-ignored"]).env(CHILD_OF, test).env("RUST_BACKTRACE", "0");
    // With one, the harness's own thread does nothing but wait for the test's, which is what a fork there relies on.
    command.env("RUST_TEST_THREADS", "1");
    command
}

fn check(test: &str, output: Output) -> Output {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(STARTED), "no test is called `{test}`: {stdout}");
    output
}

/// The start of a command that runs programs of the tests' platform, if this machine needs one for them.
#[must_use]
pub fn runner() -> Option<Command> {
    let runner = env::var(RUNNER).ok().filter(|runner| !runner.is_empty())?;
    let mut words = runner.split(' ');
    let mut command = Command::new(words.next()?);
    command.args(words);
    Some(command)
}
