//! The lab's two programs, run as a student would run them, and other examples.

mod devices;
mod pair;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mapio::shared::SharedObject;
use mapio::shared::channel::{Channel, ChannelOptions};
use mapio_testkit::{pattern, report, runner, skip};

/// An example's executable: `cargo test` builds the examples beside the tests.
fn example(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().and_then(Path::parent).expect("target/<profile>/deps/it-...");
    let path = folder.join("examples").join(name);
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
fn serial_ports_answer_on_the_simulated_bus_and_refuse_what_is_none() {
    for (name, line) in [("serial_polled", "hello, polling!\n"), ("serial_interrupt", "hello, sleeping\n")] {
        let output = run(name, &[]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), line);
        let output = run(name, &["com9"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("{name}: com9: use sim")), "{output:?}");
    }
}

#[test]
fn messages_of_one_process_are_received_by_another_beside_other_things() {
    let name = format!("mapio-test-tokio-{}", std::process::id());
    // The channel is there for whoever comes first, and stays until it is removed.
    let channel: Channel<[u8]> = ChannelOptions::new().capacity(4).create(&*name).expect("a new name");
    let mut receiving = command("channel_tokio");
    receiving.args(["receive", &name]).stdout(Stdio::piped());
    let receiver = receiving.spawn().expect("it starts");
    let sent: Vec<String> = (0..100).map(|number| format!("message {number}")).collect();
    let mut words = vec!["send", &name];
    words.extend(sent.iter().map(String::as_str));
    let sender = run("channel_tokio", &words);
    assert!(sender.status.success(), "{sender:?}");
    let received = receiver.wait_with_output().expect("own child");
    assert!(received.status.success(), "{received:?}");
    let lines = String::from_utf8(received.stdout).expect("text");
    assert_eq!(lines.lines().filter(|line| line.starts_with("message")).collect::<Vec<_>>(), sent);
    assert_eq!(channel.stat().expect("it is there").sent, 100);
    SharedObject::remove(&*name).expect("it has its name");
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
    for len in [0, 1, 4, 5, 6, 4095, 4096, 4097, 100_000] {
        fs::write(&source, pattern(len)).expect("room");
        for (program, more) in PROGRAMS {
            for old in [None, Some(0), Some(200_000)] {
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
        assert_fails(
            &run(&path("missing"), &path("new")),
            program,
            &format!("open '{}': No such file", path("missing")),
        );
        assert_fails(&run(&path("source"), &path("no/new")), program, "open '");
        assert_fails(&run(&path("source"), dir.path().to_str().expect("UTF-8")), program, "Is a directory");
        assert_fails(&run(&path("source"), &path("source")), program, "are the same file");
        assert_fails(&run(&path("source"), &path("hard")), program, "are the same file");
        assert!(!Path::new(&path("new")).exists());
    }
    assert_eq!(fs::read_to_string(path("source")).expect("untouched"), "precious");
    // What can be known before the destination is emptied must not cost its bytes.
    let (folder, old) = (dir.path().to_str().expect("UTF-8"), &path("source"));
    assert_fails(&run("read_write", &[folder, old, "5"]), "read_write", "is a folder");
    assert_fails(&run("read_write", &[&path("hard"), old, "99999999999999999"]), "read_write", "a buffer of");
    for source in [folder, "/dev/zero"] {
        assert_fails(&run("memmap", &[source, old]), "memmap", "is not a regular file");
    }
    assert_eq!(fs::read_to_string(path("source")).expect("untouched"), "precious");
    assert_fails(&run("memmap", &["one"]), "memmap", "usage: memmap SRC DST");
    for bytes in ["0", "-1", "many", ""] {
        assert_fails(&run("read_write", &[&path("source"), &path("new"), bytes]), "read_write", "is not a number");
    }
}

#[test]
fn the_mapped_copy_of_twelve_megabytes_makes_a_handful_of_calls() {
    let test = "the_mapped_copy_of_twelve_megabytes_makes_a_handful_of_calls";
    if runner().is_some() {
        return skip(test, "the program runs in an emulator, whose calls would be counted");
    }
    if Command::new("strace").arg("-V").output().is_err() {
        return skip(test, "strace is not installed");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("source"), pattern(12_000_000)).expect("room");
    let calls = |program: &str, more: &[&str]| {
        let counts = path("counts");
        let mut strace = Command::new("strace");
        let output = strace
            .env_remove("LD_LIBRARY_PATH")
            .args(["-f", "-c", "-o", &counts])
            .arg(example(program))
            .args(more)
            .output();
        let output = output.expect("strace runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        let table = fs::read_to_string(counts).expect("strace has written it");
        let total = table.lines().find(|line| line.ends_with("total")).expect("a last line").to_owned();
        Ok(count_of(&total))
    };
    let mapped = match calls("memmap", &[&path("source"), &path("mapped")]) {
        Ok(mapped) => mapped,
        // A sandbox may forbid ptrace(2).
        Err(reason) => return skip(test, &format!("strace does not work here: {reason}")),
    };
    let read = calls("read_write", &[&path("source"), &path("read"), "4096"]).expect("it has just worked");
    report(test, &format!("memmap {mapped} calls, read_write 4096 {read} calls, starting the program included"));
    assert!(mapped < 120, "{mapped}");
    assert!(read > 5800, "{read}");
}

/// The number of calls in the last line of `strace -c`: percent, seconds, microseconds a call, calls, and errors if
/// any.
fn count_of(total: &str) -> u64 {
    total.split_whitespace().nth(3).and_then(|calls| calls.parse().ok()).expect("a number of calls")
}

#[test]
fn the_programs_are_short_enough_to_be_read_in_class() {
    for program in ["read_write.rs", "memmap.rs", "producer.rs", "consumer.rs", "screen.rs", "parallel.rs"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(program));
        assert!(text.expect("the example").lines().count() < 80, "{program}");
    }
}
