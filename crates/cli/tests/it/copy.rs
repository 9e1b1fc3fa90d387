//! `mapio copy`: what it has that cp has not. That it is cp besides is in `cp.rs`.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use mapio_testkit::{SmallFs, pattern, runner, skip};
use serde_json::Value;

use crate::support::{Folder, MAPIO};

/// Every engine that moves bytes on any file system.
const ENGINES: [&str; 9] = [
    "auto",
    "read-write",
    "mapped",
    "mapped-source",
    "mapped-destination",
    "copy-file-range",
    "splice",
    "uring",
    "direct",
];

#[test]
fn every_engine_makes_the_same_file_and_says_nothing_unless_asked() {
    let folder = Folder::new();
    folder.write("a", pattern(100_000));
    for engine in ENGINES {
        assert_eq!(folder.done(&["copy", "--engine", engine, "a", "b"]), "", "{engine}");
        assert_eq!(folder.read("b"), pattern(100_000), "{engine}");
        let said = folder.done(&["copy", "--verify", "--engine", engine, "a", "b"]);
        assert!(said.starts_with("'a' -> 'b': 100.00 kB in ") && said.lines().count() == 1, "{engine}: {said}");
        assert!(said.contains("verified"), "{engine}: {said}");
    }
    for buffer in ["5", "1g"] {
        folder.done(&["copy", "--engine", "read-write", "--buffer", buffer, "a", "b"]);
        assert_eq!(folder.read("b"), pattern(100_000), "{buffer}");
    }
    for options in [["--sync", "--atomic"], ["--sync=tree", "--inplace"], ["--evict", "--threads=3"]] {
        folder.done(&["copy", options[0], options[1], "a", "b"]);
        assert_eq!(folder.read("b"), pattern(100_000), "{options:?}");
    }
    assert_eq!(folder.names(), ["a", "b"]);
    // What keeps nothing is on no disk.
    assert_eq!(folder.done(&["copy", "--sync", "a", "/dev/null"]), "");
}

/// A file that somebody has open for writing can't be run.
#[test]
fn a_program_can_be_run_as_soon_as_it_is_copied() {
    if runner().is_some() {
        return skip("a_program_can_be_run_as_soon_as_it_is_copied", "the command needs a runner here");
    }
    let folder = Folder::new();
    for engine in ENGINES {
        for _ in 0..5 {
            folder.done(&["copy", "--engine", engine, "/bin/true", "program"]);
            let run = Command::new(folder.path("program")).output();
            assert!(run.is_ok_and(|output| output.status.success()), "{engine}");
        }
    }
}

#[test]
fn json_is_a_line_for_each_file_and_one_for_all() {
    let folder = Folder::new();
    fs::create_dir(folder.path("d")).expect("room");
    folder.write("d/a", pattern(10_000)).write("d/b", "b");
    symlink("a", folder.path("d/link")).expect("room");
    let said = folder.done(&["copy", "-r", "--json", "--verify", "--engine", "read-write", "--buffer", "1k", "d", "e"]);
    let mut lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = &lines.pop().expect("the last line")["summary"];
    assert_eq!((&summary["files"], &summary["folders"], &summary["links"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&summary["bytes"], &summary["failed"]), (&10_001.into(), &0.into()));
    assert_eq!(lines.len(), 2);
    let json = lines.iter().find(|line| line["source"] == "d/a").expect("a line for each file");
    assert_eq!((&json["destination"], &json["engine"]), (&"e/a".into(), &"read-write".into()));
    assert_eq!((&json["bytes"], &json["buffer_bytes"]), (&10_000.into(), &1024.into()));
    assert!(["disk", "memory"].contains(&json["verified"].as_str().expect("it was asked for")), "{json}");
    assert!(json["seconds"].as_f64() > Some(0.0));
    let said = folder.done(&["copy", "--json", "--engine", "mapped", "d/a", "c"]);
    let json: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&json["engine"], &json["buffer_bytes"]), (&"mapped".into(), &Value::Null));
}

