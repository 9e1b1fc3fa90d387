//! `mapio log`, as a user runs it.

// SIGTERM.
#[cfg(not(windows))]
mod linux;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Output};

use mapio_testkit::{Interrupter, runner, skip};
use serde_json::{Value, json};

use crate::support::{self, Folder};

/// Runs the command in a folder with this standard input.
fn with_input(folder: &Folder, words: &[&str], input: &[u8]) -> Output {
    let mut child = start(folder, words);
    child.stdin.take().expect("it is piped").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn start(folder: &Folder, words: &[&str]) -> Child {
    support::started(support::mapio(&[&["log"], words].concat()).current_dir(folder.root()))
}

/// Appends, which must do it, and answers what it has said.
fn append(folder: &Folder, words: &[&str], input: &[u8]) -> String {
    let output = with_input(folder, &[&["append"], words].concat(), input);
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn lines_come_out_as_they_went_in() {
    let folder = Folder::new();
    assert_eq!(append(&folder, &["a"], b"one\n\nthree"), "appended 3 records, 0 to 2\n");
    assert_eq!(append(&folder, &["a", "--durability", "always"], b"four\n"), "appended 1 records, 3 to 3\n");
    assert_eq!(append(&folder, &["--durability=interval=5ms", "a"], b""), "appended 0 records\n");
    assert_eq!(folder.done(&["log", "tail", "a"]), "one\n\nthree\nfour\n");
    assert_eq!(folder.done(&["log", "tail", "--from", "2", "--count", "1", "a"]), "three\n");
    assert_eq!(folder.done(&["log", "tail", "--from", "end", "a"]), "");
    assert_eq!(folder.done(&["log", "tail", "--since", "@0", "-n", "1", "a"]), "one\n");
    assert_eq!(folder.done(&["log", "tail", "--since", "@9999999999", "a"]), "");
    folder.fails(&["log", "tail", "--from", "9", "a"], &["ends before record 9: the next one is 4"]);
}

#[test]
fn json_has_numbers_times_and_bytes() {
    let folder = Folder::new();
    let said = parse(&append(&folder, &["--json", "a"], b"text\n\xFF\x00\n"));
    assert_eq!(said, json!({"records": 2, "bytes": 6, "first_sequence": 0, "last_sequence": 1}));
    let lines = folder.done(&["log", "tail", "--json", "a"]);
    let records: Vec<_> = lines.lines().map(parse).collect();
    assert_eq!((&records[0]["text"], &records[1]["hex"]), (&json!("text"), &json!("ff00")));
    assert_eq!((&records[1]["sequence"], &records[1]["bytes"]), (&json!(1), &json!(2)));
    assert!(records[0]["time_ns"].as_u64().expect("a number") <= records[1]["time_ns"].as_u64().expect("a number"));
    let info = parse(&folder.done(&["log", "info", "--json", "a"]));
    assert_eq!((&info["records"], &info["next_sequence"], &info["has_writer"]), (&json!(2), &json!(2), &json!(false)));
    assert_eq!(info["segments"].as_array().map(Vec::len), Some(1));
    let text = folder.done(&["log", "info", "a"]);
    assert!(text.starts_with("'a': 2 records, 0 to 1, the last "), "{text}");
    assert!(text.ends_with(" s ago; 1 segments, 67.10 MB; no writer\n"), "{text}");
}

#[test]
fn messages_behind_their_lengths_may_hold_anything() {
    let folder = Folder::new();
    let messages: [&[u8]; 3] = [b"a\nb", b"", &[0; 3000]];
    let mut framed = Vec::new();
    for message in messages {
        framed.extend(u32::try_from(message.len()).expect("short").to_le_bytes());
        framed.extend(message);
    }
    append(&folder, &["--length-framed", "--segment", "8k", "a"], &framed);
    let output = folder.mapio(&["log", "tail", "--length-framed", "a"]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), framed.clone()));
    for (input, part) in [(&framed[..2], "ends inside a message"), (&[0xFF; 8][..], "is longer than the 4032 bytes")] {
        let output = with_input(&folder, &["append", "--length-framed", "--segment", "8k", "a"], input);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{output:?}");
        assert!(stderr.contains(part), "{stderr}");
    }
    let output = with_input(&folder, &["append", "--segment", "8k", "a"], &[b'x'; 5000]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(parse(&folder.done(&["log", "verify", "--json", "a"]))["records"], 3);
}

#[test]
fn what_is_not_retained_is_told_of_by_its_absence() {
    let folder = Folder::new();
    let lines: String = (0..1000).map(|number| format!("{number:0100}\n")).collect();
    let words = ["--segment", "8k", "--retain-bytes", "24k", "--retain-age", "1d", "a"];
    assert_eq!(append(&folder, &words, lines.as_bytes()), "appended 1000 records, 0 to 999\n");
    let info = parse(&folder.done(&["log", "info", "--json", "a"]));
    let first = info["first_sequence"].as_u64().expect("a number");
    assert!(first > 800 && info["segments"].as_array().is_some_and(|segments| segments.len() == 3), "{info}");
    let output = folder.mapio(&["log", "tail", "--from", "5", "a"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let lines = output.stdout.split_inclusive(|&byte| byte == b'\n').count();
    assert_eq!(u64::try_from(lines), Ok(1000 - first));
    let missed = format!("{} messages were overwritten", first - 5);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&missed), "{output:?}");
}

#[test]
fn damage_is_found_and_cut_off() {
    let folder = Folder::new();
    // Each in a call of its own: lines that come together are one batch, and damage ends the log before all of it.
    for line in ["one\n", "two\n", "three\n"] {
        append(&folder, &["--durability", "always", "a"], line.as_bytes());
    }
    let whole = folder.done(&["log", "verify", "a"]);
    assert_eq!(whole, "3 records in 1 segments are whole\n");
    assert_eq!(folder.done(&["log", "repair", "--dry-run", "a"]).lines().next(), Some("nothing is damaged"));
    let name = Path::new("a").join("00000000000000000000.segment");
    let mut segment = File::options().write(true).open(folder.root().join(&name)).expect("it");
    // The payload of the second record.
    segment.seek(SeekFrom::Start(4096 + 40 + 32)).and_then(|_| segment.write_all(b"T")).expect("room");
    drop(segment);
    let output = folder.mapio(&["log", "verify", "a"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.starts_with(&format!("'{}' is damaged at byte 4136: ", name.display())), "{said}");
    folder.fails(&["log", "tail", "--from", "1", "a"], &["is damaged at byte 4136"]);
    let output = folder.mapio(&["log", "repair", "--dry-run", "--json", "a"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let planned = parse(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((&planned["cut"]["offset"], &planned["records"]), (&json!(4136), &json!(1)));
    let said = folder.done(&["log", "repair", "a"]);
    assert!(
        said.starts_with(&format!("cut '{}'", name.display())) && said.ends_with("1 records are left, the next is 1\n"),
        "{said}"
    );
    assert_eq!(append(&folder, &["a"], b"again\n"), "appended 1 records, 1 to 1\n");
    assert_eq!(folder.done(&["log", "tail", "a"]), "one\nagain\n");
}

#[test]
fn what_is_no_log_or_is_used_is_an_error_in_one_line() {
    let folder = Folder::new();
    fs::create_dir(folder.path("empty")).expect("room");
    for verb in ["tail", "info", "verify", "repair"] {
        folder.fails(&["log", verb, "none"], &["none does not exist"]);
        folder.fails(&["log", verb, "empty"], &["does not exist"]);
    }
    folder.write("file", "bytes");
    let output = with_input(&folder, &["append", "file"], b"");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    folder.fails(&["log", "append", "--segment", "1k", "a"], &["a segment has 8192 to "]);
    folder.fails(&["log", "append", "--durability", "never", "a"], &["'always', 'interval=TIME' or 'kernel'"]);
    let mut writer = start(&folder, &["append", "a"]);
    let mut input = writer.stdin.take().expect("it is piped");
    input.write_all(b"first\n").expect("it reads");
    let mut follower = Follower::new(&folder, &["tail", "--follow", "a"]);
    assert_eq!(follower.line(), "first\n");
    folder.fails(&["log", "append", "a"], &["the log a has a writer already"]);
    folder.fails(&["log", "repair", "a"], &["the log a has a writer already"]);
    drop(input);
    assert!(writer.wait().expect("it ends").success());
}

/// A `tail --follow`, killed if the test ends before.
struct Follower {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Follower {
    /// Waits until there is a log to follow.
    fn new(folder: &Folder, words: &[&str]) -> Self {
        loop {
            let mut child = start(folder, words);
            let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
            if !said.fill_buf().expect("readable").is_empty() {
                return Self { child, said };
            }
            assert_eq!(child.wait().expect("it ends").code(), Some(2), "there is no log yet");
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("UTF-8");
        line
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Most have ended by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_follower_sees_lines_as_they_are_appended_until_a_signal_comes() {
    let test = "log::a_follower_sees_lines_as_they_are_appended_until_a_signal_comes";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    sees_lines_until(|child| interrupter.interrupt(child));
}

/// A writer and a follower, which are asked to end one after the other.
fn sees_lines_until(mut ask_to_end: impl FnMut(&Child)) {
    let folder = Folder::new();
    let mut writer = start(&folder, &["append", "--durability", "interval=1ms", "a"]);
    let mut input = writer.stdin.take().expect("it is piped");
    input.write_all(b"line 0\n").expect("it reads");
    let mut follower = Follower::new(&folder, &["tail", "--follow", "a"]);
    assert_eq!(follower.line(), "line 0\n");
    for number in 1..20 {
        input.write_all(format!("line {number}\n").as_bytes()).expect("it reads");
        assert_eq!(follower.line(), format!("line {number}\n"));
    }
    ask_to_end(&follower.child);
    assert_eq!(follower.child.wait().expect("it ends").code(), Some(0));
    // The last line is not whole when the signal comes.
    input.write_all(b"line 20\nline 2").expect("it reads");
    let mut follower = Follower::new(&folder, &["tail", "--follow", "--from", "20", "a"]);
    assert_eq!(follower.line(), "line 20\n");
    ask_to_end(&writer);
    let mut said = String::new();
    writer.stdout.take().expect("it is piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!(writer.wait().expect("it ends").code(), Some(0));
    assert_eq!(said, "appended 21 records, 0 to 20\n");
    drop(input);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let test = "log::a_reader_that_has_seen_enough_is_no_error";
    if runner().is_some() {
        return skip(test, "the command needs a runner here");
    }
    let folder = Folder::new();
    append(&folder, &["a"], "a line of some length\n".repeat(20_000).as_bytes());
    for words in [&["tail", "a"][..], &["tail", "--follow", "a"], &["tail", "--json", "a"]] {
        let mut child = start(&folder, words);
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("UTF-8");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{words:?}");
    }
}
