//! A program in C that knows nothing of mapio, and uses the calls of Windows: what one makes, the other finds.
//!
//! It is crates/testkit/win32/peer.c, made by x86_64-w64-mingw32-gcc; the environment's `MAPIO_WIN32_PEER` names it.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mapio_shared::sync::{NamedEvent, NamedMutex, NamedSemaphore, Reset};
use mapio_shared::{Error, SharedObject, SharedOptions};
use mapio_testkit::{Peer, skip};

use super::{HANG, lock_for_ever};
use crate::support::TestName;

/// Starts the program; without it says that `test` is skipped.
fn start(test: &str, arguments: &[&str]) -> Option<Child> {
    let Some(program) = std::env::var_os("MAPIO_WIN32_PEER") else {
        skip(test, "MAPIO_WIN32_PEER does not name the program made of crates/testkit/win32/peer.c");
        return None;
    };
    let mut command = Command::new(program);
    Some(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
}

fn line_of(child: &mut Child) -> String {
    let mut line = String::new();
    let mut answers = BufReader::new(child.stdout.as_mut().unwrap());
    answers.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// Has the program do one thing; answers what it says.
fn ask(test: &str, arguments: &[&str]) -> Option<String> {
    let mut child = start(test, arguments)?;
    let line = line_of(&mut child);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success(), "{arguments:?}: {line}");
    Some(line)
}

#[test]
fn a_raw_section_is_that_of_a_win32_program_and_the_reverse() {
    let test = "a_raw_section_is_that_of_a_win32_program_and_the_reverse";
    let name = TestName::memory();
    let mine = SharedOptions::new().raw().len(100_000).create(&*name).unwrap();
    let full_name = format!(r"Local\{}", &*name);
    assert!(mine.is_raw() && mine.len() == 100_000 && mine.users().unwrap().is_empty());
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::Foreign { .. })));
    assert!(matches!(SharedObject::remove(&*name), Err(Error::Invalid { .. })));
    assert!(matches!(SharedOptions::new().raw().len(900_000).open(&*name), Err(Error::WrongLayout { .. })));
    mine.view().store(65_536, *b"at 64 KiB\0").unwrap();
    let Some(read) = ask(test, &["read", &full_name, "65536"]) else { return };
    assert_eq!(read, "at 64 KiB");
    assert_eq!(ask(test, &["write", &full_name, "from C"]).unwrap(), "written");
    assert_eq!(mine.view().load::<[u8; 7]>(0), Ok(*b"from C\0"));
    drop(mine);
    let mut maker = start(test, &["make", &full_name, "made in C"]).unwrap();
    assert_eq!(line_of(&mut maker), "made");
    let theirs = SharedOptions::new().raw().open(&*name).unwrap();
    // Whole pages.
    assert_eq!((theirs.len(), theirs.view().load::<[u8; 10]>(0)), (102_400, Ok(*b"made in C\0")));
    theirs.view().store(0, *b"seen\0").unwrap();
    writeln!(maker.stdin.as_mut().unwrap(), "go on").unwrap();
    assert_eq!(line_of(&mut maker), "seen");
    assert!(maker.wait().unwrap().success());
    // Ours is the last handle; while we have it, C finds what we have written.
    assert_eq!(ask(test, &["read", &full_name, "0"]).unwrap(), "seen");
    drop(theirs);
    assert!(matches!(SharedOptions::new().raw().open(&*name), Err(Error::NotFound { .. })));
    // Killed with the section in its hands: it is gone.
    let mut maker = start(test, &["make", &full_name, "made in C"]).unwrap();
    assert_eq!(line_of(&mut maker), "made");
    maker.kill().unwrap();
    maker.wait().unwrap();
    assert!(matches!(SharedOptions::new().raw().open(&*name), Err(Error::NotFound { .. })));
}

