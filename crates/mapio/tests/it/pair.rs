//! The textbook pair: a producer and a consumer of one message in shared memory.
//!
//! Both programs use one name, so there is one test, which starts them in every order.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use mapio::shared::{Error, SharedOptions, inspect};
use mapio_testkit::{runner, skip};

use crate::example;

const MESSAGE: &str = "Shared memory message";

fn start(program: &str) -> Child {
    let mut command = Command::new(example(program));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// Waits for the end of a program, which must do it, and answers what it printed.
fn finish(child: Child) -> String {
    let output = child.wait_with_output().expect("own child");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Whether there is an object of the name.
fn is_there() -> bool {
    !matches!(inspect("SharedObject"), Err(Error::NotFound { .. }))
}

/// Waits until somebody with this process's number has the object open.
fn await_user(child: &Child) {
    for _ in 0..30_000 {
        let users = SharedOptions::new().open("SharedObject").and_then(|object| object.users()).unwrap_or_default();
        if users.iter().any(|user| user.pid == Some(child.id()) && user.alive) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("it has not opened the object in half a minute");
}

/// Waits until the message is there.
fn await_message() {
    for _ in 0..30_000 {
        let object = SharedOptions::new().open("SharedObject");
        let len = object.ok().and_then(|object| object.view().load::<u32>(0).ok());
        if len.is_some_and(|len| len > 0) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("nobody has written the message in half a minute");
}

fn kill(mut child: Child) {
    child.kill().expect("own child");
    child.wait().expect("own child");
}

#[test]
fn the_message_arrives_in_either_order_and_after_either_was_killed() {
    let test = "the_message_arrives_in_either_order_and_after_either_was_killed";
    if runner().is_some() {
        return skip(test, "the programs run in an emulator, whose futexes are not those of others");
    }
    if is_there() {
        return skip(test, "there is an object called SharedObject already, which somebody may need");
    }
    // The consumer first: it waits.
    let consumer = start("consumer");
    await_user(&consumer);
    let producer = start("producer");
    assert_eq!(finish(consumer).trim_end(), MESSAGE);
    assert_eq!(finish(producer).trim_end(), format!("written: {MESSAGE}"));
    assert!(!is_there());
    // The producer first: it waits.
    let producer = start("producer");
    await_message();
    assert_eq!(finish(start("consumer")).trim_end(), MESSAGE);
    finish(producer);
    // A consumer that was killed while it waited, and one whose message was there.
    let consumer = start("consumer");
    await_user(&consumer);
    kill(consumer);
    let producer = start("producer");
    await_message();
    kill(producer);
    // The message died with its producer: nobody has the object open.
    assert!(SharedOptions::new().open("SharedObject").is_err());
    let consumer = start("consumer");
    await_user(&consumer);
    let producer = start("producer");
    assert_eq!(finish(consumer).trim_end(), MESSAGE);
    finish(producer);
    assert!(!is_there());
}

/// The pair that uses the calls of Windows itself.
pub(crate) mod win32 {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// Keeps other tests from using the programs' one name meanwhile.
    pub(crate) fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the producer, and waits until it has written; answers what it prints afterwards, and itself.
    fn produce() -> (Child, BufReader<ChildStdout>) {
        let mut producer = start("win32_producer");
        let mut said = BufReader::new(producer.stdout.take().expect("a pipe"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        assert_eq!(line.trim_end(), format!("written: {MESSAGE}"));
        (producer, said)
    }

    #[test]
    fn the_message_is_there_as_long_as_somebody_has_it_and_mapio_reads_and_writes_it() {
        let test = "pair::win32::the_message_is_there_as_long_as_somebody_has_it_and_mapio_reads_and_writes_it";
        const NAME: &str = r"Local\Win32SharedMemory";
        if cfg!(not(windows)) {
            return skip(test, "the programs show the calls of Windows");
        }
        let _alone = alone();
        let missing = start("win32_consumer").wait_with_output().expect("own child");
        assert_eq!(missing.status.code(), Some(2), "{missing:?}");
        assert!(String::from_utf8_lossy(&missing.stderr).starts_with("win32_consumer: "), "{missing:?}");
        let (mut producer, mut said) = produce();
        assert_eq!(finish(start("win32_consumer")).trim_end(), MESSAGE);
        // A section without a header is raw.
        let raw = SharedOptions::new().raw().open(NAME).expect("it is there");
        assert_eq!(raw.len(), 4096);
        let mut message = [0; MESSAGE.len()];
        raw.view().read_exact_at(0, &mut message).expect("a page");
        assert_eq!(message, *MESSAGE.as_bytes());
        raw.view().write_all_at(0, b"from mapio\0").expect("a page");
        assert_eq!(finish(start("win32_consumer")).trim_end(), "from mapio");
        writeln!(producer.stdin.as_mut().expect("a pipe")).expect("it listens");
        assert!(producer.wait().expect("own child").success());
        said.read_to_string(&mut String::new()).expect("its end");
        // We still have it, and now nobody.
        assert_eq!(finish(start("win32_consumer")).trim_end(), "from mapio");
        drop(raw);
        assert!(!start("win32_consumer").wait_with_output().expect("own child").status.success());
        // What mapio makes raw is what they find.
        let raw = SharedOptions::new().raw().len(4096).create(NAME).expect("nobody has it");
        raw.view().write_all_at(0, b"made by mapio").expect("a page");
        assert_eq!(finish(start("win32_consumer")).trim_end(), "made by mapio");
        drop(raw);
        // Killed: its handle is closed by the system, and what it had is gone.
        let (producer, _said) = produce();
        kill(producer);
        assert!(matches!(SharedOptions::new().raw().open(NAME), Err(Error::NotFound { .. })));
    }
}
