//! Who is alive: a stopped process, in whatever namespace, whoever's; who is not: a zombie.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use mapio_map::MapMode;
use mapio_shared::{Cleaning, Error, Lifetime, SharedObject, SharedOptions, clean};
use mapio_testkit::{Peer, skip};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::support::{TestName, lacks_own_start_time, lacks_segment_permissions, serve};

fn pid_of(peer: &Peer) -> Pid {
    Pid::from_raw(i32::try_from(peer.id()).unwrap()).unwrap()
}

/// Waits until a child is in some state, and leaves it there.
fn await_state(pid: Pid, state: WaitIdOptions) {
    waitid(WaitId::Pid(pid), state | WaitIdOptions::NOWAIT).unwrap();
}

#[test]
fn a_zombie_is_dead_and_a_stopped_process_is_alive() {
    let test = "life::a_zombie_is_dead_and_a_stopped_process_is_alive";
    let mut peer = Peer::start(test, serve());
    if lacks_own_start_time(test) {
        return;
    }
    let name = TestName::memory();
    assert_eq!(peer.ask(&format!("create-last {}", &*name)), "done");
    kill_process(pid_of(&peer), Signal::STOP).unwrap();
    await_state(pid_of(&peer), WaitIdOptions::STOPPED);
    let names = [name.parse().unwrap()];
    assert_eq!(clean(&names, Cleaning::Remove).unwrap(), []);
    let mine = SharedOptions::new().open(&*name).unwrap();
    assert!(mine.users().unwrap()[0].alive);
    let mut watch = mine.watch_users().unwrap();
    assert!(watch.unwatched().is_empty());
    assert_eq!(watch.wait(Some(Duration::ZERO)).unwrap(), []);
    kill_process(pid_of(&peer), Signal::KILL).unwrap();
    await_state(pid_of(&peer), WaitIdOptions::EXITED);
    // Nobody has waited for it, so it is a zombie.
    let mut fds = [PollFd::new(&watch, PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec { tv_sec: 30, tv_nsec: 0 })).unwrap(), 1);
    let ended = watch.wait(Some(Duration::from_secs(30))).unwrap();
    assert_eq!((ended.len(), ended[0].pid, ended[0].alive), (1, Some(peer.id()), false));
    assert_eq!(watch.wait(None).unwrap(), []);
    let users = mine.users().unwrap();
    assert_eq!((users.len(), users[0].alive), (1, false), "{users:?}");
    drop(mine);
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
}

/// What tells the test's own process in another namespace which object it is to open.
const OBJECT: &str = "MAPIO_TEST_OBJECT";

#[test]
fn who_is_in_another_pid_namespace_is_alive_and_foreign() {
    let test = "life::who_is_in_another_pid_namespace_is_alive_and_foreign";
    if let Ok(name) = env::var(OBJECT) {
        let writer = SharedOptions::new().role("far").open(&*name).unwrap();
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
        let others = writer.users().unwrap();
        println!("\nready {} {}", others.len(), others.iter().filter(|user| user.here).count());
        let _ = std::io::stdin().read(&mut [0]);
        drop((writer, reader));
        return;
    }
    let name = TestName::memory();
    let mine = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle).create(&*name).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(OBJECT, &*name);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return skip(test, "unshare(1) is not installed") };
    let answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = answers.map_while(Result::ok).find(|line| line.starts_with("ready"));
    let Some(ready) = ready else {
        child.wait().unwrap();
        return skip(test, "no PID namespace can be made here");
    };
    // The far side sees us, as a stranger; and its own reader, of its own namespace.
    assert_eq!(ready, "ready 2 1");
    let users = mine.users().unwrap();
    assert_eq!(users.len(), 2, "{users:?}");
    assert!(users.iter().all(|user| user.alive && !user.here && user.pid.is_some_and(|pid| pid < 100)), "{users:?}");
    let watch = mine.watch_users().unwrap();
    assert_eq!(watch.unwatched().len(), 2);
    drop(mine);
    assert_eq!(clean(&[name.parse().unwrap()], Cleaning::Remove).unwrap(), []);
    let mine = SharedOptions::new().open(&*name).unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"x");
    child.wait().unwrap();
    assert_eq!(mine.users().unwrap(), []);
}

const NOBODY: u32 = 65534;

/// Does something as another user, in a thread of its own.
fn as_nobody(work: &(dyn Fn() + Sync)) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Of this thread alone, and of those that it starts; it ends with it. The groups first: later it is not
            // allowed.
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_gid(rustix::fs::Gid::from_raw(NOBODY)).unwrap();
            rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(NOBODY)).unwrap();
            work();
        });
        thread.join().unwrap();
    });
}

