//! Runs the body of a test in a process of its own, where it may die.

use std::env;
use std::io::Write;
use std::process::{self, Command, Output};

/// Names the test whose body this process is to run.
const CHILD_OF: &str = "MAPIO_TEST_CHILD_OF";
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
        // On standard output that nobody reads the parent would fail, loudly.
        let _ = writeln!(std::io::stdout(), "{STARTED}");
        body();
        process::exit(0);
    }
    let output = start_again(test).output().expect("the test executable starts again");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains(STARTED), "no test is called `{test}`: {stdout}");
    output
}

/// Whether this process was made to run the body of that test.
pub(crate) fn is_child_of(test: &str) -> bool {
    env::var_os(CHILD_OF).is_some_and(|name| name == test)
}

/// The command that starts this executable again, for one test alone.
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
    command
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
