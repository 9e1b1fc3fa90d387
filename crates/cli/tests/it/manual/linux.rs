//! Pages are read, scripts loaded and examples run by those that they are for.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mapio_shared::SharedObject;
use mapio_testkit::{pattern, runner, skip};

use super::commands;
use crate::device::terminal::{shown, terminal};
use crate::support::{Folder, MAPIO, Name};

/// Whether a program is there; says that a part of `test` is skipped if not.
fn is_there(test: &str, program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\" > /dev/null", program]).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        skip(test, &format!("there is no {program}"));
    }
    found
}

#[test]
fn pages_are_without_errors_and_everybody_may_read_them() {
    let test = "manual::pages_are_without_errors_and_everybody_may_read_them";
    let folder = Folder::new();
    commands(&folder);
    let page = fs::metadata(folder.path("pages/mapio.1")).expect("a page");
    let others = fs::metadata(folder.write("new", "").path("new")).expect("a file");
    assert_eq!(page.permissions().mode(), others.permissions().mode());
    if !is_there(test, "mandoc") {
        return;
    }
    let all = "mandoc -T lint -W error pages/*.1 && mandoc -T utf8 pages/mapio-copy.1 | col -b";
    let output = Command::new("bash").args(["-c", all]).current_dir(folder.root()).output().expect("bash runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for part in ["MAPIO-COPY(1)", "--io-limit <BYTES>", "-b, --backup[=<CONTROL>]", "WHAT ONLY MAPIO HAS", "EXAMPLES"] {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

#[test]
fn pages_that_are_replaced_keep_their_permissions_and_links_lead_to_them() {
    let folder = Folder::new();
    fs::create_dir(folder.path("pages")).expect("room");
    for name in ["elsewhere", "pages/mapio-log.1"] {
        folder.write(name, "old");
        fs::set_permissions(folder.path(name), Permissions::from_mode(0o600)).expect("own file");
    }
    symlink("../elsewhere", folder.path("pages/mapio.1")).expect("room");
    folder.done(&["man", "--dir", "pages"]);
    assert!(folder.path("pages/mapio.1").is_symlink());
    for name in ["elsewhere", "pages/mapio-log.1"] {
        let mode = fs::metadata(folder.path(name)).expect("a page").permissions().mode();
        assert!(mode & 0o777 == 0o600 && folder.read(name).len() > 100, "{name}: {mode:o}");
    }
    // A link to nothing is somebody's, and no page.
    fs::remove_file(folder.path("elsewhere")).expect("own file");
    folder.write("pages/mapio-log.1", "old");
    folder.fails(&["man", "--dir", "pages"], &["'pages/mapio.1' is there, and is not a regular file"]);
    assert_eq!(folder.read("pages/mapio-log.1"), b"old");
    assert!(folder.path("pages/mapio.1").is_symlink());
}

#[test]
fn a_page_that_must_not_be_replaced_is_refused_before_any_is_written() {
    let test = "manual::linux::a_page_that_must_not_be_replaced_is_refused_before_any_is_written";
    if !rustix::process::geteuid().is_root() || runner().is_some() {
        return skip(test, "becoming another user needs root, and no runner");
    }
    const NOBODY: u32 = 65534;
    let folder = Folder::new();
    let pages = folder.path("pages");
    fs::create_dir(&pages).expect("room");
    fs::set_permissions(folder.root(), Permissions::from_mode(0o755)).expect("own folder");
    let man = || {
        let mut command = Command::new(MAPIO);
        command.args(["man", "--dir", "pages"]).current_dir(folder.root()).uid(NOBODY).gid(NOBODY).output()
    };
    // Nobody's own that is protected; root's that everybody may write to, in a folder where only its owner may replace
    // it; and in one where everybody may.
    for (owner, mode, folder_mode, reason) in [
        (NOBODY, 0o400, 0o777, Some("Permission denied")),
        (0, 0o666, 0o1777, Some("it is another's, and the folder is sticky")),
        (0, 0o666, 0o777, None),
    ] {
        fs::set_permissions(&pages, Permissions::from_mode(folder_mode)).expect("own folder");
        let page = pages.join("mapio-shared-write.1");
        fs::write(&page, "old").expect("room");
        fs::set_permissions(&page, Permissions::from_mode(mode)).expect("own file");
        chown(&page, Some(owner), Some(owner)).expect("root");
        let Ok(output) = man() else {
            return skip(test, "another user can't run the executable where it is");
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = reason.map(|reason| format!("mapio: writing 'pages/mapio-shared-write.1': {reason}\n"));
        assert_eq!(said, expected.clone().unwrap_or_default(), "{output:?}");
        assert_eq!(output.status.code(), Some(if expected.is_some() { 2 } else { 0 }));
        let count = fs::read_dir(&pages).expect("a folder").count();
        assert_eq!(expected.is_some(), count == 1 && fs::read(&page).expect("a page") == b"old", "{count}");
    }
    // It was not nobody's to give away, and another group than its own is not allowed what that one was.
    let mode = fs::metadata(pages.join("mapio-shared-write.1")).expect("a page").permissions().mode();
    assert_eq!(mode & 0o777, 0o606);
}

#[test]
fn pages_that_do_not_fit_leave_what_was_there() {
    if runner().is_some() {
        return skip("manual::linux::pages_that_do_not_fit_leave_what_was_there", "the command needs a runner");
    }
    let folder = Folder::new();
    fs::create_dir(folder.path("pages")).expect("room");
    folder.write("pages/mapio.1", "old");
    // In blocks of 1024 bytes: all pages but that of copy are shorter.
    let limited = format!("ulimit -f 4; exec '{MAPIO}' man --dir pages");
    let output = Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(2), "mapio: writing 'pages/mapio-copy.1': File too large\n"));
    assert_eq!(folder.read("pages/mapio.1"), b"old");
    assert_eq!(fs::read_dir(folder.path("pages")).expect("a folder").count(), 1);
}

#[test]
fn each_shell_accepts_its_completions() {
    let test = "manual::each_shell_accepts_its_completions";
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        folder.write("script", folder.done(&["completions", shell]));
        if !is_there(test, shell) {
            continue;
        }
        let run = |words: &[&str]| {
            // Its settings are nobody's.
            let mut command = Command::new(shell);
            let output = command.args(words).env("HOME", folder.root()).current_dir(folder.root()).output();
            output.expect("it runs")
        };
        let output = run(&["-n", "script"]);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}: {output:?}");
        if shell == "fish" {
            let output = run(&["-c", "source script; complete -C 'mapio copy --sync=t'"]);
            assert!(String::from_utf8_lossy(&output.stdout).starts_with("--sync=tree"), "{output:?}");
        }
    }
    // Of these two the scripts are only looked at.
    for shell in ["elvish", "powershell"] {
        let script = folder.done(&["completions", shell]);
        assert!(script.contains("--io-limit") && script.contains("mapio;device;serial"), "{shell}: {script}");
    }
}

