//! What Linux tells of pages: which are in memory, to whom, and of which files; and what SIGTERM ends.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use mapio_testkit::{pattern, runner, skip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Running, number, one, page, pages, parse};
use crate::support::{Folder, MAPIO};

/// Magic of tmpfs, whose pages have nowhere else to be.
const TMPFS_MAGIC: u32 = 0x0102_1994;

/// Whether pages of the folder's files can leave memory; says so if not.
fn can_evict(folder: &Folder, test: &str) -> bool {
    let magic = rustix::fs::statfs(folder.root()).map(|fs| fs.f_type);
    let can = magic.is_ok_and(|magic| magic.to_le_bytes()[..4] != TMPFS_MAGIC.to_le_bytes());
    if !can {
        skip(test, "on tmpfs nothing can be evicted");
    }
    can
}

#[test]
fn what_was_written_is_in_memory_and_what_is_evicted_is_not() {
    let folder = Folder::new();
    let len = 100 * page() + 1;
    folder.write("a", pattern(usize::try_from(len).unwrap()));
    let written = one(&folder, &["a"]);
    let all = json!([[0, len]]);
    assert_eq!((number(&written["bytes"]), number(&written["pages"])), (len, 101));
    assert_eq!((number(&written["resident_pages"]), number(&written["resident_bytes"])), (101, len));
    assert_eq!((&written["percent"], &written["ranges"]), (&json!(100.0), &all));
    if can_evict(&folder, "what_was_written_is_in_memory_and_what_is_evicted_is_not") {
        let evicted = one(&folder, &["--evict", "a"]);
        assert!(number(&evicted["resident_pages"]) <= 10, "{evicted}");
        assert!(evicted["dirty_pages"].is_null() || evicted["dirty_pages"] == 0, "{evicted}");
        let warm = one(&folder, &["--warm", "a"]);
        assert_eq!((number(&warm["resident_pages"]), &warm["ranges"]), (101, &all));
    }
    assert_eq!(folder.read("a"), pattern(usize::try_from(len).unwrap()));
}

#[test]
fn the_picture_of_a_file_half_warm_is_half_full() {
    let folder = Folder::new();
    folder.write("a", vec![7; 8 << 20]);
    if !can_evict(&folder, "the_picture_of_a_file_half_warm_is_half_full") {
        return;
    }
    folder.done(&["pages", "--evict", "a"]);
    folder.done(&["pages", "--warm", "--range", "..4m", "a"]);
    let said = folder.done(&["pages", "--ascii", "a"]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[0].starts_with("'a': 8.38 MB, ") && lines[0].ends_with(" to a cell"), "{said}");
    assert!(lines[1].starts_with("  in memory: "), "{said}");
    let cells = lines[2].strip_prefix("  [").and_then(|rest| rest.strip_suffix(']')).expect("a picture");
    assert_eq!(cells.len(), 76, "80 columns");
    // Page size and read-ahead may add a little behind the half.
    assert_eq!((&cells[..38], cells[50..].trim()), ("#".repeat(38).as_str(), ""), "{said}");
    assert_eq!(lines[3], "  a cell: ' ' none in memory, . up to 1/3, o up to 2/3, O less than all, # all");
    assert!(folder.done(&["pages", "a"]).contains(&"█".repeat(38)));
}

#[test]
fn fincore_and_vmtouch_count_the_same() {
    let test = "fincore_and_vmtouch_count_the_same";
    let folder = Folder::new();
    folder.write("a", vec![7; 4 << 20]);
    if can_evict(&folder, test) {
        folder.done(&["pages", "--evict", "a"]);
        folder.done(&["pages", "--warm", "--length", "2m", "a"]);
    }
    let ours = || number(&one(&folder, &["a"])["resident_pages"]);
    let theirs = |name: &str, words: &[&str]| {
        let output = Command::new(name).args(words).current_dir(folder.root()).output();
        let output = output.ok().filter(|output| output.status.success())?;
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        // The only number, or the one before the slash of `Resident Pages: 512/1024`.
        let number_of =
            |line: &str| line.trim().trim_start_matches("Resident Pages: ").split('/').next()?.parse::<u64>().ok();
        let number = said.lines().find_map(number_of);
        Some(number.unwrap_or_else(|| panic!("{name}: no number in {said}")))
    };
    let others = [("fincore", &["--bytes", "--noheadings", "-o", "PAGES", "a"][..]), ("vmtouch", &["a"])];
    for (name, words) in others {
        // The kernel may take pages out at any time: what counts is that nothing changed around the question.
        let (before, counted) = loop {
            let (before, counted, after) = (ours(), theirs(name, words), ours());
            if before == after {
                break (before, counted);
            }
        };
        match counted {
            Some(counted) => assert_eq!(before, counted, "{name}"),
            None => skip(test, &format!("{name} is not installed")),
        }
    }
}