#[test]
fn explanations_say_why() {
    let folder = Folder::new();
    folder.write("a", pattern(10_000));
    let said = folder.done(&["copy", "--explain", "--engine", "splice", "a", "b"]);
    assert!(said.starts_with("'a' -> 'b': 10000 bytes, from "), "{said}");
    assert!(said.contains("splice was asked for"), "{said}");
    let said = folder.done(&["copy", "--explain", "--engine", "copy-file-range", "/proc/version", "c"]);
    assert!(said.contains("; copy-file-range could not (the file does not tell its length), so read-write"), "{said}");
    // Its 128 MiB are not what the other engine has read by.
    let said = folder.done(&["copy", "--json", "--engine", "copy-file-range", "/proc/version", "c"]);
    let json: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&json["engine"], &json["buffer_bytes"]), (&"read-write".into(), &Value::Null));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let folder = Folder::new();
    folder.write("a", "old a").write("b", "old b");
    for (words, part) in [
        (&["--engine", "warp"][..], "invalid argument"),
        (&["--buffer", "0"], "1 byte to 1 GiB"),
        (&["--buffer", "2g"], "1 byte to 1 GiB"),
        (&["--buffer", "5x"], "'x' is not a unit"),
        (&["--buffer=-5"], "'-5' is not a whole number"),
        (&["--threads", "0"], "1 to 1024 threads"),
        (&["--io-limit", "0"], "at least 1 byte"),
        (&["--sync=never"], "invalid argument"),
        (&["--progress=often"], "invalid argument"),
        (&["--engine=mapped", "--buffer=5"], "'mapped' has none"),
        (&["--atomic", "--inplace"], "opposites"),
        (&["--resume", "--inplace"], "'--resume' keeps"),
        (&["--inplace", "--remove-destination"], "removes"),
        (&["--reflink", "--engine=splice"], "moves no bytes"),
        (&["--json", "-v"], "for programs"),
        (&["--verify", "-l"], "'--link' copies none"),
        (&["--evict", "-s"], "'--symbolic-link' copies none"),
        (&["--buffer=5", "--attributes-only"], "'--attributes-only' copies none"),
    ] {
        let mut all = vec!["copy", "a", "b"];
        all.extend(words);
        let output = folder.mapio(&all);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        assert!(stderr.starts_with("mapio: ") && stderr.contains(part), "{words:?}: {stderr}");
        assert!(stderr.ends_with("\nTry 'mapio copy --help' for more information.\n"), "{words:?}: {stderr}");
    }
    assert_eq!((folder.read("a"), folder.read("b")), (b"old a".to_vec(), b"old b".to_vec()));
}

#[test]
fn bad_input_is_told_in_one_line_with_status_1_and_changes_nothing() {
    let folder = Folder::new();
    folder.write("a", "old a").write("b", "old b");
    fs::create_dir(folder.path("folder")).expect("room");
    symlink("nowhere", folder.path("dangling")).expect("room");
    let names = folder.names();
    for engine in ["auto", "mapped", "read-write"] {
        for (from, to, reason) in [
            ("missing", "b", "cannot stat 'missing': No such file or directory"),
            ("folder", "b", "-r not specified; omitting directory 'folder'"),
            ("a/b", "b", "cannot stat 'a/b': Not a directory"),
            ("a", "./a", "'a' and './a' are the same file"),
            ("a", "dangling", "not writing through dangling symlink 'dangling'"),
            ("a", "missing/b", "cannot create regular file 'missing/b': No such file or directory"),
            ("no\nsuch", "b", "cannot stat 'no'$'\\n''such': No such file or directory"),
            ("", "b", "cannot stat '': No such file or directory"),
        ] {
            folder.fails_with(1, &["copy", "--engine", engine, from, to], &[reason]);
        }
    }
    assert_eq!((folder.read("a"), folder.read("b")), (b"old a".to_vec(), b"old b".to_vec()));
    assert_eq!(folder.names(), names);
}

