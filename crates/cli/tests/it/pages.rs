//! `pages`: what it counts is what the kernel has, whatever is done to the pages meanwhile.

// Which pages of files are in memory, as Linux tells it; links, mounts, users, /proc.
#[cfg(not(windows))]
mod linux;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};

use mapio_testkit::{Interrupter, pattern, runner, skip};
use serde_json::{Value, json};

use crate::support::{self, Folder, no_such_file};

fn page() -> u64 {
    u64::try_from(mapio_map::page_bytes()).expect("small")
}

fn parse(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Runs `mapio pages --json`, which must do it.
fn pages(folder: &Folder, words: &[&str]) -> Value {
    parse(&folder.done(&[&["pages", "--json"], words].concat()))
}

/// The one file of it.
fn one(folder: &Folder, words: &[&str]) -> Value {
    pages(folder, words)["files"][0].take()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn json_has_the_same_names_for_every_file() {
    let folder = Folder::new();
    folder.write("a", "bytes").write("empty", "");
    let said = pages(&folder, &["a", "empty"]);
    let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&said), ["files", "folders", "locked_bytes", "page_bytes", "total"]);
    assert_eq!(names(&said["files"][0]), names(&said["files"][1]));
    assert_eq!((number(&said["page_bytes"]), &said["locked_bytes"]), (page(), &Value::Null));
    let empty = &said["files"][1];
    assert_eq!((&empty["pages"], &empty["percent"], &empty["ranges"]), (&json!(0), &Value::Null, &json!([])));
}

#[test]
fn what_has_no_pages_is_one_line() {
    let folder = Folder::new();
    folder.write("empty", "").write("a", "bytes");
    for action in [None, Some("--warm"), Some("--touch=read"), Some("--touch=write")] {
        let words: Vec<_> = ["pages"].into_iter().chain(action).chain(["empty"]).collect();
        let said = folder.done(&words);
        assert!(said.starts_with("'empty': 0 B, no pages\n"), "{said}");
    }
    for action in [&["missing"][..], &["--lock", "missing"], &["--watch", "missing"]] {
        folder.fails(&[&["pages"], action].concat(), &["'missing'", &no_such_file()]);
    }
    folder.fails(&["pages", "a/b"], &["'a/b'"]);
    // The others are shown all the same.
    let output = folder.mapio(&["pages", "missing", "a"]);
    let (said, complaint) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), complaint.lines().count()), (Some(2), 1), "{output:?}");
    assert!(said.starts_with("'a': 5 B, 1 page of "), "{said}");
}

#[test]
fn options_that_conflict_are_refused() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    let refused = |words: &[&str], part: &str| folder.fails(&[&["pages", "a"], words].concat(), &[part]);
    refused(&["--warm", "--evict"], "cannot be used with");
    refused(&["--lock", "--watch"], "cannot be used with");
    refused(&["--lock", "--touch", "read"], "cannot be used with");
    refused(&["--range", "1..2", "--offset", "1"], "cannot be used with");
    refused(&["--json", "--ascii"], "cannot be used with");
    refused(&["--private"], "--touch");
    refused(&["--touch", "burn"], "'burn'");
    refused(&["--range", "5"], "START..END");
    refused(&["--range", "2..1"], "ends before it starts");
    refused(&["--offset", "-1"], "'-1' is not a whole number");
    refused(&["--watch=0"], "0.001 to 86400");
    folder.fails(&["pages"], &["<FILE>"]);
}

#[test]
fn touching_tells_what_was_done_and_changes_no_byte() {
    let folder = Folder::new();
    let bytes = pattern(usize::try_from(100 * page()).unwrap());
    folder.write("a", &bytes);
    let touched = |words: &[&str]| one(&folder, &[words, &["a"]].concat())["touched"].clone();
    let read = touched(&["--touch", "read"]);
    assert_eq!((&read["access"], &read["private"], number(&read["pages"])), (&json!("read"), &json!(false), 100));
    let copied = touched(&["--touch", "write", "--private"]);
    assert_eq!((&copied["private"], &copied["file_unchanged"]), (&json!(true), &json!(true)));
    assert_eq!(folder.read("a"), bytes);
    let written = touched(&["--touch", "write"]);
    assert_eq!((&written["access"], &written["file_unchanged"]), (&json!("write"), &Value::Null));
    assert_eq!(folder.read("a"), bytes);
    let said = folder.done(&["pages", "--touch", "write", "--private", "a"]);
    assert!(said.contains("  touched 100 pages (write, private mapping): "), "{said}");
    assert!(said.contains("; the file is unchanged\n"), "{said}");
}

/// A command that goes on until it gets a signal, and is killed if the test ends before.
struct Running {
    child: Child,
    /// `None` once nobody reads it.
    said: Option<BufReader<ChildStdout>>,
}

impl Running {
    fn new(folder: &Folder, words: &[&str]) -> Self {
        let mut child = support::started(support::mapio(&[&["pages"], words].concat()).current_dir(folder.root()));
        let said = Some(BufReader::new(child.stdout.take().expect("it is piped")));
        Self { child, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.as_mut().expect("somebody reads").read_line(&mut line).expect("UTF-8");
        assert!(!line.is_empty(), "it has ended");
        line
    }

    fn until(&mut self, start: &str) -> String {
        loop {
            let line = self.line();
            if line.starts_with(start) {
                return line;
            }
        }
    }

    /// Its exit status after it was asked to end.
    fn end(mut self, ask_to_end: impl FnOnce(&Child)) -> Option<i32> {
        ask_to_end(&self.child);
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Most have ended by themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn locked_pages_stay_locked_until_a_signal_comes() {
    let test = "pages::locked_pages_stay_locked_until_a_signal_comes";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let folder = Folder::new();
    // Less than any usual limit of locked memory.
    folder.write("a", vec![7; 40_000]).write("b", vec![7; 1]);
    let pages = 40_000u64.div_ceil(page()) + 1;
    for words in [&["--lock", "a", "b"][..], &["--lock", "--json", "a", "b"]] {
        let mut running = Running::new(&folder, words);
        let line = running.until(if words.contains(&"--json") { "{" } else { "locked " });
        if let Some(json) = line.starts_with('{').then(|| parse(&line)) {
            assert_eq!(number(&json["locked_bytes"]), pages * page());
        }
        assert_eq!(running.end(|child| interrupter.interrupt(child)), Some(0), "{words:?}");
    }
}

#[test]
fn watching_looks_again_and_again_until_a_signal_comes_or_nobody_reads() {
    let test = "pages::watching_looks_again_and_again_until_a_signal_comes_or_nobody_reads";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let folder = Folder::new();
    folder.write("a", "bytes");
    let mut running = Running::new(&folder, &["--watch=0.01", "a"]);
    running.until("'a': 5 B, ");
    folder.write("a", "more bytes");
    running.until("'a': 10 B, ");
    assert_eq!(running.end(|child| interrupter.interrupt(child)), Some(0));
    let mut running = Running::new(&folder, &["--watch=0.01", "--json", "a"]);
    for _ in 0..3 {
        assert_eq!(parse(&running.line())["files"][0]["bytes"], 10);
    }
    running.said = None;
    assert_eq!(running.child.wait().expect("it ends").code(), Some(0));
}
