//! Synchronisation between processes, which may die.

mod contract;
mod hostile;
// Processes that are single-stepped.
#[cfg(target_os = "linux")]
mod killed;
mod load;
// Processes that are stopped by signals and waited for; objects that are cut while mapped.
#[cfg(target_os = "linux")]
mod posix;

use mapio_shared::{SharedObject, SharedOptions};

use crate::support::TestName;

/// Bytes of the objects of these tests.
const LEN: usize = 4096;

/// A new object of zeros, and its name.
fn object() -> (TestName, SharedObject) {
    let name = TestName::memory();
    let object = SharedOptions::new().len(LEN.try_into().unwrap()).create(&*name).unwrap();
    (name, object)
}

/// The object of another process, or another handle of it here.
fn open(name: &str) -> SharedObject {
    SharedOptions::new().open(name).unwrap()
}

/// A number that somebody had who has left: it is dead for ever.
fn dead_number(object: &SharedObject) -> u32 {
    let other = open(object.name());
    let numbers = object.users().unwrap();
    let number = numbers.iter().filter(|user| user.alive).map(|user| user.number).max().unwrap();
    drop(other);
    assert!(object.users().unwrap().iter().all(|user| user.number != number || !user.alive));
    number
}