#[test]
fn a_full_disk_is_named_and_the_old_file_is_kept() {
    let small = match SmallFs::tmpfs(1 << 20) {
        Ok(small) => small,
        Err(error) => {
            let test = "a_full_disk_is_named_and_the_old_file_is_kept";
            return skip(test, &format!("mounting a tmpfs needs root: {error}"));
        }
    };
    let folder = Folder::new();
    folder.write("a", pattern(2 << 20));
    let target = small.path().join("b");
    fs::write(&target, "old").expect("room");
    for engine in ENGINES {
        let to = target.to_str().expect("UTF-8");
        folder.fails_with(1, &["copy", "--engine", engine, "a", to], &[to, "No space left on device"]);
        assert_eq!(fs::read(&target).expect("untouched"), b"old");
        assert_eq!(fs::read_dir(small.path()).expect("a folder").count(), 1);
    }
}

#[test]
fn the_limit_of_file_sizes_is_an_error_and_no_signal() {
    if runner().is_some() {
        return skip("the_limit_of_file_sizes_is_an_error_and_no_signal", "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("a", pattern(2 << 20)).write("b", "old");
    for engine in ENGINES {
        // In blocks of 1024 bytes.
        let limited = format!("ulimit -f 1024; exec '{MAPIO}' copy --engine {engine} a b");
        let output =
            Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash runs");
        assert_eq!(output.status.code(), Some(1), "{engine}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("File too large"), "{engine}: {output:?}");
        assert_eq!(folder.read("b"), b"old");
        assert_eq!(folder.names(), ["a", "b"]);
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_a_name_like_any_other() {
    if runner().is_some() {
        return skip("a_name_that_is_not_utf_8_is_a_name_like_any_other", "the command needs a runner here");
    }
    let folder = Folder::new();
    let odd = OsStr::from_bytes(b"\xff\xfe");
    fs::write(folder.root().join(odd), "bytes").expect("room");
    let output = Command::new(MAPIO).args(["copy", "--json"]).arg(odd).arg("b").current_dir(folder.root()).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).expect("JSON is UTF-8").contains('\u{fffd}'));
    assert_eq!(folder.read("b"), b"bytes");
}

#[test]
fn standard_output_that_is_full_is_told_of_apart_from_the_copy() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    let full = fs::File::options().write(true).open("/dev/full").expect("on Linux");
    let output = Command::new(MAPIO).args(["copy", "-v", "a", "b"]).current_dir(folder.root()).stdout(full).output();
    let Ok(output) = output else {
        return skip("standard_output_that_is_full...", "the command needs a runner here");
    };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "mapio: write error: No space left on device\n");
    assert_eq!(folder.read("b"), b"bytes");
    let full = fs::File::options().write(true).open("/dev/full").expect("on Linux");
    let help = Command::new(MAPIO).arg("--help").stdout(full).output().expect("it has just run");
    let expected = "mapio: writing to standard output: No space left on device\n";
    assert_eq!((help.status.code(), String::from_utf8_lossy(&help.stderr)), (Some(2), expected.into()));
}

/// Starts a copy of `a` to `b` that would take an hour, and waits until it is on its way.
fn start_slow_copy(folder: &Folder) -> Child {
    folder.write("a", pattern(4_000_000));
    let mut child = Command::new(MAPIO)
        .args(["copy", "--progress=always", "--io-limit=1k", "a", "b"])
        .current_dir(folder.root())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // The first line of progress is printed by a copy whose signals are caught.
    let mut first = [0; 1];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("progress");
    child
}

#[test]
fn a_copy_that_is_asked_to_end_cleans_up_and_dies_of_the_signal() {
    if runner().is_some() {
        return skip("a_copy_that_is_asked_to_end...", "the command needs a runner here");
    }
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::INT, Signal::TERM] {
        let folder = Folder::new();
        let child = start_slow_copy(&folder);
        kill_process(Pid::from_child(&child), signal).expect("our own child");
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{output:?}");
        assert!(stderr.contains("mapio: stopped: 0 files and 0 B were copied"), "{stderr}");
        assert!(stderr.contains(" of 4.00 MB, 0 of 1 files, "), "{stderr}");
        assert_eq!(folder.names(), ["a"]);
    }
}

