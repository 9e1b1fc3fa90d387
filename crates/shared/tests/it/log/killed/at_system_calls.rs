//! A writer that is killed at each of its system calls.

use std::path::Path;
use std::time::Duration;

use mapio_testkit::{Injection, Peer, report, skip};

use super::{Found, check, prepare, serve};

/// All system calls of a writer.
const CALLS: &str = "?_llseek,?mmap2,?fcntl64,?ftruncate64,?fstatat64,linkat,renameat,?renameat2,unlinkat,pwrite64,\
                         fallocate,fsync,fdatasync,lseek,openat,pread64,mmap,munmap,madvise,close,fcntl,newfstatat,?fstat,getdents64,getrandom,ftruncate";

#[test]
fn a_writer_that_is_killed_at_any_system_call_loses_nothing() {
    let test = "log::killed::at_system_calls::a_writer_that_is_killed_at_any_system_call_loses_nothing";
    let mut peer = Peer::start(test, serve);
    let mut cases = 0;
    let mut longest = Duration::ZERO;
    for (found, durability, count) in
        [(Found::Nothing, "always", 3), (Found::Torn, "always", 6), (Found::Torn, "kernel", 3)]
    {
        let dir = prepare(found);
        let request = |dir: &Path| format!("{durability} {count} {}", dir.display());
        let tracing = match Injection::attach(peer.id(), CALLS, &[]) {
            Ok(tracing) => tracing,
            Err(error) => return skip(test, &format!("strace can't be used: {error}")),
        };
        assert_eq!(peer.ask(&request(dir.path())), "");
        let counts = tracing.detach().expect("a log");
        for (call, count) in counts {
            for at in 1..=count {
                let dir = prepare(found);
                let injection = format!("{call}:signal=SIGKILL:when={at}");
                let injected = Injection::attach(peer.id(), CALLS, &[&injection]).expect("it could be attached before");
                let case = format!("{found:?}, {durability}, {call} {at}");
                if peer.try_ask(&request(dir.path())).is_some() {
                    // A call that this run has made less often.
                    drop(injected);
                    continue;
                }
                drop(injected);
                peer.kill();
                longest = longest.max(check(dir.path(), &case));
                peer = Peer::start(test, serve);
                cases += 1;
            }
        }
    }
    assert!(cases > 200, "only {cases} kills");
    report(test, &format!("{cases} kills, the next writer appends within {longest:?}"));
}
