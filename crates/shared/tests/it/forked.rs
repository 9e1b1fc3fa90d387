//! A child that was forked has the same handle, and does not give up the parent's part in it.
#![expect(unsafe_code, reason = "fork(2), whose child only drops, asks and ends")]

use mapio_shared::channel::{Channel, ChannelOptions, Kind};
use mapio_shared::{Error, Lifetime, SharedOptions};
use mapio_testkit::in_child;

use crate::support::TestName;

/// Drops a copy of something in a child that was forked; the parent's is answered.
fn drop_in_a_fork<T>(value: T) -> T {
    // SAFETY: the child calls nothing that another thread of this process may have locked but malloc, which the C
    // library unlocks in the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(value);
        // SAFETY: it ends the process, and runs nothing.
        unsafe { libc::_exit(0) };
    }
    let child = rustix::process::Pid::from_raw(child).expect("the system has a process for it");
    rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    value
}

#[test]
fn a_forked_child_that_closes_its_copy_closes_it_for_nobody_else() {
    let output = in_child("forked::a_forked_child_that_closes_its_copy_closes_it_for_nobody_else", || {
        let name = TestName::memory();
        let mine = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle).create(&*name).unwrap();
        let mine = drop_in_a_fork(mine);
        assert!(!mine.is_removed().unwrap());
        let other = SharedOptions::new().open(&*name).unwrap();
        assert_eq!(other.users().unwrap().iter().filter(|user| user.alive).count(), 1);
    });
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_forked_child_that_drops_the_ends_of_a_channel_leaves_them_to_its_parent() {
    let output = in_child("forked::a_forked_child_that_drops_the_ends_of_a_channel_leaves_them_to_its_parent", || {
        for kind in [Kind::Spsc, Kind::Broadcast] {
            let name = TestName::memory();
            let channel: Channel<u64> = ChannelOptions::new().kind(kind).create(&*name).unwrap();
            let ends = (channel.sender().unwrap(), channel.receiver().unwrap());
            let (mut sender, mut receiver) = drop_in_a_fork(ends);
            let stat = channel.stat().unwrap();
            assert_eq!((stat.senders.len(), stat.receivers.len()), (1, 1));
            assert_eq!(matches!(channel.sender(), Err(Error::Crowded { .. })), kind == Kind::Spsc);
            assert_eq!(receiver.try_receive().unwrap(), None);
            sender.send(&7).unwrap();
            assert_eq!(receiver.receive().unwrap(), 7);
        }
    });
    assert!(output.status.success(), "{output:?}");
}
