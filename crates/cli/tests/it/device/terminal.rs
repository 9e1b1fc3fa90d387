//! `mapio device` with somebody at a terminal: what is asked, and what is drawn in place.

use std::fs;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use mapio_testkit::skip;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use super::{header, machine, text_mode};
use crate::support::{Folder, MAPIO};

/// A terminal: the side of the person, and that of the program.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let person = openpt(flags).expect("a terminal");
    grantpt(&person).and_then(|()| unlockpt(&person)).expect("a terminal");
    let program = ioctl_tiocgptpeer(&person, flags).expect("a terminal");
    (File::from(person), program)
}

/// What has been written to a terminal that no program has open any more.
pub(crate) fn shown(mut person: File) -> String {
    let mut bytes = Vec::new();
    // The end is EIO.
    let _ = person.read_to_end(&mut bytes);
    String::from_utf8(bytes).expect("UTF-8")
}

/// A command that has asked somebody at a terminal, and waits for the answer.
struct Asked {
    child: Child,
    person: File,
    question: String,
}

impl Asked {
    fn by(folder: &Folder, words: &[&str]) -> Self {
        let (mut person, program) = terminal();
        let mut command = Command::new(MAPIO);
        command.args(words).current_dir(folder.root()).stdin(program.try_clone().expect("a descriptor"));
        let child = command.stderr(program).stdout(Stdio::null()).spawn().expect("it runs");
        let (mut question, mut byte) = (Vec::new(), [0]);
        while !question.ends_with(b"[y/N] ") {
            person.read_exact(&mut byte).expect("it asks before it ends");
            question.push(byte[0]);
        }
        Self { child, person, question: String::from_utf8(question).expect("UTF-8") }
    }

    /// The exit status after that answer.
    fn answer(mut self, answer: &str) -> Option<i32> {
        self.person.write_all(answer.as_bytes()).expect("a terminal");
        self.child.wait().expect("it ends").code()
    }
}

#[test]
fn on_a_terminal_a_write_to_hardware_is_asked_about() {
    if mapio_testkit::runner().is_some() {
        return skip("on_a_terminal_a_write_to_hardware_is_asked_about", "the command needs a runner here");
    }
    for (answer, status, wanted) in [("n\n", 1, 0x10), ("\n", 1, 0x10), ("\u{4}", 1, 0x10), ("yes\n", 0, 0x7f)] {
        let folder = machine();
        let asked = Asked::by(&folder, &["device", "write", "--root", "machine", "--width", "8", "0x10", "0x7f"]);
        assert_eq!(asked.question, "mapio: write 0x7f to 0x0010 of 0x10? [y/N] ");
        assert_eq!(asked.answer(answer), Some(status), "{answer:?}");
        assert_eq!(folder.read("machine/dev/mem")[0x10], wanted, "{answer:?}");
    }
}

#[test]
fn on_a_terminal_drawing_on_a_real_screen_is_asked_about() {
    if mapio_testkit::runner().is_some() {
        return skip("on_a_terminal_drawing_on_a_real_screen_is_asked_about", "the command needs a runner here");
    }
    for (answer, status, wanted) in [("n\n", 1, *b"\0\0"), ("y\n", 0, *b"H\x07")] {
        let folder = machine();
        text_mode(&folder, 0);
        let asked = Asked::by(&folder, &["device", "screen", "mem", "--text", "Hello.", "--root", "machine"]);
        assert_eq!(asked.question, "mapio: draw on mem? [y/N] ");
        assert_eq!(asked.answer(answer), Some(status), "{answer:?}");
        assert_eq!(folder.read("machine/dev/mem")[0xb_8000..0xb_8002], wanted, "{answer:?}");
    }
}

#[test]
fn the_question_comes_once_and_before_anything_is_read() {
    if mapio_testkit::runner().is_some() {
        return skip("the_question_comes_once_and_before_anything_is_read", "the command needs a runner here");
    }
    let folder = machine();
    let asked = Asked::by(
        &folder,
        &["device", "write", "--root", "machine", "--width", "8", "0x10", "0x03", "--mask", "0x0f", "--count", "3"],
    );
    assert_eq!(asked.question, "mapio: write 0x03 to 0x0010 to 0x0012 of 0x10, 3 writes? [y/N] ");
    // What the device has at the time of the answer is kept, not what it had at that of the question.
    let memory = fs::OpenOptions::new().write(true).open(folder.path("machine/dev/mem")).expect("a file");
    FileExt::write_all_at(&memory, &[0xa0, 0xb0, 0xc0], 0x10).expect("room");
    assert_eq!(asked.answer("y\n"), Some(0));
    assert_eq!(folder.read("machine/dev/mem")[0x10..0x13], [0xa3, 0xb3, 0xc3]);
}

#[test]
fn on_a_terminal_registers_are_drawn_in_place() {
    if mapio_testkit::runner().is_some() {
        return skip("on_a_terminal_registers_are_drawn_in_place", "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("image", header());
    let (person, program) = terminal();
    let mut child = Command::new(MAPIO)
        .args(["device", "watch", "file:image.BAR[0].SPACE", "--block", "pci", "--count", "2", "--interval", "0.001"])
        .current_dir(folder.root())
        .stdin(Stdio::null())
        .stdout(program)
        .spawn()
        .expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let line = "BAR[0].SPACE = 0x0 (memory)\u{1b}[K\r\n";
    assert_eq!(shown(person), format!("{line}\u{1b}[1A{line}"));
}
