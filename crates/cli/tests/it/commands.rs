//! `copy`, `compare` and `bench copy`: what they do, what they print, and with which status they end.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use mapio_testkit::{SmallFs, pattern, skip};
use serde_json::Value;

use crate::support::{Folder, MAPIO};

#[test]
fn copy_makes_the_same_file_with_every_engine_and_says_what_it_did() {
    let folder = Folder::new();
    folder.write("a", pattern(100_000));
    let ways: [&[&str]; 5] = [
        &[],
        &["--engine", "auto"],
        &["--engine", "mapped"],
        &["--engine", "read-write", "--buffer", "5"],
        &["--engine", "read-write", "--buffer", "1g", "--verify"],
    ];
    for way in ways {
        let said = folder.done(&[&["copy", "a", "b"], way].concat());
        assert!(said.starts_with("'a' -> 'b': 100.00 kB in ") && said.lines().count() == 1, "{said}");
        assert_eq!(said.contains("verified"), way.contains(&"--verify"), "{said}");
        assert_eq!(folder.read("b"), pattern(100_000), "{way:?}");
    }
    assert_eq!(folder.names(), ["a", "b"]);
}

#[test]
fn copy_reports_as_json() {
    let folder = Folder::new();
    folder.write("a", pattern(10_000));
    let said = folder.done(&["copy", "--json", "--verify", "--engine", "read-write", "--buffer", "1k", "a", "b"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(json["bytes"], 10_000);
    assert_eq!(json["engine"], "read-write");
    assert_eq!(json["buffer_bytes"], 1024);
    assert_eq!(json["calls"], 20, "ten reads and ten writes");
    assert!(["disk", "memory"].contains(&json["verified"].as_str().expect("it was asked for")), "{json}");
    assert!(json["seconds"].as_f64() > Some(0.0));
    let said = folder.done(&["copy", "--json", "--engine", "mapped", "a", "c"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&json["engine"], &json["buffer_bytes"]), (&"mapped".into(), &Value::Null));
}

#[test]
fn copy_tells_bad_input_in_one_line_and_changes_nothing() {
    let folder = Folder::new();
    folder.write("a", "old a").write("b", "old b");
    fs::create_dir(folder.path("folder")).expect("room");
    fs::hard_link(folder.path("a"), folder.path("hard")).expect("room");
    symlink("a", folder.path("soft")).expect("room");
    symlink("nowhere", folder.path("dangling")).expect("room");
    let names = folder.names();
    for engine in ["auto", "mapped", "read-write"] {
        let fails = |from: &str, to: &str, parts: &[&str]| folder.fails(&["copy", "--engine", engine, from, to], parts);
        fails("missing", "b", &["'missing'", "No such file or directory"]);
        fails("folder", "b", &["'folder' is a directory"]);
        fails("a/b", "b", &["'a/b'", "Not a directory"]);
        fails("a", "a", &["are the same file"]);
        fails("a", "hard", &["are the same file"]);
        fails("a", "soft", &["are the same file"]);
        fails("soft", "a", &["are the same file"]);
        fails("a", ".", &["are the same file"]);
        fails("a", "dangling", &["'dangling'", "No such file or directory"]);
        fails("a", "missing/b", &["'missing'", "No such file or directory"]);
        fails("a", "b/", &["'b/'", "Not a directory"]);
        fails("a", "/proc/mapio", &["/proc"]);
        fails("a", "/dev/null", &["is a character device"]);
        fails("/dev/zero", "b", &["is a character device"]);
        fails("", "b", &["a value is required for '<SRC>'"]);
        fails("a", "", &["a value is required for '<DST>'"]);
    }
    assert_eq!((folder.read("a"), folder.read("b")), (b"old a".to_vec(), b"old b".to_vec()));
    assert_eq!(folder.names(), names);
}

#[test]
fn copy_to_a_full_disk_names_the_reason_and_keeps_the_old_file() {
    let small = match SmallFs::tmpfs(1 << 20) {
        Ok(small) => small,
        Err(error) => {
            let test = "copy_to_a_full_disk_names_the_reason_and_keeps_the_old_file";
            return skip(test, &format!("mounting a tmpfs needs root: {error}"));
        }
    };
    let folder = Folder::new();
    folder.write("a", pattern(2 << 20));
    let target = small.path().join("b");
    fs::write(&target, "old").expect("room");
    for engine in ["auto", "mapped", "read-write"] {
        let to = target.to_str().expect("UTF-8");
        folder.fails(&["copy", "--engine", engine, "a", to], &[to, "No space left on device"]);
        assert_eq!(fs::read(&target).expect("untouched"), b"old");
        assert_eq!(fs::read_dir(small.path()).expect("a folder").count(), 1);
    }
}

#[test]
fn copy_beyond_the_limit_of_file_sizes_is_an_error_and_no_signal() {
    let test = "copy_beyond_the_limit_of_file_sizes_is_an_error_and_no_signal";
    if mapio_testkit::runner().is_some() {
        return skip(test, "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("a", pattern(2 << 20)).write("b", "old");
    for engine in ["auto", "mapped", "read-write"] {
        // In blocks of 1024 bytes.
        let limited = format!("ulimit -f 1024; exec '{MAPIO}' copy --engine {engine} a b");
        let output =
            Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash runs");
        assert_eq!(output.status.code(), Some(2), "{engine}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("File too large"), "{engine}: {output:?}");
        assert_eq!(folder.read("b"), b"old");
        assert_eq!(folder.names(), ["a", "b"]);
    }
}

#[test]
fn bad_words_are_explained_with_status_2() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    folder.fails(&["copy", "a"], &["<DST>"]);
    folder.fails(&["copy", "a", "b", "--engine", "warp"], &["'warp'", "read-write"]);
    folder.fails(&["copy", "a", "b", "--buffer", "0"], &["1 byte to 1 GiB"]);
    folder.fails(&["copy", "a", "b", "--buffer", "2g"], &["1 byte to 1 GiB"]);
    folder.fails(&["copy", "a", "b", "--buffer", "5x"], &["'x' is not a unit"]);
    folder.fails(&["copy", "a", "b", "--buffer", "-5"], &["'-5' is not a whole number"]);
    folder.fails(&["copy", "a", "b", "--engine", "mapped", "--buffer", "5"], &["'mapped' has none"]);
    folder.fails(&["copy", "a", "b", "--engine", "wa\n\nrp"], &["'wa\\n\\nrp'"]);
    folder.fails(&["bench", "copy", "a", "--runs", "0"], &["'0'", "--runs"]);
    folder.fails(&["frobnicate"], &["'frobnicate'"]);
    assert_eq!(folder.mapio(&[]).status.code(), Some(2));
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn a_name_that_is_not_utf_8_and_one_with_a_line_break_are_names_like_any_other() {
    let folder = Folder::new();
    let (odd, broken) = (OsStr::from_bytes(b"\xff\xfe"), OsStr::from_bytes(b"line\nbreak"));
    fs::write(folder.root().join(odd), "bytes").expect("room");
    let run = |from: &OsStr, to: &OsStr| {
        Command::new(MAPIO).arg("copy").args([from, to]).current_dir(folder.root()).output().expect("it runs")
    };
    if mapio_testkit::runner().is_some() {
        return skip("a_name_that_is_not_utf_8...", "the command needs a runner here");
    }
    assert!(run(odd, broken).status.success());
    assert_eq!(fs::read(folder.root().join(broken)).expect("the copy"), b"bytes");
    let output = run(OsStr::from_bytes(b"no\nsuch"), odd);
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
}

#[test]
fn compare_answers_by_status_and_tells_the_first_difference() {
    let folder = Folder::new();
    folder.write("a", "same bytes").write("b", "same bytes").write("c", "same gytes").write("d", "same").write("e", "");
    assert_eq!(folder.done(&["compare", "a", "b"]), "");
    let differ = |words: &[&str], expected: &str| {
        let output = folder.mapio(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), expected);
    };
    differ(&["compare", "a", "c"], "'a' and 'c' differ at offset 5: 0x62, 0x67");
    differ(&["compare", "a", "d"], "'a' and 'd' differ at offset 4: 0x20, end of file");
    differ(&["compare", "e", "a"], "'e' and 'a' differ at offset 0: end of file, 0x73");
    differ(&["compare", "--json", "a", "d"], r#"{"same":false,"bytes":null,"offset":4,"left":32,"right":null}"#);
    let same = r#"{"same":true,"bytes":10,"offset":null,"left":null,"right":null}"#;
    assert_eq!(folder.done(&["compare", "--json", "a", "b"]).trim_end(), same);
    folder.fails(&["compare", "a", "missing"], &["'missing'", "No such file or directory"]);
    folder.fails(&["compare", "a", "."], &["'.' is a directory"]);
}

#[test]
fn bench_copy_measures_every_buffer_and_every_engine() {
    let folder = Folder::new();
    folder.write("a", pattern(3_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "1", "--json", "a"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    let buffers: Vec<_> = rows.iter().map(|row| row["buffer_bytes"].as_u64()).collect();
    let kib = |n: u64| Some(n << 10);
    let expected = [Some(5), Some(10), Some(100), kib(1), kib(4), kib(16), kib(64), kib(256)];
    assert_eq!(buffers[..8], expected);
    assert_eq!(buffers[8..13], [kib(1024), kib(4096), kib(16384), kib(65536), None]);
    assert_eq!(rows[12]["engine"], "mapped");
    let refused = json["refused"].as_array().expect("engines");
    assert_eq!(rows.len() + refused.len(), 12 + 8, "every engine but read-write once: {said}");
    assert!(refused.iter().all(|engine| engine["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{said}");
    assert_eq!(rows[0]["extrapolated"], true, "5 bytes would take 600,000 reads");
    assert_eq!(rows[1]["extrapolated"], false);
    let calls: Vec<_> = rows.iter().filter_map(|row| row["system_calls"].as_f64()).collect();
    assert_eq!(calls[1], 600_000.0, "a read and a write for every ten bytes");
    assert_eq!(calls[0], 1_200_000.0, "extrapolated");
    assert!(calls[12] <= 11.0, "nine for the two mappings, one or two for the room: {}", calls[12]);
    let pages = 3_000_000.0 / f64::from(u32::try_from(rustix::param::page_size()).expect("small"));
    assert!(rows[12]["minor_faults"].as_f64() > Some(0.1 * pages), "a fault for each page or some: {}", rows[12]);
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn bench_copy_prints_a_table_and_two_lines_of_what_it_shows() {
    let folder = Folder::new();
    folder.write("a", pattern(2_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "2", "--to", ".", "a"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 1 + 1 + 1 + 20 + 1 + 2, "{said}");
    assert!(lines[24].starts_with("System calls are what small buffers pay for: 5 bytes take 800000 calls"), "{said}");
    assert!(lines[25].starts_with("Page faults are what the mapped copy pays for: "), "{said}");
    folder.write("small", "bytes");
    assert!(folder.done(&["bench", "copy", "--runs", "1", "small"]).ends_with("take one of some megabytes.\n"));
    folder.write("empty", "");
    folder.fails(&["bench", "copy", "empty"], &["'empty' has no length"]);
    folder.fails(&["bench", "copy", "missing"], &["'missing'", "No such file"]);
    folder.fails(&["bench", "copy", "."], &["'.' is a directory, not a regular file"]);
    let pipe = Command::new("mkfifo").arg(folder.path("pipe")).status();
    if pipe.is_ok_and(|status| status.success()) {
        folder.fails(&["bench", "copy", "pipe"], &["'pipe' is a pipe"]);
        folder.fails(&["copy", "pipe", "b"], &["'pipe' is a pipe"]);
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
    folder.fails(&["bench", "copy", "a", "--to", "missing"], &["'missing'", "No such file"]);
}

/// Root may write to everything, so this runs the command as somebody else.
#[test]
fn a_destination_that_must_not_be_written_is_an_error() {
    let test = "a_destination_that_must_not_be_written_is_an_error";
    let folder = Folder::new();
    folder.write("a", "new").write("b", "old");
    if !rustix::process::geteuid().is_root() || mapio_testkit::runner().is_some() {
        return skip(test, "becoming another user needs root, and no runner");
    }
    chown(folder.root(), Some(65534), Some(65534)).expect("root");
    fs::set_permissions(folder.path("a"), Permissions::from_mode(0o644)).expect("own file");
    let copy = |to: &str| {
        let mut command = Command::new(MAPIO);
        command.args(["copy", "a", to]).current_dir(folder.root()).uid(65534).gid(65534);
        command.output()
    };
    let Ok(first) = copy("c") else {
        return skip(test, "another user can't run the executable where it is");
    };
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let fails = |to: &str, reason: &str| {
        let output = copy(to).expect("it has just worked");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{output:?}");
        assert!(stderr.contains(reason), "{stderr}");
        assert_eq!(folder.read("b"), b"old");
    };
    // Its own file, which it has protected; somebody else's; somebody else's that it may write to; a folder.
    chown(folder.path("b"), Some(65534), Some(65534)).expect("root");
    fs::set_permissions(folder.path("b"), Permissions::from_mode(0o444)).expect("root");
    fails("b", "writing to 'b': Permission denied");
    chown(folder.path("b"), Some(0), Some(0)).expect("root");
    fails("b", "writing to 'b': Permission denied");
    fs::set_permissions(folder.path("b"), Permissions::from_mode(0o666)).expect("root");
    fails("b", "can't be given to its owner, user 0 and group 0");
    chown(folder.root(), Some(0), Some(0)).expect("root");
    fs::set_permissions(folder.root(), Permissions::from_mode(0o755)).expect("root");
    fails("d", "creating a temporary file in '.': Permission denied");
    assert_eq!(folder.names(), ["a", "b", "c"]);
}

/// What is printed is lost, and the copy is there: both are told.
#[test]
fn standard_output_that_is_full_is_told_of_apart_from_the_copy() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    let full = fs::File::options().write(true).open("/dev/full").expect("on Linux");
    let output = Command::new(MAPIO).args(["copy", "a", "b"]).current_dir(folder.root()).stdout(full).output();
    let Ok(output) = output else {
        return skip("standard_output_that_is_full...", "the command needs a runner here");
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        stderr.starts_with("mapio: 'b' was written, but not told of: writing to standard output: No space"),
        "{stderr}"
    );
    assert_eq!(folder.read("b"), b"bytes");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    folder.write("a", pattern(200_000));
    if mapio_testkit::runner().is_some() {
        return skip("a_reader_that_goes_away_is_no_error", "the command needs a runner here");
    }
    let mut child = Command::new(MAPIO)
        .args(["bench", "copy", "--runs", "1", "a"])
        .current_dir(folder.root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    // And it changes no answer.
    folder.write("b", "other");
    let gone = "{ sleep 0.2; exec \"$0\" compare a b; } | true; exit ${PIPESTATUS[0]}";
    let status = Command::new("bash").args(["-c", gone, MAPIO]).current_dir(folder.root()).status();
    assert_eq!(status.expect("bash runs").code(), Some(1));
}
