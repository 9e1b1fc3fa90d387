//! `shared`: objects as a user of the command line handles them.

// /dev/shm, System V segments, SIGTERM.
#[cfg(not(windows))]
mod linux;
// Sections.
#[cfg(windows)]
mod windows;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout};

use mapio_testkit::{Interrupter, runner, skip};
use serde_json::Value;

use crate::support::{self, Folder, Name};

fn parse(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Starts `mapio shared`, which goes on until it is told to end.
fn start(words: &[&str]) -> Child {
    support::start(&[&["shared"], words].concat())
}

/// The next line that a child prints.
fn line_of(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("UTF-8");
    line.trim_end().to_owned()
}

/// Starts `mapio shared create` for an object that lives as long as this, and waits until it is there.
fn keeper(name: &Name, words: &[&str]) -> Child {
    let mut child = start(&[&["create", &*name.0], words].concat());
    assert_eq!(line_of(&mut BufReader::new(child.stdout.take().expect("a pipe"))), name.0);
    child
}

#[test]
fn an_object_goes_through_its_life() {
    let folder = Folder::new();
    let file = format!("file:{}", folder.path("object").display());
    for name in [Name::lasting(), Name(file)] {
        goes_through_its_life(&folder, &name.0);
    }
    assert_eq!(folder.names(), Vec::<String>::new());
}

/// What is done with an object that is there until it is removed.
fn goes_through_its_life(folder: &Folder, name: &str) {
    let create = ["shared", "create", name, "--size", "8k", "--mode", "644", "--contents", "board", "--layout", "ff"];
    assert_eq!(folder.done(&create), "");
    folder.fails(&create, &[name, "exists already"]);
    is_written_and_read(folder, name);
    let listed = folder.done(&["shared", "list", name]);
    assert!(listed.starts_with("NAME") && listed.contains("until-removed") && listed.contains("board"), "{listed}");
    assert_eq!(folder.done(&["shared", "clean", name]), "");
    assert_eq!(folder.done(&["shared", "remove", name]), "");
    is_gone(folder, name);
}

/// What is written to an object called "board", with the layout 0xff, is read.
fn is_written_and_read(folder: &Folder, name: &str) {
    assert_eq!(folder.done(&["shared", "write", name, "--text", "good morning", "--offset", "4096"]), "");
    assert_eq!(folder.done(&["shared", "read", name, "--offset", "4k", "--len", "12"]), "good morning");
    let dump = folder.done(&["shared", "read", name, "--offset", "4096", "--len", "12", "--hex"]);
    assert_eq!(dump, "00001000  67 6f 6f 64 20 6d 6f 72  6e 69 6e 67              |good morning|\n");
    let shown = folder.done(&["shared", "show", name, "--offset", "4101", "--len", "3"]);
    for part in ["bytes      8192", "holds      board", "layout     00000000000000ff", "|mor|"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = parse(&folder.done(&["shared", "show", name, "--json", "--offset", "4096", "--len", "4"]));
    assert_eq!((json["bytes"].as_u64(), json["data"].as_str()), (Some(8192), Some("676f6f64")));
    assert_eq!((json["contents"].as_str(), json["users_known_by"].as_str()), (Some("board"), Some("locks")));
}

/// Nothing has this name.
fn is_gone(folder: &Folder, name: &str) {
    folder.fails(&["shared", "remove", name], &[name, "does not exist"]);
    assert_eq!(folder.done(&["shared", "remove", "--force", name]), "");
    folder.fails(&["shared", "show", name], &[name, "does not exist"]);
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    let folder = Folder::new();
    let name = Name::lasting();
    folder.done(&["shared", "create", &name.0, "--size", "10"]);
    folder.fails(&["shared", "write", &name.0, "--text", "eleven bytes"], &["room for 10 bytes"]);
    folder.fails(&["shared", "write", &name.0, "--text", "abc", "--offset", "8"], &["room for 2 bytes"]);
    folder.fails(&["shared", "write", &name.0, "--text", "", "--offset", "11"], &["none at offset 11"]);
    folder.fails(&["shared", "read", &name.0, "--offset", "5", "--len", "6"], &["not 6 from offset 5"]);
    assert_eq!(folder.mapio(&["shared", "read", &name.0]).stdout, [0; 10]);
    let mut child = start(&["write", &name.0]);
    child.stdin.take().unwrap().write_all(b"ten bytes!").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(folder.done(&["shared", "read", &name.0]), "ten bytes!");
    for bad in [&["create", "a/b", "--size", "1"][..], &["create", "x", "--size", "1", "--mode", "888"], &["show", ""]]
    {
        folder.fails(&[&["shared"], bad].concat(), &[]);
    }
    folder.fails(&["shared", "create", "x"], &["--size"]);
}

#[test]
fn an_object_that_lives_as_its_users_is_kept_until_a_signal_and_cleaned_after_a_death() {
    let test = "shared::an_object_that_lives_as_its_users_is_kept_until_a_signal_and_cleaned_after_a_death";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let (folder, name) = (Folder::new(), Name::lasting());
    let words = ["--size", "10", "--lifetime", "last-handle"];
    ends_in_order(&folder, &name, &words, |child| interrupter.interrupt(child));
    let mut child = keeper(&name, &words);
    child.kill().expect("own child");
    child.wait().expect("own child");
    let found = folder.done(&["shared", "clean", "--dry-run", "--json", &name.0]);
    assert_eq!((&parse(&found)["outcome"], &parse(&found)["name"]), (&"found".into(), &(&*name.0).into()));
    let removed = folder.done(&["shared", "clean", &name.0]);
    assert!(removed.starts_with(&format!("removed {}: ", name.0)), "{removed}");
    assert_eq!(folder.done(&["shared", "clean", &name.0]), "");
}

/// The command that has made an object keeps it until it is asked to end, and then nothing is left.
fn ends_in_order(folder: &Folder, name: &Name, words: &[&str], ask_to_end: impl FnOnce(&Child)) {
    let mut child = keeper(name, words);
    let listed = parse(&folder.done(&["shared", "list", "--json", &name.0]));
    assert_eq!(listed["users"][0]["pid"].as_u64(), Some(u64::from(child.id())));
    ask_to_end(&child);
    assert_eq!(child.wait().expect("own child").code(), Some(0));
    folder.fails(&["shared", "show", &name.0], &["does not exist"]);
}

#[test]
fn watching_tells_of_bytes_users_and_the_end() {
    let test = "shared::watching_tells_of_bytes_users_and_the_end";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let mut interrupter = Interrupter::start(test);
    let folder = Folder::new();
    let name = Name::lasting();
    folder.done(&["shared", "create", &name.0, "--size", "8"]);
    let mut child = start(&["watch", &name.0, "--interval", "0.005", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| parse(&line.unwrap()));
    let first = lines.next().unwrap();
    assert_eq!((&first["event"], &first["data"]), (&"bytes".into(), &"0000000000000000".into()));
    folder.done(&["shared", "write", &name.0, "--text", "ab", "--offset", "3"]);
    // The writer itself may be seen as a user, too.
    let changed = lines.find(|event| event["event"] == "bytes").unwrap();
    assert_eq!((&changed["offset"], &changed["data"]), (&3.into(), &"6162".into()));
    let other = start(&["watch", &name.0, "--interval", "100"]);
    let joined = lines.find(|event| event["event"] == "joined" && event["pid"] == other.id()).unwrap();
    assert_eq!(joined["role"], "reader");
    interrupter.interrupt(&other);
    assert!(other.wait_with_output().unwrap().status.success());
    lines.find(|event| event["event"] == "left").unwrap();
    folder.done(&["shared", "remove", &name.0]);
    lines.find(|event| event["event"] == "removed").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let count = Name::lasting();
    folder.done(&["shared", "create", &count.0, "--size", "8"]);
    let said = folder.done(&["shared", "watch", &count.0, "--count", "2", "--interval", "0.001"]);
    assert_eq!(said.lines().count(), 1, "{said}");
}
