//! The textbook pair: a producer and a consumer of one message in shared memory.
//!
//! Both programs use one name, so there is one test, which starts them in every order.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use mapio::shared::SharedOptions;
use mapio_testkit::{runner, skip};

use crate::example;

const MESSAGE: &str = "Shared memory message";

fn start(program: &str) -> Child {
    let mut command = Command::new(example(program));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// Waits for the end of a program, which must do it, and answers what it printed.
fn finish(child: Child) -> String {
    let output = child.wait_with_output().expect("own child");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
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
    if Path::new("/dev/shm/SharedObject").exists() {
        return skip(test, "there is a /dev/shm/SharedObject already, which somebody may need");
    }
    // The consumer first: it waits.
    let consumer = start("consumer");
    await_user(&consumer);
    let producer = start("producer");
    assert_eq!(finish(consumer).trim_end(), MESSAGE);
    assert_eq!(finish(producer).trim_end(), format!("written: {MESSAGE}"));
    assert!(!Path::new("/dev/shm/SharedObject").exists());
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
    let consumer = start("consumer");
    await_user(&consumer);
    let producer = start("producer");
    assert_eq!(finish(consumer).trim_end(), MESSAGE);
    finish(producer);
    assert!(!Path::new("/dev/shm/SharedObject").exists());
}
