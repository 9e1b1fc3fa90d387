//! A process that writes anything anywhere: errors at worst, no crash, no hang, no access outside.

use std::time::Duration;

use mapio_shared::channel::{Channel, ChannelOptions, Full, Kind, Wait};
use mapio_shared::{Error, SharedOptions};
use mapio_testkit::{Peer, report};

use super::{combinations, message};
use crate::support::TestName;

const ROUNDS: usize = 4;
const SHORT: Duration = Duration::from_millis(3);

/// Writes `count` words at places that follow from a seed: small numbers, large ones, and what is elsewhere.
fn scribble(name: &str, mut seed: u64, count: u64) {
    let object = SharedOptions::new().open(name).unwrap();
    let view = object.view();
    let words = u64::try_from(view.len() / 8).unwrap();
    for _ in 0..count {
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 24
        };
        // The parameters and the words that all meet on more often than what follows.
        let most = if random() % 2 == 0 { words } else { words.min(300) };
        let at = usize::try_from(random() % most).unwrap() * 8;
        let value = match random() % 4 {
            0 => random() % 64,
            1 => u64::MAX - random() % 64,
            2 => view.load(usize::try_from(random() % words).unwrap() * 8).unwrap(),
            _ => random() << 24 | random(),
        };
        view.store(at, value).unwrap();
    }
}

#[test]
fn whatever_a_peer_writes_nobody_crashes_or_hangs() {
    const TEST: &str = "channel::hostile::whatever_a_peer_writes_nobody_crashes_or_hangs";
    let mut peer = Peer::start(TEST, |request| {
        let words: Vec<&str> = request.split(' ').collect();
        scribble(words[0], words[1].parse().unwrap(), words[2].parse().unwrap());
        String::from("done")
    });
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    let mut count = |result: Result<(), Error>| {
        let kind = result.map_or_else(|error| format!("{error:?}"), |()| "Ok".into());
        *kinds.entry(kind.split([' ', '{']).next().unwrap().into()).or_default() += 1;
    };
    for (kind, full, wait) in combinations() {
        for round in 0..ROUNDS {
            let name = TestName::memory();
            let options = ChannelOptions::new().kind(kind).full(full).wait(wait).capacity(8);
            let channel: Channel<[u8]> = options.message_len(400).buffer_bytes(1024).create(&*name).unwrap();
            let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
            // A few words first, so that there is something left to be done with the channel; then many.
            for (turn, words) in [3, 30, 3000].into_iter().enumerate() {
                peer.ask(&format!("{} {} {words}", &*name, round * 7919 + turn));
                for len in [50, 300, 8] {
                    count(sender.send_timeout(&message(9, len), SHORT));
                    count(receiver.receive_timeout(&mut [0; 400], SHORT).map(drop));
                    count(receiver.try_lend().map(|lent| lent.iter().for_each(|lent| drop(lent.to_vec()))));
                }
                count(channel.stat().map(drop));
                count(channel.check());
            }
            drop((sender, receiver));
            count(ChannelOptions::new().open::<[u8], _>(&*name).map(drop));
        }
    }
    report(TEST, &format!("{kinds:?}"));
    assert!(kinds.get("Corrupt").is_some_and(|count| *count > 0), "{kinds:?}");
}

#[test]
fn while_a_peer_writes_nobody_crashes_or_hangs() {
    let mut peer = Peer::start("channel::hostile::while_a_peer_writes_nobody_crashes_or_hangs", |request| {
        scribble(request, 77, 400_000);
        String::from("done")
    });
    for (kind, full) in [(Kind::Spsc, Full::Block), (Kind::Broadcast, Full::Block), (Kind::Broadcast, Full::DropOldest)]
    {
        let name = TestName::memory();
        let options = ChannelOptions::new().kind(kind).full(full).wait(Wait::SpinThenSleep).capacity(8);
        let channel: Channel<[u8]> = options.message_len(400).buffer_bytes(1024).create(&*name).unwrap();
        let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let request = name.to_string();
        let writing = std::thread::spawn(move || {
            peer.ask(&request);
            peer
        });
        while !writing.is_finished() {
            // Whatever they answer.
            let _ = sender.send_timeout(&message(9, 300), SHORT);
            let _ = receiver.receive_timeout(&mut [0; 400], SHORT);
            let _ = channel.stat();
        }
        peer = writing.join().unwrap();
    }
}
