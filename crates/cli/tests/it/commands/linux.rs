//! `compare` and `bench copy` on what Linux has.

use std::fs;
use std::process::Command;

use mapio_testkit::{pattern, runner, skip};
use serde_json::Value;

use crate::support::{Folder, MAPIO};

#[test]
fn bench_copy_counts_a_fault_for_each_page_of_a_mapping_or_some() {
    let folder = Folder::new();
    folder.write("a", pattern(3_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "1", "--json", "a"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    let pages = 3_000_000.0 / f64::from(u32::try_from(rustix::param::page_size()).expect("small"));
    assert_eq!(json["rows"][12]["engine"], "mapped");
    assert!(json["rows"][12]["minor_faults"].as_f64() > Some(0.1 * pages), "{}", json["rows"][12]);
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    let pipe = Command::new("mkfifo").arg(folder.path("pipe")).status();
    if pipe.is_ok_and(|status| status.success()) {
        folder.fails(&["bench", "copy", "pipe"], &["'pipe' is a pipe"]);
        folder.fails(&["compare", "pipe", "a"], &["'pipe' is a pipe"]);
    }
    if let Ok(memory) = tempfile::tempdir_in("/dev/shm") {
        let file = memory.path().join("a");
        fs::write(&file, "bytes").expect("room");
        folder.fails(
            &["bench", "copy", "--cold", file.to_str().expect("UTF-8")],
            &["can't be measured cold: 1 of its 1 pages stay"],
        );
    }
}

#[test]
fn a_shell_that_reads_nothing_gets_the_same_answer() {
    let test = "commands::linux::a_shell_that_reads_nothing_gets_the_same_answer";
    if runner().is_some() {
        return skip(test, "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("a", "bytes").write("b", "other");
    let gone = "{ sleep 0.2; exec \"$0\" compare a b; } | true; exit ${PIPESTATUS[0]}";
    let status = Command::new("bash").args(["-c", gone, MAPIO]).current_dir(folder.root()).status();
    assert_eq!(status.expect("bash runs").code(), Some(1));
}
