//! What a signal of Linux does.

use mapio_testkit::{runner, skip};
use rustix::process::{Pid, Signal, kill_process};

use super::sees_lines_until;

#[test]
fn a_follower_and_a_writer_end_in_order_by_sigterm() {
    if runner().is_some() {
        let test = "log::linux::a_follower_and_a_writer_end_in_order_by_sigterm";
        return skip(test, "the signal would go to the runner");
    }
    sees_lines_until(|child| kill_process(Pid::from_child(child), Signal::TERM).expect("own child"));
}
