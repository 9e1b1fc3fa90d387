//! Objects of Linux: files in /dev/shm, and System V segments.

use std::fs;
use std::path::Path;

use mapio_testkit::{runner, skip};
use rustix::process::{Pid, Signal, kill_process};

use super::{ends_in_order, goes_through_its_life, parse};
use crate::support::{Folder, Name};

/// A key that no other test has.
fn sysv() -> Name {
    Name::of(format!("sysv:{:#x}", 0x6000_0000 | std::process::id() & 0x00ff_ffff))
}

#[test]
fn a_segment_goes_through_its_life() {
    goes_through_its_life(&Folder::new(), &sysv().0);
}

#[test]
fn a_segment_without_a_key_tells_its_name() {
    let folder = Folder::new();
    let name = folder.done(&["shared", "create", "sysv:private", "--size", "10"]);
    let name = Name::of(name.trim_end().to_owned());
    assert!(name.0.starts_with("sysv-id:"), "{}", name.0);
    assert_eq!(folder.done(&["shared", "read", &name.0, "--hex"]).lines().count(), 1);
}

#[test]
fn the_permissions_that_were_asked_for_are_told() {
    let (folder, name) = (Folder::new(), Name::new());
    folder.done(&["shared", "create", &name.0, "--size", "8k", "--mode", "640"]);
    assert!(folder.done(&["shared", "show", &name.0]).contains("mode       640"));
    assert_eq!(parse(&folder.done(&["shared", "list", "--json", &name.0]))["mode"], "640");
}

#[test]
fn a_raw_object_is_a_file_of_that_length() {
    let (folder, name) = (Folder::new(), Name::new());
    folder.done(&["shared", "create", &name.0, "--size", "10", "--raw"]);
    assert_eq!(fs::metadata(Path::new("/dev/shm").join(&name.0)).expect("it is there").len(), 10);
    folder.fails(&["shared", "write", &name.0, "--text", "eleven bytes"], &["room for 10 bytes"]);
    assert_eq!(folder.mapio(&["shared", "read", &name.0]).stdout, [0; 10]);
}

#[test]
fn an_object_that_lives_as_its_users_is_kept_until_sigterm() {
    let test = "shared::linux::an_object_that_lives_as_its_users_is_kept_until_sigterm";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let words = ["--size", "10", "--lifetime", "last-handle"];
    ends_in_order(&Folder::new(), &Name::new(), &words, |child| {
        kill_process(Pid::from_child(child), Signal::TERM).expect("own child");
    });
}
