//! A process that is killed after each instruction of each operation, and what it leaves to the others.
//!
//! Each test runs one operation in a process that is single-stepped, and cut off after the n-th instruction;
//! `MAPIO_KILL_POINTS` says for how many of them at most, which are others in each run of the tests.

use std::cell::RefCell;
use std::thread;
use std::time::Duration;

use mapio_shared::channel::{Channel, ChannelOptions, Full, History, Kind, Receiver, Wait};
use mapio_shared::{Error, SharedObject};
use mapio_testkit::{Region, Stepper};

use super::processes::{HANG, Other, open, options};
use super::{message, number_of};
use crate::support::TestName;

/// Instructions of an operation after which it is cut, unless the environment says otherwise.
const POINTS: usize = 16;
/// How long somebody healthy may need for what the dead one has left behind.
const SOON: Duration = Duration::from_secs(1);
/// What a dead one may have sent, and what a healthy one does.
const LAST_WORDS: u64 = 4242;
const MARK: u64 = 1;
const LONG: usize = 500;

/// Every channel that differs in what happens at a death: waiting by looking takes the same way but for the futex.
fn channels() -> Vec<(TestName, Channel<[u8]>)> {
    let mut channels = Vec::new();
    for kind in [Kind::Spsc, Kind::Broadcast] {
        for full in [Full::Block, Full::DropOldest] {
            let name = TestName::memory();
            let channel = options(kind).full(full).wait(Wait::Sleep).capacity(4).create(&*name).unwrap();
            channels.push((name, channel));
        }
    }
    channels
}

/// Starts the process whose children are killed: they open the channel of the case's name, and do `work`.
fn stepper(test: &str, mut work: impl FnMut(&Channel<[u8]>, &Region)) -> Stepper {
    Stepper::start(test, move |name, region| work(&open(name), region))
}

