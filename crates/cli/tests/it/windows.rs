//! The command on Windows: what it does there, and what it says that it has not.

use std::fs;
use std::io::Read;

use mapio_testkit::{Interrupter, pattern, skip};
use serde_json::Value;

use crate::support::{self, Folder};

/// Says which modules of these tests are not for Windows.
#[test]
fn what_is_left_out_is_told() {
    for (module, reason) in [
        ("channel::linux", "SIGTERM"),
        ("commands::linux", "pipes with names, tmpfs, page faults as Linux counts them, a shell"),
        ("copy", "it is about signals, terminals, links and permission bits"),
        ("cp", "it runs scripts of a shell beside GNU's cp"),
        ("device", "registers and screens are Linux's here"),
        ("docs", "the commands of the documents are written for a shell"),
        ("log::linux", "SIGTERM"),
        ("pages::linux", "Windows does not tell which pages of a file are in memory"),
        ("serial", "serial ports are Linux's here"),
        ("shared::linux", "/dev/shm, System V segments, SIGTERM"),
    ] {
        skip(module, reason);
    }
}

#[test]
fn every_engine_of_windows_makes_the_same_file() {
    let folder = Folder::new();
    folder.write("a", pattern(100_000));
    for engine in ["auto", "read-write", "mapped", "mapped-source", "mapped-destination", "reflink", "direct"] {
        assert_eq!(folder.done(&["copy", "--engine", engine, "a", "b"]), "", "{engine}");
        assert_eq!(folder.read("b"), pattern(100_000), "{engine}");
        let said = folder.done(&["copy", "--verify", "--engine", engine, "a", "b"]);
        assert!(said.starts_with("'a' -> 'b': 100.00 kB in ") && said.contains("verified"), "{engine}: {said}");
    }
    for options in [["--sync", "--atomic"], ["--inplace", "--threads=3"], ["--sparse=always", "--resume"]] {
        folder.done(&["copy", options[0], options[1], "a", "b"]);
        assert_eq!(folder.read("b"), pattern(100_000), "{options:?}");
    }
    assert_eq!(folder.names(), ["a", "b"]);
}

#[test]
fn what_windows_has_not_is_refused_by_name_with_status_2() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    folder.fails(&["copy", "--engine=uring", "a", "b"], &["'--engine=uring': io_uring is Linux's"]);
    folder.fails(&["copy", "--engine", "splice", "a", "b"], &["splice is Linux's"]);
    folder.fails(&["copy", "--engine=copy-file-range", "a", "b"], &["CopyFileEx copies by paths"]);
    folder.fails(&["copy", "--evict", "a", "b"], &["'--evict': Windows"]);
    folder.fails(&["copy", "--sync=tree", "a", "b"], &["'--sync=tree': Windows", "--sync=file"]);
    folder.fails(&["device", "list"], &["device: ", "Linux's"]);
    folder.fails(&["device", "read", "sim:ns16550"], &["device: ", "Linux's"]);
    folder.fails(&["pages", "--evict", "a"], &["Windows"]);
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn trees_and_paths_of_both_kinds_are_copied() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("d/inner")).expect("room");
    folder.write("d/a", pattern(10_000)).write("d/inner/b", "b");
    let said = folder.done(&["copy", "-rv", "d", "e"]);
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.contains(r"'d\inner\b' -> 'e\inner\b'"), "{said}");
    assert_eq!(folder.read("e/inner/b"), b"b");
    folder.done(&["copy", r"d\inner/b", "c"]);
    assert_eq!(folder.read("c"), b"b");
    folder.done(&["copy", "--parents", r"d\inner\b", "e"]);
    assert_eq!(folder.read("e/d/inner/b"), b"b");
    let missing = folder.mapio(&["copy", "missing", "c"]);
    assert_eq!(missing.status.code(), Some(1), "as cp has it: {missing:?}");
    assert_eq!(String::from_utf8_lossy(&missing.stderr).lines().count(), 1);
    let same = folder.mapio(&["copy", "c", "C"]);
    assert!(String::from_utf8_lossy(&same.stderr).contains("'c' and 'C' are the same file"), "{same:?}");
    assert_eq!(folder.names(), ["c", "d", "e"]);
}

#[test]
fn a_copy_that_is_asked_to_end_cleans_up_and_ends_as_ctrl_c_ends_others() {
    /// `STATUS_CONTROL_C_EXIT`.
    const CONTROL_C_EXIT: u32 = 0xc000_013a;
    let test = "windows::a_copy_that_is_asked_to_end_cleans_up_and_ends_as_ctrl_c_ends_others";
    let mut interrupter = Interrupter::start(test);
    let folder = Folder::new();
    folder.write("a", pattern(4_000_000));
    let words = ["copy", "--progress=always", "--io-limit=1k", "a", "b"];
    let mut child = support::started(support::mapio(&words).current_dir(folder.root()));
    // The first line of progress is printed by a copy whose Ctrl-C is caught.
    child.stderr.as_mut().expect("a pipe").read_exact(&mut [0]).expect("progress");
    interrupter.interrupt(&child);
    let output = child.wait_with_output().expect("own child");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code().map(i32::cast_unsigned), Some(CONTROL_C_EXIT), "{output:?}");
    assert!(stderr.contains("mapio: stopped: 0 files and 0 B were copied"), "{stderr}");
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn what_was_copied_is_told_as_json() {
    let folder = Folder::new();
    folder.write("a", pattern(10_000));
    let said = folder.done(&["copy", "--json", "--verify", "--engine", "mapped", "a", "b"]);
    let json: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&json["source"], &json["destination"]), (&"a".into(), &"b".into()));
    assert_eq!((&json["engine"], &json["bytes"]), (&"mapped".into(), &10_000.into()));
    assert_eq!(json["verified"], "memory", "nothing can be dropped from the cache");
}

#[test]
fn bench_copy_measures_every_buffer_and_says_which_engines_can_not() {
    let folder = Folder::new();
    folder.write("a", pattern(1_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "1", "--json", "a"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    let (rows, refused) = (json["rows"].as_array().expect("rows"), json["refused"].as_array().expect("engines"));
    assert_eq!(rows.len() + refused.len(), 12 + 8, "every engine but read-write once: {said}");
    assert!(refused.iter().any(|engine| engine["engine"] == "uring"), "{said}");
    assert!(refused.iter().all(|engine| engine["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{said}");
    assert!(rows.iter().all(|row| row["cold_seconds"].is_null()), "nothing can be dropped from the cache: {said}");
    folder.fails(&["bench", "copy", "--cold", "a"], &["Windows drops no file"]);
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn pages_are_warmed_touched_and_locked_although_nobody_tells_which_there_are() {
    let folder = Folder::new();
    folder.write("a", pattern(100_000));
    let said = folder.done(&["pages", "--json", "a"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    assert!(json.to_string().contains("100000"), "{said}");
    folder.done(&["pages", "--warm", "a"]);
    let touched = folder.done(&["pages", "--json", "--touch=write", "--private", "a"]);
    assert!(touched.contains("\"file_unchanged\":true"), "{touched}");
    folder.fails(&["pages", "missing"], &["'missing'"]);
}