#[test]
fn watching_a_deep_tree_takes_no_descriptors_from_its_copy() {
    let test = "watching_a_deep_tree_takes_no_descriptors_from_its_copy";
    if runner().is_some() {
        return skip(test, "the command needs a runner here");
    }
    let folder = Folder::new();
    let deep = "d/".repeat(200);
    fs::create_dir_all(folder.path(&deep)).expect("room");
    folder.write(&format!("{deep}file"), pattern(20_000));
    // The copy takes long enough for all of it to be looked at.
    let limited = format!("ulimit -n 64; exec '{MAPIO}' copy -r --progress=always --io-limit=20k d e");
    let output = Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(folder.read(&format!("e{}file", &deep[1..])), pattern(20_000));
}

#[test]
fn under_the_name_cp_it_is_cp() {
    if runner().is_some() {
        return skip("under_the_name_cp_it_is_cp", "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("a", "bytes").write("compare", "a file, no command");
    let soft = folder.path("cp");
    symlink(MAPIO, &soft).expect("room");
    let run = |words: &[&str]| Command::new(&soft).args(words).current_dir(folder.root()).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let output = run(&["a", "b"]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(folder.read("b"), b"bytes");
    assert!(run(&["compare", "c"]).status.success(), "a copy of a file of this name");
    let version = text(&run(&["--version"]).stdout);
    assert!(version.starts_with("cp (mapio) "), "{version}");
    let help = text(&run(&["--help"]).stdout);
    assert!(help.starts_with(&format!("Usage: {} [OPTION]...", soft.display())), "{help}");
    let output = run(&["missing", "b"]);
    let expected = format!("{}: cannot stat 'missing': No such file or directory\n", soft.display());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), expected));
    let subcommand = folder.done(&["copy", "--help"]);
    assert!(subcommand.starts_with("Usage: mapio copy [OPTION]..."), "{subcommand}");
    assert_eq!(folder.done(&["copy", "-h"]), subcommand);
    assert!(folder.done(&["copy", "--version"]).starts_with("mapio copy "));
}

/// Root may write to everything, so this runs the command as somebody else.
#[test]
fn a_destination_that_must_not_be_written_is_kept() {
    use std::os::unix::fs::chown;
    use std::os::unix::process::CommandExt;
    let test = "a_destination_that_must_not_be_written_is_kept";
    if !rustix::process::geteuid().is_root() || runner().is_some() {
        return skip(test, "becoming another user needs root, and no runner");
    }
    let folder = Folder::new();
    folder.write("a", "new").write("b", "old");
    chown(folder.root(), Some(65534), Some(65534)).expect("root");
    let copy = |to: &str| {
        let mut command = Command::new(MAPIO);
        command.args(["copy", "a", to]).current_dir(folder.root()).uid(65534).gid(65534);
        command.output()
    };
    let Ok(first) = copy("c") else {
        return skip(test, "another user can't run the executable where it is");
    };
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let fails = |to: &str| {
        let output = copy(to).expect("it has just worked");
        let expected = format!("mapio: cannot create regular file '{to}': Permission denied\n");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(1), expected.into()));
        assert_eq!(folder.read("b"), b"old");
    };
    // Its own file, which it has protected; somebody else's; a folder; and somebody else's that it may write to.
    chown(folder.path("b"), Some(65534), Some(65534)).expect("root");
    fs::set_permissions(folder.path("b"), Permissions::from_mode(0o444)).expect("root");
    fails("b");
    chown(folder.path("b"), Some(0), Some(0)).expect("root");
    fails("b");
    chown(folder.root(), Some(0), Some(0)).expect("root");
    fs::set_permissions(folder.root(), Permissions::from_mode(0o755)).expect("root");
    fails("d");
    fs::set_permissions(folder.path("b"), Permissions::from_mode(0o666)).expect("root");
    assert_eq!(copy("b").expect("it has just worked").status.code(), Some(0));
    assert_eq!(folder.read("b"), b"new");
    assert_eq!(folder.names(), ["a", "b", "c"]);
}
