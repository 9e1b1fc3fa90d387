//! What a signal of Linux does.

use rustix::process::{Pid, Signal, kill_process};

use super::ends_while_it_waits_for_room;

#[test]
fn a_sender_that_waits_for_room_ends_by_sigterm() {
    ends_while_it_waits_for_room(|sender| kill_process(Pid::from_child(sender), Signal::TERM).expect("own child"));
}