#[test]
fn bash_completes_words_at_a_terminal() {
    let folder = Folder::new();
    let script = folder.done(&["completions", "bash"]);
    folder.write("script", format!("PS1='ready> '\n{script}"));
    // A Tab completes the word, Ctrl-U forgets the line.
    for (typed, completed) in [
        ("mapio chan\t", "mapio channel "),
        ("mapio copy --io-l\t", "mapio copy --io-limit "),
        ("mapio copy --engine mapped-s\t", "mapio copy --engine mapped-source "),
        ("mapio device ser\t", "mapio device serial "),
        ("mapio copy --sync rea\t", "mapio copy --sync really-a-file "),
    ] {
        folder.write("really-a-file", "");
        let (mut person, program) = terminal();
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--rcfile", "script", "-i"]).env("TERM", "dumb").current_dir(folder.root());
        // Where it writes its history.
        bash.env("HOME", folder.root());
        bash.stdin(program.try_clone().expect("a descriptor")).stdout(program.try_clone().expect("a descriptor"));
        let mut child = bash.stderr(program).spawn().expect("bash runs");
        drop(bash);
        // Before it asks for a line, the terminal would take Ctrl-U for its own.
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !seen.ends_with(b"ready> ") {
            person.read_exact(&mut byte).expect("it asks for a line");
            seen.push(byte[0]);
        }
        person.write_all(format!("{typed}\u{15}exit\r").as_bytes()).expect("a terminal");
        let rest = shown(person);
        child.wait().expect("it ends");
        assert!(rest.contains(completed), "{typed:?}: {rest:?}");
    }
}

