//! `cp` is cp: every command of a table is run twice, by the system's cp and by ours, in two folders that are the same,
//! and what it says, its exit status, and what the folders are like afterwards must be the same.

mod cases;
mod newer;
mod scene;
mod snapshot;

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mapio_testkit::{report, runner, skip};
use rustix::process::geteuid;

use crate::support::MAPIO;
use cases::{Case, User};
use snapshot::FolderTimes;

/// The cp that is compared with, where it is.
const SYSTEM_CP: &str = "/bin/cp";
/// The versions whose behaviour the table is about. Others may say some things in other words.
const KNOWN: [&str; 1] = ["9.1"];

/// A folder with a program named `cp` in it.
struct Cp {
    folder: tempfile::TempDir,
}

impl Cp {
    fn like(program: impl AsRef<Path>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // A copy of it, since another user may not get to where it is.
        fs::copy(program, folder.path().join("cp")).expect("room");
        allow_everybody(folder.path());
        Self { folder }
    }

    /// Runs a command line in a folder, by a shell that finds this cp first.
    fn run(&self, case: &Case, folder: &Path) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.folder.path().display());
        // Nothing here takes long, so what does waits for something that will not come.
        let mut shell = Command::new("timeout");
        shell.arg("20");
        if case.user == User::Nobody {
            shell.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        shell
            .args(["sh", "-c"])
            .arg(OsStr::from_bytes(case.command.as_bytes()))
            .current_dir(folder)
            .stdin(Stdio::null());
        shell.env_clear().envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8")]).output().expect("a shell")
    }
}

fn allow_everybody(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("our own folder");
}

/// What a command has done, as text.
fn outcome(cp: &Cp, case: &Case) -> String {
    let folder = scene::make(case);
    let output = cp.run(case, folder.path());
    let mut text = match output.status.code() {
        Some(code) => format!("status {code}\n"),
        None => format!("{}\n", output.status),
    };
    for (name, bytes) in [("out", &output.stdout), ("err", &output.stderr)] {
        let mut lines: Vec<_> =
            bytes.split(|&byte| byte == b'\n').map(|line| line.escape_ascii().to_string()).collect();
        lines.sort();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{name}: {line}");
        }
    }
    let times = if case.keeps_times() { FolderTimes::Shown } else { FolderTimes::OfNewOnes };
    let text = text + &snapshot::of(folder.path(), times);
    text.replace(&folder.path().display().to_string(), "$PWD")
        .replace(&folder.path().display().to_string()[1..], "$PWD")
}

/// The lines that only one of two texts has.
fn difference(theirs: &str, ours: &str) -> String {
    let only = |a: &str, b: &str, mark| {
        let has: Vec<_> = b.lines().collect();
        a.lines().filter(|line| !has.contains(line)).map(|line| format!("    {mark} {line}\n")).collect::<String>()
    };
    only(theirs, ours, "cp:   ") + &only(ours, theirs, "mapio:")
}

/// Why the comparison can't be made.
fn obstacle() -> Option<String> {
    if runner().is_some() {
        return Some("the command needs a runner here".to_owned());
    }
    let version = Command::new(SYSTEM_CP).arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
    match version.strip_prefix("cp (GNU coreutils) ") {
        Some(number) if KNOWN.contains(&number) => None,
        _ => Some(format!("the system's cp is not one that is known: {version}")),
    }
}

#[test]
fn cp_does_what_the_systems_cp_does() {
    let test = "cp_does_what_the_systems_cp_does";
    if let Some(obstacle) = obstacle() {
        return skip(test, &obstacle);
    }
    // For those who work on the table: another program than ours, and only some of the cases.
    let ours = std::env::var_os("MAPIO_TEST_CP").map_or_else(|| PathBuf::from(MAPIO), PathBuf::from);
    let only = std::env::var("MAPIO_TEST_CASES").unwrap_or_default();
    let mut cases = cases::all();
    cases.retain(|case| case.command.contains(&only));
    if !geteuid().is_root() {
        let before = cases.len();
        cases.retain(|case| !case.needs_root());
        skip(test, &format!("{} of {before} cases need root", before - cases.len()));
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        cases.retain(|case| case.user == User::Caller);
        skip(test, "becoming another user needs setpriv(1)");
    }
    let (theirs, ours) = (Cp::like(SYSTEM_CP), Cp::like(ours));
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let difference = difference(&outcome(&theirs, case), &outcome(&ours, case));
                    if difference.is_empty() == case.differs.is_some() {
                        let told = match case.differs {
                            Some(why) => format!("    does not differ, and should: {why}\n"),
                            None => difference,
                        };
                        wrong.lock().expect("no panic").push(format!("  {:?} {}\n{told}", case.user, case.command));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("no panic");
    wrong.sort();
    let deliberate = cases.iter().filter(|case| case.differs.is_some()).count();
    report(test, &format!("{} commands, {deliberate} of which differ deliberately", cases.len()));
    assert!(wrong.is_empty(), "{} of {} cases differ:\n{}", wrong.len(), cases.len(), wrong.concat());
}
