//! A child that was forked has the same handle, and does not give up the parent's part in it.
#![expect(unsafe_code, reason = "fork(2), whose child only drops, asks and ends")]

use mapio_shared::{Lifetime, SharedOptions};
use mapio_testkit::in_child;

use crate::support::TestName;

#[test]
fn a_forked_child_that_closes_its_copy_closes_it_for_nobody_else() {
    let output = in_child("forked::a_forked_child_that_closes_its_copy_closes_it_for_nobody_else", || {
        let name = TestName::posix();
        let mine = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle).create(&*name).unwrap();
        // SAFETY: the child calls nothing that another thread of this process may have locked but malloc, which the C
        // library unlocks in the child.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(mine);
            // SAFETY: it ends the process, and runs nothing.
            unsafe { libc::_exit(0) };
        }
        let child = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
        assert!(!mine.is_removed().unwrap());
        let other = SharedOptions::new().open(&*name).unwrap();
        assert_eq!(other.users().unwrap().iter().filter(|user| user.alive).count(), 1);
    });
    assert!(output.status.success(), "{output:?}");
}
