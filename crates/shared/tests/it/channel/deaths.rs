//! One of several dies: what the others see.

use std::time::Duration;

use mapio_shared::Error;
use mapio_shared::channel::{Channel, History, Kind, Wait};

use super::combinations;
use super::processes::{HANG, Other, open, options, receive, send};
use crate::support::TestName;

#[test]
fn who_takes_over_from_a_dead_receiver_loses_nothing() {
    let test = "channel::deaths::who_takes_over_from_a_dead_receiver_loses_nothing";
    let mut peer = Other::start(test);
    for wait in [Wait::Spin, Wait::Sleep] {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(Kind::Spsc).wait(wait).create(&*name).unwrap();
        let mut sender = channel.sender().unwrap();
        peer.ask(&format!("receiver {}", &*name));
        (0..5).for_each(|number| send(&mut sender, number));
        peer.ask("receive 0 3");
        assert!(matches!(channel.receiver(), Err(Error::Crowded { places: 1, .. })));
        peer.kill();
        let mut next = channel.receiver().unwrap();
        send(&mut sender, 5);
        assert_eq!([(); 3].map(|()| receive(&mut next)), [Some(3), Some(4), Some(5)]);
        channel.check().unwrap();
        peer = Other::start(test);
    }
}

#[test]
fn who_takes_over_from_a_dead_sender_goes_on() {
    let test = "channel::deaths::who_takes_over_from_a_dead_sender_goes_on";
    for (kind, full, wait) in combinations() {
        let mut peer = Other::start(test);
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        let mut receiver = channel.receiver().unwrap();
        peer.ask(&format!("sender {}", &*name));
        peer.ask("send 0 3");
        assert_eq!(channel.sender().is_err(), kind == Kind::Spsc);
        // It dies in the middle of a message.
        peer.ask("claim");
        peer.kill();
        assert_eq!([(); 3].map(|()| receive(&mut receiver)), [Some(0), Some(1), Some(2)]);
        assert_eq!(receive(&mut receiver), None);
        let mut sender = channel.sender().unwrap();
        (3..5).for_each(|number| send(&mut sender, number));
        assert_eq!([(); 2].map(|()| receive(&mut receiver)), [Some(3), Some(4)]);
        assert_eq!(channel.stat().unwrap().senders.len(), 1);
        channel.check().unwrap();
    }
}

#[test]
fn a_message_that_a_dead_sender_owes_is_skipped() {
    let mut peer = Other::start("channel::deaths::a_message_that_a_dead_sender_owes_is_skipped");
    let name = TestName::memory();
    let channel: Channel<[u8]> = options(Kind::Broadcast).create(&*name).unwrap();
    let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
    peer.ask(&format!("sender {}", &*name));
    send(&mut sender, 0);
    peer.ask("claim");
    send(&mut sender, 1);
    assert_eq!(receive(&mut receiver), Some(0));
    // He may still send it.
    let short = Duration::from_millis(60);
    assert!(matches!(receiver.receive_timeout(&mut [0; 600], short), Err(Error::Timeout { .. })));
    peer.kill();
    assert_eq!(receive(&mut receiver), Some(1));
    channel.check().unwrap();
}

#[test]
fn who_is_woken_all_the_time_finds_out_as_well() {
    let mut peer = Other::start("channel::deaths::who_is_woken_all_the_time_finds_out_as_well");
    let name = TestName::memory();
    let channel: Channel<[u8]> = options(Kind::Broadcast).wait(Wait::Sleep).capacity(1 << 14).create(&*name).unwrap();
    let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
    peer.ask(&format!("sender {}", &*name));
    peer.ask("claim");
    peer.kill();
    let receiving = std::thread::spawn(move || receive(&mut receiver));
    let mut sent = 0;
    // The pace of a channel in use: each message wakes the receiver, long before it would look by itself.
    while !receiving.is_finished() && sent < 10_000 {
        sender.send(b"\0\0\0\0\0\0\0\0").unwrap();
        std::thread::sleep(Duration::from_millis(1));
        sent += 1;
    }
    assert!(receiving.is_finished(), "{sent} messages behind a dead one's");
    assert_eq!(receiving.join().unwrap(), Some(0));
}

#[test]
fn a_dead_receiver_holds_up_nobody() {
    let test = "channel::deaths::a_dead_receiver_holds_up_nobody";
    for wait in [Wait::Spin, Wait::SpinThenSleep, Wait::Sleep] {
        let mut peer = Other::start(test);
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(Kind::Broadcast).wait(wait).create(&*name).unwrap();
        let mut sender = channel.sender().unwrap();
        peer.ask(&format!("receiver {}", &*name));
        (0..4).for_each(|number| send(&mut sender, number));
        peer.ask("receive 0 1");
        let mut count = 4;
        while sender.try_send(b"12345678").is_ok() {
            count += 1;
        }
        assert!(count < 20, "a live receiver holds up who sends");
        let blocked = std::thread::spawn(move || {
            send(&mut sender, 77);
            sender
        });
        peer.kill();
        let mut sender = blocked.join().unwrap();
        (0..100).for_each(|number| send(&mut sender, number));
        assert!(channel.stat().unwrap().receivers.is_empty());
        channel.check().unwrap();
    }
}

#[test]
fn a_sender_does_not_wait_for_a_dead_receiver() {
    let test = "channel::deaths::a_sender_does_not_wait_for_a_dead_receiver";
    for wait in [Wait::Spin, Wait::SpinThenSleep, Wait::Sleep] {
        let mut peer = Other::start(test);
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(Kind::Spsc).wait(wait).create(&*name).unwrap();
        peer.ask(&format!("receiver {}", &*name));
        let mut sender = channel.sender().unwrap();
        let mut count = 0;
        while sender.try_send(b"12345678").is_ok() {
            count += 1;
        }
        assert_eq!(count, 16);
        let blocked = std::thread::spawn(move || sender.send_timeout(b"12345678", HANG));
        peer.kill();
        assert!(matches!(blocked.join().unwrap(), Err(Error::Disconnected { .. })));
    }
}

#[test]
fn places_of_the_dead_are_given_to_others() {
    let test = "channel::deaths::places_of_the_dead_are_given_to_others";
    let name = TestName::memory();
    let mut peer = Other::start(test);
    let channel: Channel<[u8]> = options(Kind::Broadcast).senders(1).receivers(2).create(&*name).unwrap();
    for _ in 0..3 {
        peer.ask(&format!("sender {}", &*name));
        peer.ask(&format!("receiver {}", &*name));
        assert!(matches!(channel.sender(), Err(Error::Crowded { places: 1, .. })));
        peer.kill();
        let (_sender, _one) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let _two = open(&name).receiver_from(History::Oldest).unwrap();
        assert!(matches!(channel.receiver(), Err(Error::Crowded { places: 2, .. })));
        peer = Other::start(test);
    }
}
