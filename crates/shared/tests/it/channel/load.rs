//! Senders that are killed at random, under load: `MAPIO_KILLS` says how often.

use std::thread;
use std::time::Duration;

use mapio_shared::channel::{Channel, Full, Kind, Wait};
use mapio_shared::{Error, SharedObject, SharedOptions};
use mapio_testkit::{Peer, report};

use super::processes::{HANG, open, options};
use super::{message, number_of};
use crate::support::{TestName, kills};

/// How long somebody healthy may need for what the dead one has left behind.
const SOON: Duration = Duration::from_secs(10);

/// A process that sends numbers in a row, and writes down each that was sent.
fn talker(test: &str) -> Peer {
    Peer::start(test, move |request| {
        let words: Vec<&str> = request.split(' ').collect();
        let mut sender = open(words[0]).sender().unwrap();
        let written = SharedOptions::new().open(words[1]).unwrap();
        for number in words[2].parse::<u64>().unwrap().. {
            let len = 8 + usize::try_from(number * 37 % 500).unwrap();
            sender.send(&message(number, len)).unwrap();
            written.view().store(0, number + 1).unwrap();
        }
        String::new()
    })
}

#[test]
fn at_random_under_load_every_message_that_was_sent_is_there_once() {
    const TEST: &str = "channel::load::at_random_under_load_every_message_that_was_sent_is_there_once";
    let mut peer = Some(talker(TEST));
    let kills = kills(20);
    for (kind, wait) in [(Kind::Spsc, Wait::Sleep), (Kind::Broadcast, Wait::SpinThenSleep)] {
        let (name, log) = (TestName::memory(), TestName::memory());
        let channel: Channel<[u8]> = options(kind).full(Full::Block).wait(wait).create(&*name).unwrap();
        let written: SharedObject = SharedOptions::new().len(8).create(&*log).unwrap();
        let mut receiver = channel.receiver().unwrap();
        let (mut expected, mut seed) = (0_u64, u64::from(std::process::id()));
        let mut buf = [0; 600];
        for _ in 0..kills {
            let mut talking = peer.take().unwrap_or_else(|| talker(TEST));
            talking.tell(&format!("{} {} {expected}", &*name, &*log));
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 1;
            let most = expected + seed % 400;
            while expected <= most {
                match receiver.receive_timeout(&mut buf, HANG) {
                    Ok(len) => assert_eq!(number_of(&buf[..len]), expected),
                    // The next sender has not come yet.
                    Err(Error::Disconnected { .. }) => {
                        thread::yield_now();
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                }
                expected += 1;
            }
            assert_eq!(talking.kill_and_hear(), None, "it had no end");
            loop {
                match receiver.receive_timeout(&mut buf, SOON) {
                    Ok(len) => assert_eq!(number_of(&buf[..len]), expected),
                    Err(Error::Disconnected { .. }) => break,
                    Err(error) => panic!("{error}"),
                }
                expected += 1;
            }
            let sent: u64 = written.view().load(0).unwrap();
            assert!(sent == expected || sent + 1 == expected, "{sent} were sent, {expected} have arrived");
            expected = expected.max(sent);
            channel.check().unwrap();
        }
        report(TEST, &format!("{kind} {wait}: {kills} kills, {expected} messages"));
    }
}
