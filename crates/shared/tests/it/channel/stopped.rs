//! One of several is stopped by a signal: it is alive.

use std::process;
use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::channel::{Channel, Full, Kind};
use rustix::process::Signal;

use super::processes::{Other, options, receive, send};
use crate::support::TestName;

/// A signal to another process.
fn signal(id: u32, signal: Signal) {
    let process = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    assert_ne!(id, process::id());
    rustix::process::kill_process(process, signal).unwrap();
}

#[test]
fn a_stopped_sender_is_waited_for_and_goes_on() {
    let mut peer = Other::start("channel::stopped::a_stopped_sender_is_waited_for_and_goes_on");
    let name = TestName::memory();
    let channel: Channel<[u8]> = options(Kind::Broadcast).create(&*name).unwrap();
    let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
    peer.ask(&format!("sender {}", &*name));
    peer.ask("claim");
    signal(peer.id(), Signal::STOP);
    send(&mut sender, 1);
    let short = Duration::from_millis(60);
    assert!(matches!(receiver.receive_timeout(&mut [0; 600], short), Err(Error::Timeout { .. })));
    assert_eq!(receiver.try_receive(&mut [0; 600]).unwrap(), None);
    assert!(channel.stat().unwrap().senders.iter().all(|sender| sender.alive));
    signal(peer.id(), Signal::CONT);
    // What it has forgotten is given up by what it does next.
    peer.ask("send 2 3");
    assert_eq!([(); 2].map(|()| receive(&mut receiver)), [Some(1), Some(2)]);
}

#[test]
fn a_slow_receiver_of_a_lossy_channel_holds_up_nobody() {
    let mut peer = Other::start("channel::stopped::a_slow_receiver_of_a_lossy_channel_holds_up_nobody");
    for kind in [Kind::Spsc, Kind::Broadcast] {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(Full::DropOldest).create(&*name).unwrap();
        peer.ask(&format!("receiver {}", &*name));
        signal(peer.id(), Signal::STOP);
        let mut sender = channel.sender().unwrap();
        (0..1000).for_each(|number| send(&mut sender, number));
        assert_eq!(channel.stat().unwrap().receivers[0].lag, Some(1000));
        signal(peer.id(), Signal::CONT);
        peer.ask("leave");
    }
}