#[test]
fn a_range_may_start_and_end_at_any_byte() {
    let folder = Folder::new();
    let len = 10 * page();
    folder.write("a", vec![7; usize::try_from(len).unwrap()]);
    let range = |words: &[&str]| {
        let file = one(&folder, &[words, &["a"]].concat());
        (number(&file["pages"]), number(&file["resident_bytes"]), file["ranges"].clone())
    };
    let cut = |start: u64, end: u64| format!("{start}..{end}");
    assert_eq!(range(&["--range", &cut(1, page())]), (1, page() - 1, json!([[1, page() - 1]])));
    assert_eq!(range(&["--range", &cut(1, page() + 1)]), (2, page(), json!([[1, page()]])));
    let last = (len - 1).to_string();
    assert_eq!(range(&["--offset", &last]), (1, 1, json!([[len - 1, 1]])));
    assert_eq!(range(&["--offset", &last, "--length", "16g"]), (1, 1, json!([[len - 1, 1]])));
    assert_eq!(range(&["--length", "0"]), (0, 0, json!([])));
    assert_eq!(range(&["--range", &format!("{len}..")]), (0, 0, json!([])));
    let said = folder.done(&["pages", "--range", "1..2", "a"]);
    assert!(said.contains("from 1 to 2: 1 B, 1 page of "), "{said}");
    let behind = (len + 1).to_string();
    folder.fails(&["pages", "--offset", &behind, "a"], &["'a' has", "none at offset"]);
}

#[test]
fn a_tree_counts_each_inode_once_and_goes_through_links_only_if_asked_to() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("tree/sub")).expect("room");
    folder.write("tree/a", "four").write("tree/sub/b", "seven..").write("outside", "outside").write("tree/empty", "");
    fs::write(folder.path("tree").join(OsStr::from_bytes(b"\xff\xfe")), "odd").expect("room");
    fs::hard_link(folder.path("tree/a"), folder.path("tree/sub/hard")).expect("room");
    symlink("../outside", folder.path("tree/link")).expect("room");
    symlink("..", folder.path("tree/sub/up")).expect("room");
    symlink("sub/b", folder.path("tree/again")).expect("room");
    let counted = |words: &[&str]| {
        let total = &pages(&folder, words)["total"];
        (number(&total["files"]), number(&total["bytes"]), number(&total["resident_bytes"]))
    };
    assert_eq!(counted(&["tree"]), (4, 14, 14));
    assert_eq!(counted(&["--follow", "tree"]), (5, 21, 21));
    assert_eq!(counted(&["tree", "tree/sub", "tree/a"]), (4, 14, 14));
    assert_eq!(counted(&["tree/link", "outside"]), (1, 7, 7), "named, a link is followed");
    let both = pages(&folder, &["tree/a", "tree/sub/hard"]);
    let before: Vec<_> = both["files"].as_array().expect("files").iter().map(|file| &file["counted_before"]).collect();
    assert_eq!(before, [&json!(false), &json!(true)]);
    assert_eq!(pages(&folder, &["tree"])["files"], json!([]), "files of a tree are listed on demand");
    let tree = pages(&folder, &["--verbose", "tree"]);
    assert_eq!(tree["files"].as_array().map(Vec::len), Some(4));
    assert_eq!(tree["folders"][0]["largest"][0], json!({"path": "tree/sub/b", "bytes": 7, "resident_bytes": 7}));
    let said = folder.done(&["pages", "--verbose", "tree", "outside"]);
    assert!(said.contains("'tree': 4 files, 14 B, 3 pages of ") && said.contains("total: 5 files, 21 B"), "{said}");
    assert!(said.contains("tree/\u{fffd}\u{fffd}\n"), "{said}");
}

#[test]
fn another_file_system_is_left_out_if_asked_to() {
    let test = "another_file_system_is_left_out_if_asked_to";
    let folder = Folder::new();
    folder.write("a", "four");
    fs::create_dir(folder.path("mounted")).expect("room");
    if runner().is_some() {
        return skip(test, "the command needs a runner here");
    }
    // The mount is gone with the process that sees it.
    let count = |option: &str| {
        let script = "mount -t tmpfs mapio-test mounted && echo other > mounted/b && exec \"$0\" pages --json $1 .";
        let words = ["--mount", "sh", "-c", script, MAPIO, option];
        let output = Command::new("unshare").args(words).current_dir(folder.root()).output().ok()?;
        let said = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
        Some(number(&parse(&said)["total"]["files"]))
    };
    let Some(both) = count("") else {
        return skip(test, "mounting a tmpfs needs root");
    };
    assert_eq!((both, count("--one-file-system")), (2, Some(1)));
}