#[test]
fn another_user_is_refused_or_may_only_read() {
    if lacks_segment_permissions("life::another_user_is_refused_or_may_only_read") {
        return;
    }
    let test = "life::another_user_is_refused_or_may_only_read";
    if !rustix::process::geteuid().is_root() {
        return skip(test, "only root becomes somebody else");
    }
    let reading = || SharedOptions::new().map_mode(MapMode::ReadOnly);
    for name in [TestName::memory(), TestName::sysv()] {
        let mine = SharedOptions::new().len(8).create(&*name).unwrap();
        as_nobody(&|| {
            for options in [SharedOptions::new(), reading(), reading().raw()] {
                let refused = options.open(&*name).unwrap_err();
                assert!(refused_by_permission(&refused), "{refused:?}");
            }
            assert!(matches!(SharedOptions::new().len(8).create(&*name), Err(Error::Exists { .. })));
            let refused = SharedObject::remove(&*name).unwrap_err();
            assert!(refused_by_permission(&refused), "{refused:?}");
        });
        assert!(!mine.is_removed().unwrap());
        drop(mine);
        SharedObject::remove(&*name).unwrap();
        let mine = SharedOptions::new().len(8).permissions(0o644).create(&*name).unwrap();
        mine.view().store(0, 6_u64).unwrap();
        as_nobody(&|| {
            let seen = reading().open(&*name).unwrap();
            assert_eq!(seen.view().load::<u64>(0), Ok(6));
            assert!(seen.view().store(0, 1_u8).is_err() && seen.map(0..8, MapMode::ReadWrite).is_err());
            assert!(refused_by_permission(&SharedOptions::new().open(&*name).unwrap_err()));
            assert_eq!(mine.users().unwrap().len(), 1);
        });
        drop(mine);
        SharedObject::remove(&*name).unwrap();
        // Who may write may not therefore remove, and a removal that is refused changes nothing.
        let mine = SharedOptions::new().len(8).permissions(0o666).create(&*name).unwrap();
        as_nobody(&|| {
            let theirs = SharedOptions::new().open(&*name).unwrap();
            let refused = SharedObject::remove(&*name).unwrap_err();
            assert!(refused_by_permission(&refused), "{refused:?}");
            theirs.view().store(0, 1_u8).unwrap();
        });
        assert!(!mine.is_removed().unwrap());
        drop(SharedOptions::new().open(&*name).unwrap());
    }
}

#[test]
fn who_may_not_write_to_an_object_may_remove_it_if_the_folder_is_his() {
    let test = "life::who_may_not_write_to_an_object_may_remove_it_if_the_folder_is_his";
    if !rustix::process::geteuid().is_root() {
        return skip(test, "only root becomes somebody else");
    }
    let name = TestName::file();
    std::os::unix::fs::chown(name.path().parent().unwrap(), Some(NOBODY), Some(NOBODY)).unwrap();
    let options = SharedOptions::new().len(8).owner(Some(NOBODY), Some(NOBODY)).permissions(0o444);
    let mine = options.create(&*name).unwrap();
    as_nobody(&|| {
        assert!(refused_by_permission(&SharedOptions::new().open(&*name).unwrap_err()));
        std::thread::scope(|scope| {
            // Several at once: each finds it, or that it is gone.
            let removals: Vec<_> = (0..4).map(|_| scope.spawn(|| SharedObject::remove(&*name))).collect();
            for removal in removals {
                let removed = removal.join().unwrap();
                assert!(matches!(removed, Ok(()) | Err(Error::NotFound { .. })), "{removed:?}");
            }
        });
    });
    assert!(mine.is_removed().unwrap() && !name.path().exists());
    mine.view().store(0, 1_u8).unwrap();
    // A segment's owner needs no folder, and leaves no lock file behind.
    let name = TestName::sysv();
    let mine = options.create(&*name).unwrap();
    as_nobody(&|| {
        assert!(refused_by_permission(&SharedOptions::new().open(&*name).unwrap_err()));
        SharedObject::remove(&*name).unwrap();
    });
    assert!(mine.is_removed().unwrap());
    assert_eq!(clean(&[name.parse().unwrap()], Cleaning::DryRun).unwrap(), []);
}

fn refused_by_permission(error: &Error) -> bool {
    let refused = |source: &std::io::Error| matches!(source.raw_os_error(), Some(libc::EACCES | libc::EPERM));
    match error {
        Error::Os { source, .. } => refused(source),
        Error::Map { source: mapio_map::Error::Os { source, .. }, .. } => refused(source),
        _ => false,
    }
}
