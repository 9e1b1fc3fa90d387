//! Sections of Windows, which end with their last handle, and programs that know nothing of mapio.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use mapio_shared::channel::CONTENTS;
use mapio_testkit::{Interrupter, skip, started};

use super::{ends_in_order, is_gone, is_written_and_read, keeper, line_of, parse};
use crate::support::{self, Folder, Name};

#[test]
fn a_section_is_kept_by_who_has_made_it() {
    let test = "shared::windows::a_section_is_kept_by_who_has_made_it";
    let mut interrupter = Interrupter::start(test);
    let (folder, name) = (Folder::new(), Name::new());
    ends_in_order(&folder, &name, &["--size", "10"], |child| interrupter.interrupt(child));
    ends_in_order(&folder, &name, &["--size", "10", "--lifetime", "last-handle"], |child| interrupter.interrupt(child));
    let mut child = keeper(&name, &["--size", "8k", "--mode", "644", "--contents", "board", "--layout", "ff"]);
    is_written_and_read(&folder, &name.0);
    // It goes by either name.
    is_written_and_read(&folder, &format!(r"Local\{}", name.0));
    folder.fails(&["shared", "create", &name.0, "--size", "8k"], &["exists already"]);
    for listed in [folder.done(&["shared", "list"]), folder.done(&["shared", "list", &name.0])] {
        let row = listed.lines().find(|row| row.starts_with(&name.0)).expect("a row").to_owned();
        for part in ["section", "8192", "last-handle", "board"] {
            assert!(row.contains(part), "{row}");
        }
    }
    assert_eq!(folder.done(&["shared", "clean"]), "");
    assert_eq!(folder.done(&["shared", "remove", &name.0]), "");
    is_gone(&folder, &name.0);
    assert!(!folder.done(&["shared", "list"]).contains(&name.0));
    interrupter.interrupt(&child);
    assert_eq!(child.wait().expect("own child").code(), Some(0));
}

#[test]
fn a_channel_that_is_a_section_is_kept_by_create() {
    let test = "shared::windows::a_channel_that_is_a_section_is_kept_by_create";
    let mut interrupter = Interrupter::start(test);
    let (folder, name) = (Folder::new(), Name::new());
    let mut child = support::start(&["channel", "create", "--capacity", "4", &name.0]);
    assert_eq!(line_of(&mut BufReader::new(child.stdout.take().expect("a pipe"))), name.0);
    let listed = parse(&folder.done(&["shared", "list", "--json", &name.0]));
    assert_eq!(
        (&listed["contents"], &listed["mode"], &listed["user"]),
        (&CONTENTS.into(), &parse("null"), &parse("null"))
    );
    interrupter.interrupt(&child);
    assert_eq!(child.wait().expect("own child").code(), Some(0));
    folder.fails(&["channel", "stat", &name.0], &["does not exist"]);
}

#[test]
fn what_sections_can_not_be_is_refused_by_name() {
    let (folder, name) = (Folder::new(), Name::new());
    let create = |words: &[&str], parts: &[&str]| {
        folder.fails(&[&["shared", "create", "--size", "10", &*name.0], words].concat(), parts);
    };
    create(&["--lifetime", "until-removed"], &["ends with its last handle"]);
    create(&["--owner", "1"], &["'--owner': Windows"]);
    create(&["--mode", "888"], &["'888' is not a mode"]);
    for name in ["sysv:17", "sysv-id:1", "sysv:private"] {
        folder.fails(&["shared", "create", "--size", "10", name], &["System V shared memory is not on Windows"]);
    }
    folder.fails(&["shared", "read", r"a\b"], &["backslash"]);
    is_gone(&folder, &name.0);
}

/// A program in C that knows the calls of Windows alone, and what it says.
fn win32_peer(words: &[&str]) -> Option<(Child, BufReader<ChildStdout>)> {
    let mut command = Command::new(std::env::var_os("MAPIO_WIN32_PEER")?);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = started(|| command.spawn()).expect("it runs");
    let said = BufReader::new(child.stdout.take().expect("a pipe"));
    Some((child, said))
}

/// The program has ended in order.
fn ended((mut child, _): (Child, BufReader<ChildStdout>)) {
    assert!(child.wait().expect("own child").success());
}

#[test]
fn a_section_of_a_win32_program_is_listed_read_and_written() {
    let test = "shared::windows::a_section_of_a_win32_program_is_listed_read_and_written";
    let (folder, name) = (Folder::new(), Name::new());
    let Some(mut maker) = win32_peer(&["make", &format!(r"Local\{}", name.0), "made in C"]) else {
        return skip(test, "MAPIO_WIN32_PEER does not name the program made of crates/testkit/win32/peer.c");
    };
    assert_eq!(line_of(&mut maker.1), "made");
    assert_eq!(folder.done(&["shared", "read", &name.0, "--len", "9"]), "made in C");
    let listed = folder.done(&["shared", "list"]);
    let row = listed.lines().find(|row| row.starts_with(&name.0)).expect("a row");
    // Whole pages.
    assert!(row.contains("section") && row.contains("102400") && row.ends_with("raw"), "{row}");
    assert!(folder.done(&["shared", "show", &name.0]).contains("|made in C.......|"));
    assert_eq!(folder.done(&["shared", "write", &name.0, "--text", "seen"]), "");
    writeln!(maker.0.stdin.as_mut().expect("a pipe"), "go on").expect("it reads");
    assert_eq!(line_of(&mut maker.1), "seen in C");
    ended(maker);
    is_gone(&folder, &name.0);
}

#[test]
fn a_win32_program_reads_and_writes_a_raw_section() {
    let test = "shared::windows::a_win32_program_reads_and_writes_a_raw_section";
    let mut interrupter = Interrupter::start(test);
    let (folder, name) = (Folder::new(), Name::new());
    let full_name = format!(r"Local\{}", name.0);
    let mut child = keeper(&name, &["--size", "100000", "--raw"]);
    assert_eq!(folder.done(&["shared", "write", &name.0, "--offset", "64k", "--text", "at 64 KiB"]), "");
    match win32_peer(&["read", &full_name, "65536"]) {
        Some(mut reader) => {
            assert_eq!(line_of(&mut reader.1), "at 64 KiB");
            ended(reader);
            let mut writer = win32_peer(&["write", &full_name, "from C"]).expect("as before");
            assert_eq!(line_of(&mut writer.1), "written");
            ended(writer);
            assert_eq!(folder.done(&["shared", "read", &name.0, "--len", "6"]), "from C");
        }
        None => skip(test, "MAPIO_WIN32_PEER does not name the program made of crates/testkit/win32/peer.c"),
    }
    interrupter.interrupt(&child);
    assert_eq!(child.wait().expect("own child").code(), Some(0));
    is_gone(&folder, &name.0);
}
