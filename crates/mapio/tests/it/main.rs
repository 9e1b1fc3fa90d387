//! The lab's two programs, run as a student would run them, and other examples.

// Windows lets no program reach the registers of devices.
#[cfg(unix)]
mod devices;
// What the guide shows was printed on Windows.
#[cfg(windows)]
mod guide;
// strace(1), and a runtime that waits for descriptors.
#[cfg(target_os = "linux")]
mod linux;
mod pair;
// On Windows no file is cut short while it is mapped, and there are no seals.
#[cfg(not(windows))]
mod readme;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mapio_testkit::{pattern, runner, skip};

/// An example's executable: `cargo test` builds the examples beside the tests.
fn example(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().and_then(Path::parent).expect("target/<profile>/deps/it-...");
    let path = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built: run `cargo test` for the whole package", path.display());
    path
}

fn command(name: &str) -> Command {
    match runner() {
        Some(mut runner) => {
            runner.arg(example(name));
            runner
        }
        None => Command::new(example(name)),
    }
}

fn run(name: &str, arguments: &[&str]) -> Output {
    command(name).args(arguments).output().expect("it runs")
}

#[test]
fn what_is_of_another_system_says_so_by_its_name() {
    let elsewhere: [(&[&str], &str); 2] = match cfg!(windows) {
        true => [
            (&["screen", "parallel", "serial_polled", "serial_interrupt"], "no program reach the registers of devices"),
            (&["channel_tokio"], "tokio waits for no event object"),
        ],
        false => [(&["win32_producer", "win32_consumer"], "shows the calls of Windows"), (&[], "")],
    };
    for (names, reason) in elsewhere {
        for name in names {
            assert_fails(&run(name, &[]), name, reason);
        }
    }
    if cfg!(windows) {
        skip("devices", "these programs are not on Windows, and say so");
        skip("linux", "tokio's descriptors, and system calls counted by strace(1)");
    }
}

/// Both programs, with the arguments that come behind the names of the files.
const PROGRAMS: [(&str, &[&str]); 4] =
    [("read_write", &["5"]), ("read_write", &["4096"]), ("read_write", &["1048576"]), ("memmap", &[])];

fn assert_fails(output: &Output, program: &str, reason: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr.starts_with(&format!("{program}: ")), "{stderr}");
    assert!(stderr.contains(reason), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn both_programs_copy_files_of_every_length_over_shorter_and_longer_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    let (from, to) = (source.to_str().expect("UTF-8"), target.to_str().expect("UTF-8"));
    // Every length over every other file. Under Wine, where a process takes as long to start as a hundred elsewhere,
    // each over one.
    let lens = [0, 1, 4, 5, 6, 4095, 4096, 4097, 100_000];
    for (number, len) in lens.into_iter().enumerate() {
        fs::write(&source, pattern(len)).expect("room");
        for (program, more) in PROGRAMS {
            let old = [None, Some(0), Some(200_000)];
            let old = if cfg!(windows) { &old[number % 3..][..1] } else { &old[..] };
            for &old in old {
                match old {
                    Some(old) => fs::write(&target, vec![0xff; old]).expect("room"),
                    None => drop(fs::remove_file(&target)),
                }
                let output = run(program, &[&[from, to], more].concat());
                assert!(output.status.success(), "{output:?}");
                assert_eq!(fs::read(&target).expect("the copy"), pattern(len), "{program} {more:?}, {len}");
            }
        }
    }
}

#[test]
fn both_programs_name_the_call_the_file_and_the_reason_of_a_failure() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("source"), "precious").expect("room");
    fs::hard_link(path("source"), path("hard")).expect("room");
    for (program, more) in PROGRAMS {
        let run = |from: &str, to: &str| run(program, &[&[from, to], more].concat());
        let missing = io::Error::from_raw_os_error(2);
        assert_fails(&run(&path("missing"), &path("new")), program, &format!("open '{}': {missing}", path("missing")));
        assert_fails(&run(&path("source"), &path("no/new")), program, "open '");
        // EISDIR, or ERROR_ACCESS_DENIED.
        let refused = io::Error::from_raw_os_error(if cfg!(windows) { 5 } else { 21 });
        let folder = dir.path().to_str().expect("UTF-8");
        assert_fails(&run(&path("source"), folder), program, &format!("open '{folder}': {refused}"));
        assert_fails(&run(&path("source"), &path("source")), program, "are the same file");
        assert_fails(&run(&path("source"), &path("hard")), program, "are the same file");
        assert!(!Path::new(&path("new")).exists());
    }
    assert_eq!(fs::read_to_string(path("source")).expect("untouched"), "precious");
    // What can be known before the destination is emptied must not cost its bytes.
    let (folder, old) = (dir.path().to_str().expect("UTF-8"), &path("source"));
    // Windows opens no folder for reading.
    let [is_folder, is_special] = match cfg!(windows) {
        true => ["open '"; 2],
        false => ["is a folder", "is not a regular file"],
    };
    assert_fails(&run("read_write", &[folder, old, "5"]), "read_write", is_folder);
    assert_fails(&run("read_write", &[&path("hard"), old, "99999999999999999"]), "read_write", "a buffer of");
    for source in if cfg!(windows) { [folder, "/no/such/file"] } else { [folder, "/dev/zero"] } {
        assert_fails(&run("memmap", &[source, old]), "memmap", is_special);
    }
    assert_eq!(fs::read_to_string(path("source")).expect("untouched"), "precious");
    assert_fails(&run("memmap", &["one"]), "memmap", "usage: memmap SRC DST");
    for bytes in ["0", "-1", "many", ""] {
        assert_fails(&run("read_write", &[&path("source"), &path("new"), bytes]), "read_write", "is not a number");
    }
}

#[test]
fn the_programs_are_short_enough_to_be_read_in_class() {
    for program in ["read_write.rs", "memmap.rs", "producer.rs", "consumer.rs", "screen.rs", "parallel.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(program));
        assert!(text.expect("the example").lines().count() < 80, "{program}");
    }
}
