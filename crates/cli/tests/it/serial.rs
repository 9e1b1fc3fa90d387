//! `mapio device serial` on simulated ports: through pipes, on a terminal, and with a program at the other end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mapio_testkit::pattern;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::device::machine;
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
        (&["file:image"], "file:image is a file, and no serial port"),
        (&["port:0x2f8", "--pty"], "--pty is for simulated ports"),
        (&["com2"], "com2 is hardware, and nobody can be asked: --yes"),
        (&["sim:16550.LCR"], "all of its registers, and not one of them"),
        (&["sim:16550+1"], "sim:16550+0x1 is inside of a port"),
        (&["com9"], "'com9' is no target"),
        (&["sim:16550", "--stride", "4"], "the registers of a simulated port stand side by side: no --stride"),
        (&["0x1000", "--chip", "pl011", "--stride", "4"], "are for a block of byte-wide registers, such as 16550"),
        (&["0x1000", "--stride", "2", "--io-width", "32"], "can't stand 2 bytes apart: --stride"),
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
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pseudo-terminal");
    grantpt(&controller).expect("own one");
    unlockpt(&controller).expect("own one");
    let name = ptsname(&controller, Vec::new()).expect("it has one");
    let terminal = File::options().read(true).write(true).open(name.to_str().expect("UTF-8")).expect("own one");
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial"]).args(words).stdin(terminal.try_clone().expect("a descriptor"));
    command.stdout(terminal.try_clone().expect("a descriptor")).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It says so once the terminal is raw.
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.starts_with("Ctrl-] ends it.") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("a line") > 0, "it has ended");
    }
    // What else it says is read, so that it can go on.
    thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
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

        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            let (_keys, terminal, mut child) = on_terminal(&[target, wait]);
            kill_process(Pid::from_child(&child), signal).expect("own child");
            child.wait().expect("own child");
            assert!(is_cooked(&terminal), "also after {signal:?}");
        }
    }
}

/// Waits until the child ends, and answers its status; one that hangs is killed after a minute.
fn ended(mut child: Child) -> Option<i32> {
    let pid = Pid::from_child(&child);
    let (done, is_done) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        if is_done.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
            kill_process(pid, Signal::KILL).expect("own child");
        }
    });
    let status = child.wait().expect("own child");
    drop(done);
    guard.join().expect("no panic");
    status.code()
}

#[test]
fn an_other_end_that_takes_no_bytes_locks_nobody_in() {
    // The echo sends XOFF back, and the port stops.
    for wait in ["--interrupt", "--poll"] {
        let (mut keys, terminal, child) = on_terminal(&["sim:16550", "--flow", "xon-xoff", "--timeout", "50ms", wait]);
        keys.write_all(b"a\x13").expect("it reads");
        let mut shown = [0; 1];
        keys.read_exact(&mut shown).expect("it shows");
        // More than is kept, and Ctrl-] behind it.
        keys.write_all(&[b'x'; 3000]).expect("it reads");
        keys.write_all(&[b'x'; 3000]).expect("it reads");
        keys.write_all(&[0x1d]).expect("it reads");
        assert_eq!(ended(child), Some(2), "what was typed is not sent");
        assert!(is_cooked(&terminal));
    }
}

