//! `mapio device serial` on simulated ports: through pipes, on a terminal, and with a program at the other end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use mapio_testkit::pattern;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::support::{Folder, MAPIO};

/// Sends to a port whose other end sends everything back.
fn echoed(words: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial"]).args(words).args(["--linger", "300ms"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
    let output = child.wait_with_output().expect("own child");
    assert!(output.status.success(), "{words:?}: {output:?}");
    output.stdout
}

#[test]
fn what_is_sent_to_an_echo_comes_back() {
    let sent = pattern(3000);
    for target in ["sim:16550", "sim:pl011"] {
        for wait in ["--poll", "--interrupt"] {
            let words = [target, wait, "--baud", "1000000", "--flow", "rts-cts"];
            assert!(echoed(&words, &sent) == sent, "{words:?}");
        }
    }
    let words = ["sim:16550", "--bits", "7", "--parity", "even", "--stop", "2", "--flow", "xon-xoff"];
    assert_eq!(echoed(&words, b"seven bits"), b"seven bits");
}

#[test]
fn what_can_t_be_a_port_is_refused_in_one_line() {
    let folder = Folder::new();
    folder.write("image", [0; 8]);
    for (words, part) in [
        (&["sim:pci"][..], "sim:pci is no serial port but pci"),
        (&["sim:16550", "--baud", "1"], "a clock of 48000000 Hz does not make 1 baud"),
        (&["sim:16550", "--chip", "pl011"], "another chip than --chip says"),
        (&["file:image", "--pty"], "--pty is for simulated ports"),
        (&["file:image", "--interrupt"], "has no interrupt that a program can wait for"),
        (&["file:image", "--chip", "pl011"], "and not 0x1000 from offset 0x0"),
        (&["com9"], "'com9' is no target"),
    ] {
        let words = [&["device", "serial"], words].concat();
        let output = folder.mapio(&words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(stderr.contains(part), "{words:?}: {stderr}");
    }
}

/// A terminal, and the program on it.
fn on_terminal(words: &[&str]) -> (File, OwnedFd, Child) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&controller).expect("own one");
    unlockpt(&controller).expect("own one");
    let name = ptsname(&controller, Vec::new()).expect("it has one");
    let terminal = File::options().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("own one");
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial"]).args(words).stdin(terminal.try_clone().expect("a descriptor"));
    command.stdout(terminal.try_clone().expect("a descriptor")).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It says so once the terminal is raw.
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("Ctrl-] ends it."), "{line}");
    (File::from(controller), terminal.into(), child)
}

/// Bits of the terminal that raw mode takes away.
fn is_cooked(terminal: &OwnedFd) -> bool {
    tcgetattr(terminal).expect("a terminal").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
}

#[test]
fn keys_go_to_the_port_and_the_terminal_is_as_before() {
    for (target, wait) in [("sim:16550", "--interrupt"), ("sim:pl011", "--poll")] {
        let (mut keys, terminal, mut child) = on_terminal(&[target, wait]);
        assert!(!is_cooked(&terminal));
        keys.write_all(b"hi\x03").expect("it reads");
        let mut shown = [0; 3];
        keys.read_exact(&mut shown).expect("it shows");
        assert_eq!(&shown, b"hi\x03", "Ctrl-C is a byte like others");
        keys.write_all(&[0x1d]).expect("it reads");
        assert!(child.wait().expect("own child").success());
        assert!(is_cooked(&terminal));

        let (_keys, terminal, mut child) = on_terminal(&[target, wait]);
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not 0");
        kill_process(pid, Signal::TERM).expect("own child");
        child.wait().expect("own child");
        assert!(is_cooked(&terminal), "also after SIGTERM");
    }
}

#[test]
fn a_program_on_the_pseudo_terminal_talks_to_the_port() {
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial", "sim:16550", "--pty", "--baud", "1000000", "--flow", "rts-cts"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stderr.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let name = line.trim().strip_prefix("pseudo-terminal: ").expect("its name");
    let mut other = File::options().read(true).write(true).open(name).expect("a terminal");
    let mut raw = tcgetattr(&other).expect("a terminal");
    raw.make_raw();
    tcsetattr(&other, OptionalActions::Now, &raw).expect("a terminal");
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    for round in 0..3u8 {
        input.write_all(&[b'a' + round; 100]).expect("it reads");
        let mut received = [0; 100];
        other.read_exact(&mut received).expect("it sends");
        assert_eq!(received, [b'a' + round; 100]);
        other.write_all(&[b'A' + round; 100]).expect("it reads");
        output.read_exact(&mut received).expect("it shows");
        assert_eq!(received, [b'A' + round; 100]);
    }
    drop(input);
    assert!(child.wait().expect("own child").success());
}
