//! Between two and more processes: order, once each, the first and the last message.

use std::time::{Duration, Instant};

use mapio_shared::Error;
use mapio_shared::channel::{Channel, ChannelOptions, Full, History, Kind, Receiver, Sender, Wait};
use mapio_testkit::{Peer, in_children};

use super::{combinations, message, number_of};
use crate::support::{TestName, until_readable};

/// A guard against hanging, far above what anything takes.
pub(super) const HANG: Duration = Duration::from_secs(60);
const MOST: usize = 600;

/// How long message `number` is: some in slots, some in the buffer.
fn len_of(number: u64) -> usize {
    8 + usize::try_from(number * 37 % 500).unwrap()
}

pub(super) fn send(sender: &mut Sender<[u8]>, number: u64) {
    sender.send_timeout(&message(number, len_of(number)), HANG).unwrap();
}

/// The next message's number; `None` when all senders have left.
pub(super) fn receive(receiver: &mut Receiver<[u8]>) -> Option<u64> {
    let mut buf = [0; MOST];
    match receiver.receive_timeout(&mut buf, HANG) {
        Ok(len) => {
            let number = number_of(&buf[..len]);
            assert_eq!(len, len_of(number));
            Some(number)
        }
        Err(Error::Disconnected { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn options(kind: Kind) -> ChannelOptions {
    ChannelOptions::new().kind(kind).capacity(16).message_len(600).buffer_bytes(2048)
}

pub(super) fn open(name: &str) -> Channel<[u8]> {
    ChannelOptions::new().open(name).unwrap()
}

/// Another process that opens a channel, sends ranges of numbers, and receives.
pub(super) struct Other {
    sender: Option<Sender<[u8]>>,
    receiver: Option<Receiver<[u8]>>,
    /// A message that is claimed, and will not be sent.
    held: bool,
}

impl Other {
    pub(super) fn start(test: &str) -> Peer {
        let mut other = Self { sender: None, receiver: None, held: false };
        Peer::start(test, move |request| other.serve(request))
    }

    fn serve(&mut self, request: &str) -> String {
        let words: Vec<&str> = request.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "sender" => self.sender = Some(open(words[1]).sender().unwrap()),
            "receiver" => self.receiver = Some(open(words[1]).receiver_from(History::Oldest).unwrap()),
            "send" => (number(1)..number(2)).for_each(|number| send(self.sender.as_mut().unwrap(), number)),
            "receive" => {
                let receiver = self.receiver.as_mut().unwrap();
                for expected in number(1)..number(2) {
                    assert_eq!(receive(receiver), Some(expected));
                }
            }
            "end" => assert_eq!(receive(self.receiver.as_mut().unwrap()), None),
            "claim" => {
                let loan = self.sender.as_mut().unwrap().loan(500).unwrap();
                loan.view().fill(..250, 1).unwrap();
                std::mem::forget(loan);
                self.held = true;
            }
            "leave" => (self.sender, self.receiver) = (None, None),
            "close" => self.sender.as_ref().unwrap().close().unwrap(),
            _ => unreachable!("{request}"),
        }
        String::from("done")
    }
}

#[test]
fn messages_cross_in_order_each_once() {
    let mut peer = Other::start("channel::processes::messages_cross_in_order_each_once");
    for (kind, full, wait) in combinations().filter(|(_, full, _)| *full == Full::Block) {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        let mut sender = channel.sender().unwrap();
        peer.ask(&format!("receiver {}", &*name));
        let count = 3000;
        let sent = std::thread::spawn(move || (0..count).for_each(|number| send(&mut sender, number)));
        peer.ask(&format!("receive 0 {count}"));
        sent.join().unwrap();
        // The sender has left with its thread.
        peer.ask("end");
        peer.ask("leave");
        channel.check().unwrap();
        assert_eq!(channel.stat().unwrap().sent, count);
    }
}

#[test]
fn lossy_receivers_miss_only_what_they_are_told() {
    let mut peer = Other::start("channel::processes::lossy_receivers_miss_only_what_they_are_told");
    for (kind, full, wait) in combinations().filter(|(_, full, _)| *full == Full::DropOldest) {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        let mut receiver = channel.receiver().unwrap();
        peer.ask(&format!("sender {}", &*name));
        let count = 20_000;
        let sending = std::thread::spawn(move || {
            peer.ask(&format!("send 0 {count}"));
            peer.ask("leave");
            peer
        });
        let (mut expected, mut received, mut buf) = (0, 0, [0; MOST]);
        loop {
            match receiver.receive_timeout(&mut buf, HANG) {
                Ok(len) => {
                    assert_eq!(number_of(&buf[..len]), expected);
                    (expected, received) = (expected + 1, received + 1);
                }
                Err(Error::Lagged { missed, .. }) => expected += missed,
                Err(Error::Disconnected { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(expected, count);
        mapio_testkit::report("lossy", &format!("{kind} {wait}: {received} of {count} received"));
        peer = sending.join().unwrap();
    }
}

#[test]
fn every_receiver_gets_every_message_of_every_sender() {
    const SENDERS: u64 = 2;
    const COUNT: u64 = 1500;
    let test = "channel::processes::every_receiver_gets_every_message_of_every_sender";
    let (_folder, outputs) = in_children(test, 4, |folder| {
        // The first four to come share the work: who can make a folder has the part.
        let part = (0..4_u64).find(|part| std::fs::create_dir(folder.join(part.to_string())).is_ok()).unwrap();
        let object = mapio_shared::ObjectName::file(folder.join("channel"));
        let channel: Channel<[u8]> = options(Kind::Broadcast).open_or_create(&object).unwrap();
        if part < SENDERS {
            let mut sender = channel.sender().unwrap();
            // All must be there for the first message: the receivers to get it, the senders so that none is the last.
            let begin = Instant::now();
            loop {
                let stat = channel.stat().unwrap();
                if stat.receivers.len() == 2 && (stat.senders.len() == 2 || stat.sent > 0) {
                    break;
                }
                assert!(begin.elapsed() < HANG, "{stat:?}");
                std::thread::yield_now();
            }
            (0..COUNT).for_each(|number| send(&mut sender, number * SENDERS + part));
        } else {
            let mut receiver = channel.receiver().unwrap();
            let mut next = [0; 2];
            while let Some(number) = receive(&mut receiver) {
                let from = usize::try_from(number % SENDERS).unwrap();
                assert_eq!(number / SENDERS, next[from], "of sender {from}");
                next[from] += 1;
                if next == [COUNT; 2] {
                    break;
                }
            }
            assert_eq!(next, [COUNT; 2]);
        }
    });
    let failed = outputs.iter().filter(|output| !output.status.success());
    let said: Vec<_> = failed.map(|output| String::from_utf8_lossy(&output.stderr)).collect();
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn a_receiver_that_comes_first_waits_for_the_first_message() {
    let mut peer = Other::start("channel::processes::a_receiver_that_comes_first_waits_for_the_first_message");
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        peer.ask(&format!("receiver {}", &*name));
        let sending = std::thread::spawn(move || {
            let mut sender = channel.sender().unwrap();
            send(&mut sender, 0);
            (channel, sender)
        });
        peer.ask("receive 0 1");
        drop(sending.join().unwrap());
        peer.ask("end");
        peer.ask("leave");
    }
}

#[test]
fn late_receivers_begin_where_they_ask_to() {
    let mut peer = Other::start("channel::processes::late_receivers_begin_where_they_ask_to");
    let name = TestName::memory();
    let channel: Channel<[u8]> = options(Kind::Broadcast).create(&*name).unwrap();
    peer.ask(&format!("sender {}", &*name));
    peer.ask("send 0 40");
    let mut from = [
        channel.receiver_from(History::Oldest).unwrap(),
        channel.receiver_from(History::Last(3)).unwrap(),
        channel.receiver_from(History::Last(u64::MAX)).unwrap(),
        channel.receiver().unwrap(),
    ];
    let first = from.each_mut().map(|receiver| receiver.position());
    assert_eq!((first[1], first[3]), (37, 40));
    assert_eq!(first[0], first[2]);
    assert!((40 - 16..=37).contains(&first[0]), "{first:?}");
    for (receiver, first) in from.iter_mut().zip(first) {
        (first..40).for_each(|expected| assert_eq!(receive(receiver), Some(expected)));
    }
    peer.ask("send 40 41");
    assert_eq!(from.each_mut().map(receive), [Some(40); 4]);
}

#[test]
fn closing_wakes_who_waits() {
    let mut peer = Other::start("channel::processes::closing_wakes_who_waits");
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        peer.ask(&format!("sender {}", &*name));
        let mut receiver = channel.receiver().unwrap();
        let waiting = std::thread::spawn(move || receiver.receive_timeout(&mut [0; MOST], HANG));
        peer.ask("close");
        assert!(matches!(waiting.join().unwrap(), Err(Error::Closed { .. })));
        peer.ask("leave");
    }
}

#[test]
fn a_descriptor_tells_of_messages_and_of_the_end() {
    let mut peer = Other::start("channel::processes::a_descriptor_tells_of_messages_and_of_the_end");
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(kind).full(full).wait(wait).create(&*name).unwrap();
        let mut receiver = channel.receiver().unwrap();
        if wait == Wait::Spin {
            assert!(matches!(receiver.notifier(), Err(Error::Invalid { .. })));
            continue;
        }
        let notifier = receiver.notifier().unwrap();
        peer.ask(&format!("sender {}", &*name));
        let mut received = 0;
        for (first, next) in [(0, 3), (3, 4), (4, 10)] {
            peer.ask(&format!("send {first} {next}"));
            while received < next {
                until_readable(&notifier);
                notifier.rearm().unwrap();
                let mut buf = [0; MOST];
                while let Some(len) = receiver.try_receive(&mut buf).unwrap() {
                    assert_eq!(number_of(&buf[..len]), received);
                    received += 1;
                }
            }
        }
        peer.ask("leave");
        loop {
            until_readable(&notifier);
            notifier.rearm().unwrap();
            match receiver.try_receive(&mut [0; MOST]) {
                Ok(None) => {}
                Err(Error::Disconnected { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
    }
}
