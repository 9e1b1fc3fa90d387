//! What is seen with Linux's own means: messages in an async runtime, and system calls counted.

use std::fs;
use std::process::{Command, Stdio};

use mapio::shared::SharedObject;
use mapio::shared::channel::{Channel, ChannelOptions};
use mapio_testkit::{pattern, report, runner, skip};

use crate::{command, example, run};

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