#[test]
fn a_mutex_that_dies_with_its_owner_is_abandoned_for_c_and_recovered_for_us() {
    let test = "a_mutex_that_dies_with_its_owner_is_abandoned_for_c_and_recovered_for_us";
    let name = TestName::memory();
    let full_name = format!(r"Local\{}", &*name);
    let mutex = NamedMutex::open_or_create(&*name, 0o600).unwrap();
    let Some(mut owner) = start(test, &["lock", &full_name, "60000"]) else { return };
    assert_eq!(line_of(&mut owner), "held");
    assert!(matches!(mutex.try_lock(), Err(Error::WouldBlock { .. })));
    // It gives the mutex back: nobody has died.
    writeln!(owner.stdin.as_mut().unwrap(), "go on").unwrap();
    assert!(owner.wait().unwrap().success());
    assert!(!mutex.lock_timeout(HANG).unwrap().recovered());
    // It is killed.
    let mut owner = start(test, &["lock", &full_name, "60000"]).unwrap();
    assert_eq!(line_of(&mut owner), "held");
    owner.kill().unwrap();
    let guard = mutex.lock_timeout(HANG).unwrap();
    assert!(guard.recovered());
    owner.wait().unwrap();
    assert_eq!(ask(test, &["lock", &full_name, "0"]).unwrap(), "busy");
    drop(guard);
    assert_eq!(ask(test, &["lock", &full_name, "60000"]).unwrap(), "held");
    // One of us ends while it has the mutex: a thread, which to the kernel is the owner.
    std::thread::scope(|scope| {
        scope.spawn(|| std::mem::forget(mutex.lock().unwrap()));
    });
    assert_eq!(ask(test, &["lock", &full_name, "60000"]).unwrap(), "abandoned");
    assert!(!mutex.lock_timeout(HANG).unwrap().recovered());
}

#[test]
fn a_process_of_ours_that_is_killed_leaves_c_an_abandoned_mutex() {
    let test = "windows::programs::a_process_of_ours_that_is_killed_leaves_c_an_abandoned_mutex";
    let mut peer = Peer::start(test, lock_for_ever);
    let name = TestName::memory();
    let _mutex = NamedMutex::open_or_create(&*name, 0o600).unwrap();
    assert_eq!(peer.ask(&name), "locked");
    let full_name = format!(r"Local\{}", &*name);
    let Some(said) = ask(test, &["lock", &full_name, "0"]) else { return };
    assert_eq!(said, "busy");
    let mut waiter = start(test, &["lock", &full_name, "60000"]).unwrap();
    peer.kill();
    assert_eq!(line_of(&mut waiter), "abandoned");
    drop(waiter.stdin.take());
    assert!(waiter.wait().unwrap().success());
}

#[test]
fn events_and_semaphores_of_a_name_are_the_same_for_c() {
    let test = "events_and_semaphores_of_a_name_are_the_same_for_c";
    let (event_name, semaphore_name) = (TestName::memory(), TestName::memory());
    let full = |name: &str| format!(r"Local\{name}");
    let event = NamedEvent::open_or_create(&*event_name, Reset::ByHand, 0o600).unwrap();
    let Some(said) = ask(test, &["await", &full(&event_name), "0"]) else { return };
    assert_eq!(said, "busy");
    let mut waiter = start(test, &["await", &full(&event_name), "60000"]).unwrap();
    event.set().unwrap();
    assert_eq!(line_of(&mut waiter), "set");
    assert!(waiter.wait().unwrap().success());
    event.reset().unwrap();
    assert!(matches!(event.wait(Some(Duration::ZERO)), Err(Error::WouldBlock { .. })));
    assert_eq!(ask(test, &["set", &full(&event_name), "-"]).unwrap(), "done");
    event.wait(Some(HANG)).unwrap();
    let semaphore = NamedSemaphore::open_or_create(&*semaphore_name, NonZeroU32::MIN, 0o600).unwrap();
    assert_eq!(ask(test, &["take", &full(&semaphore_name), "0"]).unwrap(), "taken");
    assert!(matches!(semaphore.acquire(Some(Duration::ZERO)), Err(Error::WouldBlock { .. })));
    assert_eq!(ask(test, &["give", &full(&semaphore_name), "-"]).unwrap(), "done");
    semaphore.acquire(Some(HANG)).unwrap();
    assert_eq!(ask(test, &["take", &full(&semaphore_name), "0"]).unwrap(), "busy");
    semaphore.release().unwrap();
    assert_eq!(ask(test, &["take", &full(&semaphore_name), "0"]).unwrap(), "taken");
}