#[test]
fn what_is_typed_before_the_key_that_ends_it_is_sent() {
    for wait in ["--interrupt", "--poll"] {
        let (mut keys, _terminal, child) = on_terminal(&["sim:pl011", "--json", wait]);
        keys.write_all(b"all of this\x1d").expect("it reads");
        assert_eq!(ended(child), Some(0));
        let mut shown = Vec::new();
        while !shown.ends_with(b"}") {
            let mut byte = [0];
            keys.read_exact(&mut byte).expect("it tells how many");
            shown.push(byte[0]);
        }
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains(r#"{"sent":11,"#), "{shown}");
    }
}

#[test]
fn without_a_terminal_a_stopped_port_is_an_error() {
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial", "sim:16550", "--flow", "xon-xoff", "--timeout", "100ms"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // The second byte comes back once the port has heard XOFF.
    input.write_all(b"\x13").expect("it reads");
    input.write_all(&[b'x'; 100]).expect("it reads");
    drop(input);
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    assert_eq!(ended(child), Some(2));
    stderr.read_to_string(&mut said).expect("UTF-8");
    // Where the machine is busy, bytes that come back may find the port full, which is told, too.
    let lines: Vec<_> = said.lines().filter(|line| !line.ends_with("and some are lost")).collect();
    assert_eq!(lines, ["mapio: the other end takes no bytes"], "{said}");
}

#[test]
fn ends_of_lines_go_through_as_they_are() {
    let sent = b"\r\n \n\r \r \n\r\n";
    assert_eq!(echoed(&["sim:16550"], sent), sent);
    // On a terminal that is raw, too; the line of JSON is behind them, when it is as before.
    let (mut keys, _terminal, child) = on_terminal(&["sim:16550", "--json"]);
    keys.write_all(sent).expect("it reads");
    let mut shown = [0; 11];
    keys.read_exact(&mut shown).expect("it shows");
    assert_eq!(&shown, sent);
    keys.write_all(&[0x1d]).expect("it reads");
    assert_eq!(ended(child), Some(0));
    assert_eq!(last_line(&mut keys), "{\"sent\":11,\"received\":11,\"errors\":0,\"dropped\":0}");
}

/// What is shown up to the end of the next line of JSON.
fn last_line(shown: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}") {
        let mut byte = [0];
        shown.read_exact(&mut byte).expect("it tells how many");
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Compares what was shown before the line of JSON with what that says.
fn shown_is_all(shown: &str, sent: &[u8]) {
    let (bytes, counts) = shown.split_at(shown.rfind('{').expect("a line of JSON"));
    let bytes = bytes.trim_end_matches(['\r', '\n']).as_bytes();
    let counts: serde_json::Value = serde_json::from_str(counts.trim()).expect("JSON");
    assert!(sent.starts_with(bytes), "{} bytes are no beginning of what was sent", bytes.len());
    assert_eq!(counts["received"], bytes.len(), "{counts}");
    let sent = u64::try_from(sent.len()).expect("a few");
    assert!(
        counts["sent"]
            .as_u64()
            .is_some_and(|count| count <= sent && count >= u64::try_from(bytes.len()).expect("a few")),
        "{counts}"
    );
}

#[test]
fn an_interrupted_session_has_shown_all_that_it_counts() {
    // More than the line carries in three seconds, and less than is kept.
    let sent = [b'x'; 3000];
    for wait in ["--interrupt", "--poll"] {
        let words = ["sim:16550", "--json", "--baud", "9600", wait];
        for end in [Some(Signal::INT), None] {
            let (mut keys, terminal, child) = on_terminal(&words);
            keys.write_all(&sent).expect("it reads");
            let mut first = [0; 20];
            keys.read_exact(&mut first).expect("it shows");
            match end {
                Some(signal) => kill_process(Pid::from_child(&child), signal).expect("own child"),
                // Twice: what is not sent yet is not waited for.
                None => keys.write_all(&[0x1d, 0x1d]).expect("it reads"),
            }
            let rest = last_line(&mut keys);
            assert_eq!(ended(child), Some(2), "not all is sent: {rest}");
            assert!(is_cooked(&terminal), "after {end:?}");
            shown_is_all(&("x".repeat(20) + &rest), &sent);
        }
        let mut command = Command::new(MAPIO);
        command.args(["device", "serial"]).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut complaints = child.stderr.take().expect("a pipe");
        input.write_all(&sent).expect("it reads");
        let mut first = [0; 20];
        output.read_exact(&mut first).expect("it shows");
        kill_process(Pid::from_child(&child), Signal::INT).expect("own child");
        let rest = last_line(&mut output);
        assert_eq!(ended(child), Some(2), "not all is sent: {rest}");
        shown_is_all(&("x".repeat(20) + &rest), &sent);
        let mut said = String::new();
        complaints.read_to_string(&mut said).expect("UTF-8");
        assert!(said.ends_with(" bytes of the input were not sent\n") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_terminal_that_is_gone_ends_the_session() {
    for wait in ["--interrupt", "--poll"] {
        let (keys, terminal, child) = on_terminal(&["sim:pl011", wait]);
        // The side of the person is closed: reading answers EIO.
        drop((keys, terminal));
        assert_eq!(ended(child), Some(0));
    }
}

#[test]
fn a_reader_that_is_gone_ends_the_session() {
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial", "sim:16550"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"nobody reads the answer").expect("it reads");
    // The input stays open.
    assert_eq!(ended(child), Some(0));
    drop(input);
}

/// A machine with a 16550 that has no other end: memory, of which LSR says that it takes bytes.
fn memory_machine(stride: usize) -> Folder {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("machine/dev")).expect("room");
    let mut memory = vec![0; 0x1000];
    memory[0x100 + 5 * stride] = 0x60;
    folder.write("machine/dev/mem", memory);
    folder
}

#[test]
fn a_port_whose_registers_stand_apart_is_driven_and_put_back() {
    for (stride, width) in [(1, 8), (2, 8), (4, 8), (2, 16), (4, 32), (8, 32)] {
        let folder = memory_machine(stride);
        let before = folder.read("machine/dev/mem");
        let (stride_text, width_text) = (stride.to_string(), width.to_string());
        let words =
            ["0x100", "--yes", "--json", "--linger", "1ms", "--stride", &stride_text, "--io-width", &width_text];
        let mut command = Command::new(MAPIO);
        command.args(["device", "serial", "--root", "machine"]).args(words).current_dir(folder.root());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(b"apart").expect("it reads");
        let output = child.wait_with_output().expect("own child");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let wanted = "{\"sent\":5,\"received\":0,\"errors\":0,\"dropped\":0}\n";
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
        // FCR, which can't be read, stays as it was set; all others are as before.
        let mut after = before.clone();
        after[0x100 + 2 * stride] = 0x87;
        assert!(folder.read("machine/dev/mem") == after, "{stride} {width}");
    }
}

#[test]
fn a_device_that_is_gone_ends_the_session_with_the_terminal_as_before() {
    let folder = memory_machine(1);
    let root = folder.path("machine");
    let (mut keys, terminal, child) = on_terminal(&["0x100", "--yes", "--root", root.to_str().expect("UTF-8")]);
    assert!(!is_cooked(&terminal));
    // Ones everywhere: what a bus answers where nobody does.
    let memory = File::options().write(true).open(folder.path("machine/dev/mem")).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&memory, &[0xff; 8], 0x100).expect("room");
    assert_eq!(ended(child), Some(2));
    assert!(is_cooked(&terminal));
    keys.write_all(b"still there").expect("it is a terminal");
}

#[test]
fn a_port_that_the_kernel_drives_is_left_to_it() {
    let folder = machine();
    let serial = |words: &[&'static str]| [&["device", "serial", "--root", "machine"], words].concat();
    let asked = "is hardware, and nobody can be asked: --yes";
    for (target, part) in [
        (
            "com1",
            "com1 is the kernel's /dev/ttyS0, whose driver takes its bytes: free it by setserial /dev/ttyS0 uart none, or --force",
        ),
        ("port:0x3f9", "port:0x3f9 is the kernel's /dev/ttyS0"),
        ("0xfe000000", "0xfe000000 is the kernel's /dev/ttyS2"),
        ("pci:1234:11e8/bar0", "pci:1234:11e8/bar0 is driven by the kernel's edu: unbind it from there, or --force"),
        // Nobody has found a chip there.
        ("com2", asked),
        ("0xfe000100", asked),
        ("uio:2", asked),
    ] {
        folder.fails(&serial(&[target]), &[part]);
        folder.fails(&serial(&[target, "--force"]), &[asked]);
    }
    // --yes is for the question, and not for that.
    folder.fails(&serial(&["com1", "--yes"]), &["com1 is the kernel's /dev/ttyS0"]);
    // The chip is looked for where its registers are: 29 bytes from here.
    folder.fails(&serial(&["0xfdffffe8", "--stride", "4"]), &["is the kernel's /dev/ttyS2"]);
    let driver = folder.path("machine/sys/bus/pci/devices/0000:00:04.0/driver");
    std::fs::remove_file(&driver).expect("it is there");
    for keeper in ["uio_pci_generic", "vfio-pci"] {
        std::os::unix::fs::symlink(format!("../drivers/{keeper}"), &driver).expect("room");
        folder.fails(&serial(&["pci:1234:11e8/bar0"]), &[asked]);
        std::fs::remove_file(&driver).expect("it is there");
    }
}

#[test]
fn a_slow_line_is_waited_for_and_counted() {
    let mut command = Command::new(MAPIO);
    command.args(["device", "serial", "sim:16550", "--baud", "300", "--linger", "1ms", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(b"xyz").expect("it reads");
    let output = child.wait_with_output().expect("own child");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let wanted = "xyz\n{\"sent\":3,\"received\":3,\"errors\":0,\"dropped\":0}\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
}

#[test]
fn an_idle_terminal_takes_little_of_the_processor() {
    let (mut keys, _terminal, child) = on_terminal(&["sim:16550", "--poll", "--baud", "9600"]);
    let stat = format!("/proc/{}/stat", child.id());
    // User and system time are the 14th and 15th field (proc_pid_stat(5)), in ticks of 10 ms.
    let ticks = || {
        let text = std::fs::read_to_string(&stat).expect("it runs");
        let fields = text.rsplit_once(") ").expect("a name").1.split(' ').skip(11).take(2);
        fields.map(|field| field.parse::<u64>().expect("a number")).sum::<u64>()
    };
    let (before, start) = (ticks(), Instant::now());
    while start.elapsed() < Duration::from_millis(500) {
        thread::park_timeout(Duration::from_millis(100));
    }
    let used = ticks() - before;
    keys.write_all(&[0x1d]).expect("it reads");
    assert_eq!(ended(child), Some(0));
    // Who asks all the time takes 50, or the half of it where others run too.
    assert!(used < 15, "{used} ticks in half a second");
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
