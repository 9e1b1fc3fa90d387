//! What only POSIX lets anybody do: objects that are cut while they are mapped, processes that are stopped, or dead and
//! not waited for.

use mapio_shared::Error;
use mapio_shared::sync::{Condvar, Event, Latest, Mutex, Semaphore};
use mapio_testkit::{Peer, bus_errors_tell_where};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::contract::{LONG, SHORT, locker};
use super::object;

fn pid(peer: &Peer) -> Pid {
    Pid::from_raw(peer.id().try_into().unwrap()).unwrap()
}

#[test]
fn an_object_that_is_cut_short_is_an_error_for_each() {
    if !bus_errors_tell_where("sync::posix::an_object_that_is_cut_short_is_an_error_for_each") {
        return;
    }
    let (_name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    let (semaphore, event) = (Semaphore::at(&object, 64, 2).unwrap(), Event::at(&object, 128).unwrap());
    let (latest, condvar) = (Latest::<u64>::at(&object, 256).unwrap(), Condvar::at(&object, 192).unwrap());
    let (mut guard, permit) = (mutex.lock().unwrap(), semaphore.acquire().unwrap());
    rustix::fs::ftruncate(&object, 4096).unwrap();
    *guard = 1;
    assert!(matches!(guard.commit(), Err(Error::Fault { .. })));
    assert!(matches!(guard.unlock(), Err(Error::Fault { .. })));
    assert!(matches!(permit.release(), Err(Error::Fault { .. })));
    assert!(matches!(mutex.lock(), Err(Error::Fault { .. })));
    assert!(matches!(semaphore.acquire(), Err(Error::Fault { .. })));
    assert!(matches!(semaphore.post(), Err(Error::Fault { .. })));
    assert!(matches!(event.wait(), Err(Error::Fault { .. })));
    assert!(matches!(event.set(), Err(Error::Fault { .. })));
    assert!(matches!(condvar.notify_one(), Err(Error::Fault { .. })));
    assert!(matches!(latest.load(), Err(Error::Fault { .. })));
    assert!(matches!(latest.store(&1), Err(Error::Fault { .. })));
    assert!(matches!(latest.wait_for_change(0), Err(Error::Fault { .. })));
}

#[test]
fn a_stopped_owner_is_not_dead() {
    let mut peer = locker("sync::posix::a_stopped_owner_is_not_dead");
    let (name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    peer.ask(&format!("lock {}", &*name));
    kill_process(pid(&peer), Signal::STOP).unwrap();
    waitid(WaitId::Pid(pid(&peer)), WaitIdOptions::STOPPED).unwrap();
    let while_stopped = (mutex.lock_timeout(2 * SHORT).map(drop), mutex.try_lock().map(drop));
    kill_process(pid(&peer), Signal::CONT).unwrap();
    assert!(matches!(while_stopped, (Err(Error::Timeout { .. }), Err(Error::WouldBlock { .. }))), "{while_stopped:?}");
    peer.ask("unlock");
    let guard = mutex.lock_timeout(LONG).unwrap();
    assert_eq!((*guard, guard.recovered()), (101, false));
}

#[test]
fn an_owner_that_is_a_zombie_is_dead() {
    let mut peer = locker("sync::posix::an_owner_that_is_a_zombie_is_dead");
    let (name, object) = object();
    let mutex = Mutex::<u64>::at(&object, 0).unwrap();
    peer.ask(&format!("lock {}", &*name));
    kill_process(pid(&peer), Signal::KILL).unwrap();
    // Its end is seen, and it is left a zombie.
    waitid(WaitId::Pid(pid(&peer)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let guard = mutex.try_lock().unwrap();
    assert_eq!((*guard, guard.recovered()), (1, true));
}
