//! `shared`: objects as a user of the command line handles them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use mapio_testkit::{runner, skip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Folder, MAPIO};

/// An object's name that no other test has; whatever has it is removed in the end.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(format!("mapio-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    fn sysv() -> Self {
        Self(format!("sysv:{:#x}", 0x6000_0000 | std::process::id() & 0x00ff_ffff))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        Folder::new().mapio(&["shared", "remove", "--force", &self.0]);
    }
}

fn parse(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Starts `mapio shared`, which goes on until it is told to end.
fn start(words: &[&str]) -> Child {
    let mut command = Command::new(MAPIO);
    command.arg("shared").args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it runs")
}

fn send(signal: Signal, child: &Child) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).expect("small")).expect("not 0"), signal).expect("own child");
}

#[test]
fn an_object_goes_through_its_life() {
    let folder = Folder::new();
    let file = format!("file:{}", folder.path("object").display());
    for name in [Name::new(), Name::sysv(), Name(file)] {
        let name = &*name.0;
        let create =
            ["shared", "create", name, "--size", "8k", "--mode", "640", "--contents", "board", "--layout", "ff"];
        assert_eq!(folder.done(&create), "");
        folder.fails(&create, &[name, "exists already"]);
        assert_eq!(folder.done(&["shared", "write", name, "--text", "good morning", "--offset", "4096"]), "");
        assert_eq!(folder.done(&["shared", "read", name, "--offset", "4k", "--len", "12"]), "good morning");
        let dump = folder.done(&["shared", "read", name, "--offset", "4096", "--len", "12", "--hex"]);
        assert_eq!(dump, "00001000  67 6f 6f 64 20 6d 6f 72  6e 69 6e 67              |good morning|\n");
        let shown = folder.done(&["shared", "show", name, "--offset", "4101", "--len", "3"]);
        for part in ["bytes      8192", "mode       640", "holds      board", "layout     00000000000000ff", "|mor|"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let json = parse(&folder.done(&["shared", "show", name, "--json", "--offset", "4096", "--len", "4"]));
        assert_eq!((json["bytes"].as_u64(), json["data"].as_str()), (Some(8192), Some("676f6f64")));
        assert_eq!((json["contents"].as_str(), json["users_known_by"].as_str()), (Some("board"), Some("locks")));
        let listed = folder.done(&["shared", "list", name]);
        assert!(listed.starts_with("NAME") && listed.contains("until-removed") && listed.contains("board"), "{listed}");
        assert_eq!(parse(&folder.done(&["shared", "list", "--json", name]))["mode"], "640");
        assert_eq!(folder.done(&["shared", "clean", name]), "");
        assert_eq!(folder.done(&["shared", "remove", name]), "");
        folder.fails(&["shared", "remove", name], &[name, "does not exist"]);
        assert_eq!(folder.done(&["shared", "remove", "--force", name]), "");
        folder.fails(&["shared", "show", name], &[name, "does not exist"]);
    }
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn a_segment_without_a_key_tells_its_name() {
    let folder = Folder::new();
    let name = folder.done(&["shared", "create", "sysv:private", "--size", "10"]);
    let name = Name(name.trim_end().to_owned());
    assert!(name.0.starts_with("sysv-id:"), "{}", name.0);
    assert_eq!(folder.done(&["shared", "read", &name.0, "--hex"]).lines().count(), 1);
}

#[test]
fn what_does_not_fit_is_refused_as_a_whole() {
    let folder = Folder::new();
    let name = Name::new();
    folder.done(&["shared", "create", &name.0, "--size", "10", "--raw"]);
    assert_eq!(fs::metadata(Path::new("/dev/shm").join(&name.0)).unwrap().len(), 10);
    folder.fails(&["shared", "write", &name.0, "--text", "eleven bytes"], &["room for 10 bytes"]);
    folder.fails(&["shared", "write", &name.0, "--text", "abc", "--offset", "8"], &["room for 2 bytes"]);
    folder.fails(&["shared", "write", &name.0, "--text", "", "--offset", "11"], &["none at offset 11"]);
    folder.fails(&["shared", "read", &name.0, "--offset", "5", "--len", "6"], &["not 6 from offset 5"]);
    assert_eq!(folder.mapio(&["shared", "read", &name.0]).stdout, [0; 10]);
    let mut child = Command::new(MAPIO);
    let mut child = child.args(["shared", "write", &name.0]).stdin(Stdio::piped()).spawn().unwrap();
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
    let test = "an_object_that_lives_as_its_users_is_kept_until_a_signal_and_cleaned_after_a_death";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let folder = Folder::new();
    let name = Name::new();
    let words = ["create", &*name.0, "--size", "10", "--lifetime", "last-handle"];
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut child = start(&words);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), name.0);
        let listed = parse(&folder.done(&["shared", "list", "--json", &name.0]));
        assert_eq!(listed["users"][0]["pid"].as_u64(), Some(u64::from(child.id())));
        send(signal, &child);
        let status = child.wait().unwrap();
        if signal != Signal::KILL {
            assert_eq!(status.code(), Some(0));
            folder.fails(&["shared", "show", &name.0], &["does not exist"]);
        }
    }
    let found = folder.done(&["shared", "clean", "--dry-run", "--json", &name.0]);
    assert_eq!((&parse(&found)["outcome"], &parse(&found)["name"]), (&"found".into(), &(&*name.0).into()));
    let removed = folder.done(&["shared", "clean", &name.0]);
    assert!(removed.starts_with(&format!("removed {}: ", name.0)), "{removed}");
    assert_eq!(folder.done(&["shared", "clean", &name.0]), "");
}

#[test]
fn watching_tells_of_bytes_users_and_the_end() {
    let test = "watching_tells_of_bytes_users_and_the_end";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let folder = Folder::new();
    let name = Name::new();
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
    send(Signal::INT, &other);
    assert!(other.wait_with_output().unwrap().status.success());
    lines.find(|event| event["event"] == "left").unwrap();
    folder.done(&["shared", "remove", &name.0]);
    lines.find(|event| event["event"] == "removed").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let count = Name::new();
    folder.done(&["shared", "create", &count.0, "--size", "8"]);
    let said = folder.done(&["shared", "watch", &count.0, "--count", "2", "--interval", "0.001"]);
    assert_eq!(said.lines().count(), 1, "{said}");
}