fn next(receiver: &mut Receiver<[u8]>) -> u64 {
    let mut buf = [0; 600];
    loop {
        match receiver.receive_timeout(&mut buf, SOON) {
            Ok(len) => return number_of(&buf[..len]),
            // In a lossy channel; what counts is what follows.
            Err(Error::Lagged { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A healthy sender comes, sends and leaves; answers what the receiver gets before its message.
fn healthy_round(channel: &Channel<[u8]>, receiver: &mut Receiver<[u8]>) -> Vec<u64> {
    let mut sender = channel.sender().unwrap();
    sender.send_timeout(&message(MARK, 8), SOON).unwrap();
    let mut before = Vec::new();
    loop {
        match next(receiver) {
            MARK => break,
            other => before.push(other),
        }
    }
    drop(sender);
    channel.check().unwrap();
    before
}

/// Kills senders in `work`, and checks that their message is there once and whole, or not at all if they have not come
/// to its end.
fn kill_senders(test: &str, work: impl Fn(&Channel<[u8]>, &Region) + Clone, sends: u64) {
    let mut stepper = stepper(test, move |channel, region| work(channel, region));
    for (name, channel) in channels() {
        let mut receiver = channel.receiver().unwrap();
        stepper.kill_everywhere(
            test,
            &name,
            POINTS,
            || (),
            |over| {
                let found = healthy_round(&channel, &mut receiver);
                let count = u64::try_from(found.len()).unwrap();
                assert!(found.iter().all(|number| *number == LAST_WORDS), "{found:?}");
                assert!(count == sends || (!over && count < sends), "{count} of {sends} messages");
            },
        );
    }
}

#[test]
fn in_sending_a_short_message() {
    let work = |channel: &Channel<[u8]>, region: &Region| {
        let mut sender = channel.sender().unwrap();
        let bytes = message(LAST_WORDS, 100);
        region.run(|| sender.send(&bytes).unwrap());
    };
    kill_senders("channel::kills::in_sending_a_short_message", work, 1);
}

#[test]
fn in_sending_a_long_message() {
    let work = |channel: &Channel<[u8]>, region: &Region| {
        let mut sender = channel.sender().unwrap();
        let bytes = message(LAST_WORDS, LONG);
        region.run(|| sender.send(&bytes).unwrap());
    };
    kill_senders("channel::kills::in_sending_a_long_message", work, 1);
}

#[test]
fn in_a_loan_that_is_made_shorter() {
    let work = |channel: &Channel<[u8]>, region: &Region| {
        let mut sender = channel.sender().unwrap();
        let bytes = message(LAST_WORDS, LONG);
        region.run(|| {
            let mut loan = sender.loan(LONG).unwrap();
            loan.view().write_all_at(0, &bytes).unwrap();
            loan.truncate(50).unwrap();
            loan.send().unwrap();
        });
    };
    kill_senders("channel::kills::in_a_loan_that_is_made_shorter", work, 1);
}

#[test]
fn in_a_loan_that_is_given_up() {
    let work = |channel: &Channel<[u8]>, region: &Region| {
        let mut sender = channel.sender().unwrap();
        region.run(|| drop(sender.loan(LONG).unwrap()));
    };
    kill_senders("channel::kills::in_a_loan_that_is_given_up", work, 0);
}

#[test]
fn in_coming_and_leaving_as_a_sender() {
    let work = |channel: &Channel<[u8]>, region: &Region| {
        region.run(|| drop(channel.sender().unwrap()));
    };
    kill_senders("channel::kills::in_coming_and_leaving_as_a_sender", work, 0);
}

#[test]
fn in_coming_and_leaving_as_a_receiver() {
    const TEST: &str = "channel::kills::in_coming_and_leaving_as_a_receiver";
    let mut stepper = stepper(TEST, |channel, region| {
        region.run(|| drop(channel.receiver_from(History::Oldest).unwrap()));
    });
    for (name, channel) in channels() {
        stepper.kill_everywhere(
            TEST,
            &name,
            POINTS,
            || (),
            |_| {
                let mut receiver = channel.receiver().unwrap();
                // More than there is room for: a dead receiver's place holds up nobody.
                for _ in 0..6 {
                    assert_eq!(healthy_round(&channel, &mut receiver), []);
                }
            },
        );
    }
}

#[test]
fn in_receiving() {
    const TEST: &str = "channel::kills::in_receiving";
    let mut stepper = stepper(TEST, |channel, region| {
        let mut receiver = channel.receiver_from(History::Last(2)).unwrap();
        let mut buf = [0; 600];
        let len = region.run(|| receiver.receive(&mut buf).unwrap());
        assert_eq!(number_of(&buf[..len]), 7);
        // A death, not a leave.
        std::mem::forget(receiver);
    });
    for (name, channel) in channels() {
        let kind = channel.stat().unwrap().kind;
        let mut sender = channel.sender().unwrap();
        stepper.kill_everywhere(
            TEST,
            &name,
            POINTS,
            || {
                for (number, len) in [(7, LONG), (8, 50)] {
                    sender.send_timeout(&message(number, len), SOON).unwrap();
                }
            },
            |over| {
                let mut receiver = channel.receiver_from(History::Last(2)).unwrap();
                let mut first = next(&mut receiver);
                if first == 7 {
                    assert!(!over || kind == Kind::Broadcast, "received twice");
                    first = next(&mut receiver);
                }
                assert_eq!((first, receiver.try_receive(&mut [0; 600]).unwrap()), (8, None));
                channel.check().unwrap();
            },
        );
    }
}

/// The one who clears away what a dead one has left dies as well.
#[test]
fn in_skipping_what_a_dead_sender_owes() {
    const TEST: &str = "channel::kills::in_skipping_what_a_dead_sender_owes";
    let mut stepper = stepper(TEST, |channel, region| {
        // What the dead one owes, and the message behind it.
        let mut receiver = channel.receiver_from(History::Last(2)).unwrap();
        region.run(|| while receiver.receive(&mut [0; 600]).is_err() {});
    });
    for (name, channel) in channels().into_iter().skip(2) {
        let mut receiver = channel.receiver().unwrap();
        let prepare = || {
            // This test's own first call has a process of another kind.
            let mut claimant = Other::start("channel::deaths::a_message_that_a_dead_sender_owes_is_skipped");
            claimant.ask(&format!("sender {}", &*name));
            claimant.ask("claim");
            claimant.kill();
            let mut sender = channel.sender().unwrap();
            sender.send_timeout(&message(MARK, 50), SOON).unwrap();
        };
        let check = |_| {
            assert_eq!(next(&mut receiver), MARK);
            assert_eq!(healthy_round(&channel, &mut receiver), []);
        };
        stepper.kill_everywhere(TEST, &name, POINTS, prepare, check);
    }
}

#[test]
fn in_making_and_opening() {
    const TEST: &str = "channel::kills::in_making_and_opening";
    let mut stepper = Stepper::start(TEST, |name, region| {
        let options = ChannelOptions::new().capacity(4);
        region.run(|| drop(options.open_or_create::<u64, _>(name).unwrap()));
    });
    let name = TestName::memory();
    let prepare = || {
        // Not there any more, or never come so far.
        let _ = SharedObject::remove(&*name);
    };
    let mut round = 0;
    let check = |_| {
        let channel: Channel<u64> = ChannelOptions::new().capacity(4).open_or_create(&*name).unwrap();
        let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
        round += 1;
        sender.send(&round).unwrap();
        assert_eq!(receiver.receive().unwrap(), round);
        channel.check().unwrap();
    };
    stepper.kill_everywhere(TEST, &name, POINTS, prepare, check);
}

/// Whether or not it has come to wake him, one who waits learns of it.
#[test]
fn in_closing() {
    const TEST: &str = "channel::kills::in_closing";
    let mut stepper = stepper(TEST, |channel, region| region.run(|| channel.close().unwrap()));
    let name = TestName::memory();
    let waiting = RefCell::new(None);
    let prepare = || {
        // The one before, if there was one.
        let _ = SharedObject::remove(&*name);
        let channel: Channel<[u8]> = options(Kind::Broadcast).wait(Wait::Sleep).create(&*name).unwrap();
        let mut receiver = channel.receiver().unwrap();
        let thread = thread::spawn(move || receiver.receive_timeout(&mut [0; 600], HANG));
        waiting.replace(Some((channel, thread)));
    };
    let check = |over: bool| {
        let (channel, thread) = waiting.take().unwrap();
        let closed = channel.stat().unwrap().closed;
        assert!(closed || !over);
        if !closed {
            channel.sender().unwrap().send_timeout(&message(MARK, 8), SOON).unwrap();
            assert_eq!(thread.join().unwrap().unwrap(), 8);
            channel.close().unwrap();
        } else {
            assert!(matches!(thread.join().unwrap(), Err(Error::Closed { .. })));
        }
        assert!(matches!(channel.sender().unwrap().send(&message(MARK, 8)), Err(Error::Closed { .. })));
        channel.check().unwrap();
    };
    stepper.kill_everywhere(TEST, &name, POINTS, prepare, check);
}

/// One who only looks, from opening to the end, changes nothing for those who send and receive.
#[test]
fn in_looking_from_outside() {
    const TEST: &str = "channel::kills::in_looking_from_outside";
    let mut stepper = Stepper::start(TEST, |name, region| {
        region.run(|| {
            let channel: Channel<[u8]> = ChannelOptions::new().any_type().role("watcher").open(name).unwrap();
            assert_eq!(channel.stat().unwrap().receivers.len(), 1);
            channel.object().users().unwrap();
        });
    });
    for (name, channel) in channels().into_iter().step_by(3) {
        let mut receiver = channel.receiver().unwrap();
        let check = |_| assert_eq!(healthy_round(&channel, &mut receiver), []);
        stepper.kill_everywhere(TEST, &name, POINTS, || (), check);
    }
}
