//! What is newer than the cp that the table is compared with: written down from GNU's manual of 9.5.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::Folder;

/// A folder with `a`, a newer `b` and an older `c`.
fn folder() -> Folder {
    let folder = Folder::new();
    for (name, seconds) in [("c", 1), ("a", 2), ("b", 3)] {
        folder.write(name, name);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(folder.path(name)).expect("a file").set_modified(time).expect("our own file");
    }
    folder
}

#[test]
fn update_says_which_files_are_replaced() {
    for (options, is_replaced) in [
        // The newer `b`, the older `c`.
        (&["--update=all"][..], [true, true]),
        (&["--update=none"], [false, false]),
        (&["--update=older"], [false, true]),
        (&["--update"], [false, true]),
        (&["-u"], [false, true]),
        (&["-u", "--update=all"], [true, true]),
        (&["--update=none", "-u"], [false, true]),
        (&["--update=all", "-n"], [false, false]),
        (&["-n", "--update=all"], [false, false]),
        (&["--up=ol"], [false, true]),
    ] {
        let folder = folder();
        for (name, is_replaced) in ["b", "c"].into_iter().zip(is_replaced) {
            assert_eq!(folder.done(&[&["copy"], options, &["a", name]].concat()), "");
            assert_eq!(folder.read(name) == b"a", is_replaced, "{options:?} {name}");
        }
    }
}

#[test]
fn update_none_fail_fails() {
    let folder = folder();
    folder.fails_with(1, &["copy", "--update=none-fail", "a", "b"], &["not replacing 'b'"]);
    assert_eq!(folder.read("b"), b"b");
    assert_eq!(folder.done(&["copy", "--update=none-fail", "a", "new"]), "");
    for word in ["none", "none-fail"] {
        let output = folder.mapio(&["copy", "-b", &format!("--update={word}"), "a", "b"]);
        let said = "mapio: --backup is mutually exclusive with -n or --update=none-fail\n\
            Try 'mapio copy --help' for more information.\n";
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(1), said.into()));
    }
}

#[test]
fn keep_directory_symlink_follows_links_to_folders_in_the_destination() {
    let folder = Folder::new();
    for name in ["from", "from/d", "to", "elsewhere"] {
        fs::create_dir(folder.path(name)).expect("room");
    }
    folder.write("from/d/f", "f");
    symlink("../elsewhere", folder.path("to/d")).expect("room");
    let refusal = "cannot overwrite non-directory 'to/d' with directory 'from/d'";
    folder.fails_with(1, &["copy", "-r", "from/.", "to"], &["'to/./d'"]);
    folder.fails_with(1, &["copy", "-rT", "from", "to"], &[refusal]);
    folder.done(&["copy", "-rT", "--keep-directory-symlink", "from", "to"]);
    assert_eq!(folder.read("elsewhere/f"), b"f");
    assert!(folder.path("to/d").is_symlink());
}

#[test]
fn debug_says_each_name_and_how_it_was_copied() {
    let folder = folder();
    let said = folder.done(&["copy", "--debug", "--reflink=never", "--engine=read-write", "a", "b"]);
    assert_eq!(said, "'a' -> 'b'\ncopy offload: no, reflink: no, sparse detection: no\n");
    assert_eq!(folder.done(&["copy", "--debug", "-s", "a", "new"]), "'a' -> 'new'\n");
}