/// Root may look at everything, so this runs the command as somebody else.
#[test]
fn what_the_kernel_does_not_tell_is_unknown_and_no_hundred_percent() {
    let test = "what_the_kernel_does_not_tell_is_unknown_and_no_hundred_percent";
    let folder = Folder::new();
    if !rustix::process::geteuid().is_root() || runner().is_some() {
        return skip(test, "becoming another user needs root, and no runner");
    }
    fs::set_permissions(folder.root(), Permissions::from_mode(0o755)).expect("own folder");
    fs::create_dir(folder.path("tree")).expect("room");
    let modes = [("others", 0o644), ("writable", 0o666), ("tree/secret", 0o600), ("tree/open", 0o644)];
    for (name, mode) in modes {
        folder.write(name, "bytes");
        fs::set_permissions(folder.path(name), Permissions::from_mode(mode)).expect("own file");
    }
    let run = |words: &[&str]| -> Option<Output> {
        let mut command = Command::new(MAPIO);
        command.args(["pages", "--json"]).args(words).current_dir(folder.root()).uid(65534).gid(65534);
        command.output().ok()
    };
    let Some(output) = run(&["others", "writable"]) else {
        return skip(test, "another user can't run the executable where it is");
    };
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = parse(&String::from_utf8(output.stdout).expect("UTF-8"));
    let resident: Vec<_> = (0..2).map(|file| &said["files"][file]["resident_pages"]).collect();
    assert_eq!(resident, [&Value::Null, &json!(1)], "{said}");
    assert_eq!((&said["total"]["unknown_files"], &said["total"]["resident_pages"]), (&json!(1), &json!(1)));
    // The walk goes on, and the exit status tells.
    let output = run(&["tree"]).expect("it has just worked");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), complaint.lines().count()), (Some(2), 1), "{output:?}");
    assert!(complaint.contains("opening 'tree/secret': Permission denied"), "{complaint}");
    assert_eq!(parse(&String::from_utf8(output.stdout).expect("UTF-8"))["total"]["files"], 1);
    // What needs the right to write says so.
    let output = run(&["--touch", "write", "others"]).expect("it has just worked");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("'others': Permission denied"), "{output:?}");
}

#[test]
fn a_sparse_file_of_a_tebibyte_takes_no_memory_to_look_at() {
    let folder = Folder::new();
    let made = fs::File::create(folder.path("a")).and_then(|file| file.set_len(1 << 40));
    if let Err(error) = made {
        let test = "a_sparse_file_of_a_tebibyte_takes_no_memory_to_look_at";
        return skip(test, &format!("the file system has no such files: {error}"));
    }
    if runner().is_some() {
        return;
    }
    let limited = format!("ulimit -d 200000; exec '{MAPIO}' pages --json a");
    let output = Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let file = parse(&String::from_utf8(output.stdout).expect("UTF-8"))["files"][0].take();
    assert_eq!((number(&file["bytes"]), number(&file["resident_pages"])), (1 << 40, 0));
}

#[test]
fn touching_counts_faults() {
    let folder = Folder::new();
    folder.write("a", pattern(usize::try_from(100 * page()).unwrap()));
    let faults = |words: &[&str]| {
        let touched = one(&folder, &[words, &["a"]].concat())["touched"].take();
        number(&touched["minor_faults"]) + number(&touched["major_faults"])
    };
    assert!(faults(&["--touch", "read"]) > 0);
    assert!(faults(&["--touch", "write", "--private"]) >= 100, "a fault for each copy");
}

#[test]
fn files_of_other_kinds_are_refused_by_name_and_passed_by_in_folders() {
    let folder = Folder::new();
    folder.write("empty", "").write("a", "bytes");
    assert!(folder.done(&["pages", "--evict", "empty"]).starts_with("'empty': 0 B, no pages\n"));
    folder.fails(&["pages", "a/b"], &["'a/b'", "Not a directory"]);
    folder.fails(&["pages", "/dev/null"], &["'/dev/null' is a character device"]);
    let pipe = Command::new("mkfifo").arg(folder.path("pipe")).status();
    if pipe.is_ok_and(|status| status.success()) {
        folder.fails(&["pages", "pipe"], &["'pipe' is a pipe, not a regular file"]);
        assert!(folder.done(&["pages", "."]).starts_with("'.': 2 files, "), "in a folder it is passed by");
    }
}

#[test]
fn the_kernel_counts_the_locked_pages_until_sigterm() {
    let test = "pages::linux::the_kernel_counts_the_locked_pages_until_sigterm";
    if runner().is_some() {
        return skip(test, "the signal would go to the runner");
    }
    let folder = Folder::new();
    // Less than any usual limit of locked memory.
    folder.write("a", vec![7; 40_000]).write("b", vec![7; 1]);
    let mut running = Running::new(&folder, &["--lock", "a", "b"]);
    running.until("locked ");
    let status = fs::read_to_string(format!("/proc/{}/status", running.child.id())).expect("Linux");
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("a line").trim();
    let pages = 40_000u64.div_ceil(page()) + 1;
    assert_eq!(locked, format!("{} kB", pages * page() / 1024));
    let end = |child: &_| kill_process(Pid::from_child(child), Signal::TERM).expect("own child");
    assert_eq!(running.end(end), Some(0));
}