#[test]
fn every_example_of_the_help_runs() {
    let test = "manual::every_example_of_the_help_runs";
    if runner().is_some() {
        return skip(test, "the commands need a runner here");
    }
    let path = Path::new(MAPIO).parent().expect("target/debug").display();
    let path = format!("{path}:{}", std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for words in commands(&Folder::new()) {
        let scene = Scene::new();
        let help = scene.folder.done(&words.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>());
        let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("Example: ")).collect();
        assert!(!examples.is_empty() || words.is_empty(), "{words:?}: {help}");
        for example in examples {
            scene.run(example, &words, &path);
            ran += 1;
        }
    }
    assert!(ran > 40, "only {ran} examples were found");
}

/// What the examples find: files and folders, an object, a channel and a log.
struct Scene {
    folder: Folder,
    frames: Name,
    numbers: Name,
}

impl Scene {
    fn new() -> Self {
        let folder = Folder::new();
        folder
            .write("old.img", pattern(100_000))
            .write("new.img", pattern(100_000))
            .write("disk.img", pattern(100_000));
        for name in ["man1", "photos", "machine"] {
            fs::create_dir(folder.path(name)).expect("room");
        }
        folder.write("photos/one", "bytes");
        Self { folder, frames: Name::new(), numbers: Name::new() }
    }

    /// Runs an example, after what it takes for granted is there. That of hardware is run on a machine without any.
    fn run(&self, example: &str, words: &[String], path: &str) {
        let (frames, numbers) = (&self.frames.0, &self.numbers.0);
        let makes = |verb: &str| words.last().is_some_and(|last| last == verb) || words.len() == 1;
        let bash = |command: &str| {
            let mut bash = Command::new("bash");
            bash.args(["-o", "pipefail", "-c", command]).env("PATH", path).current_dir(self.folder.root());
            bash.stdin(Stdio::null()).output().expect("bash runs")
        };
        let done = |command: &str| {
            let output = bash(command);
            assert!(output.status.success(), "{command}: {output:?}");
        };
        if example.contains(" frames") && !makes("create") {
            done(&format!("mapio shared create {frames} --size 1m"));
        }
        if example.contains(" numbers") && !makes("create") && !makes("send") {
            done(&format!("seq 10 | mapio channel send {numbers}"));
        }
        if example.contains(" journal") && !makes("append") {
            done("seq 10 | mapio log append journal");
        }
        let command = example.replace(" frames", &format!(" {frames}")).replace(" numbers", &format!(" {numbers}"));
        let is_hardware = words.first().is_some_and(|first| first == "device")
            && !example.contains("sim:")
            && !example.contains("device list");
        if !is_hardware {
            done(&command);
        } else {
            // Nor would a machine that has the device want it touched.
            let output = bash(&format!("{} --root machine", command.replace("dmesg", "echo text")));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
            let reasons = ["there is no such device", "No such file or directory"];
            assert!(reasons.iter().any(|reason| stderr.contains(reason)), "{command}: {stderr}");
        }
        // The next example of this help may make it.
        if !example.contains(" send ") {
            for name in [frames, numbers] {
                // Most are not there.
                let _ = SharedObject::remove(name);
            }
        }
    }
}
