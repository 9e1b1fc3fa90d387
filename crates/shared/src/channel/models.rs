//! Every interleaving of small channels, and every value that the memory model allows in them, up to a number of
//! preemptions: `RUSTFLAGS="--cfg loom" cargo test --release -p mapio-shared --lib`.

use loom::thread;

use super::options::{Full, History, Kind, Wait};
use super::places;
use super::reader::Reader;
use super::ring::Ring;
use super::shape::{Builder, CLOSED, DATA, LOCK, SPACE};
use super::writer::{Writer, pad_for_the_dead};
use crate::error::Error;
use crate::life::model::Mortal;
use crate::lock::Patience;
use crate::memory::Memory;

/// A channel of two messages of 16 bytes, which lie in their slots.
fn ring(kind: Kind, full: Full) -> Ring {
    let parties = if kind == Kind::Spsc { 1 } else { 2 };
    let builder = Builder {
        kind,
        full,
        wait: Wait::Sleep,
        senders: parties,
        receivers: parties,
        fixed: true,
        slots: 2,
        message_len: 16,
        buffer_bytes: 0,
    };
    let shape = builder.build().unwrap();
    Ring { memory: Memory::zeros(shape.len, &[LOCK, DATA, SPACE, CLOSED]), shape }
}

/// The same, where nobody sleeps: without F3, which would order more than is needed.
fn spinning(kind: Kind) -> Ring {
    let mut ring = ring(kind, Full::Block);
    ring.shape.wait = Wait::Spin;
    ring
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(run);
}

fn writer(ring: &Ring, life: &Mortal) -> Writer {
    Writer::join(ring.clone(), life, Patience::Unlimited).unwrap().unwrap()
}

fn reader(ring: &Ring, life: &Mortal, history: History) -> Reader {
    Reader::join(ring.clone(), life, history, Patience::Unlimited).unwrap().unwrap()
}

/// The same number twice: a mixture of two messages is seen.
fn message(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_ne_bytes());
    bytes[8..].copy_from_slice(&number.to_ne_bytes());
    bytes
}

fn number(bytes: &[u8; 16]) -> u64 {
    let number = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(message(number), *bytes, "torn");
    number
}

fn send(writer: &mut Writer, life: &Mortal, value: u64) {
    assert!(writer.send(life, &message(value), Patience::Unlimited).unwrap());
}

fn receive(reader: &mut Reader, life: &Mortal) -> u64 {
    let mut bytes = [0; 16];
    assert!(reader.receive(life, &mut bytes, Patience::Unlimited).unwrap().is_some());
    number(&bytes)
}

/// Both ends sleep: the channel is empty at first, and full in between. Who is never woken is a deadlock.
#[test]
fn what_is_published_arrives_and_nobody_sleeps_for_ever() {
    model(3, || {
        let ring = ring(Kind::Spsc, Full::Block);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut writer = writer(&ring, &theirs);
        let mut reader = reader(&ring, &mine, History::Now);
        let thread = thread::spawn(move || (1..4).for_each(|value| send(&mut writer, &theirs, value)));
        assert_eq!([(); 3].map(|()| receive(&mut reader, &mine)), [1, 2, 3]);
        thread.join().unwrap();
    });
}

#[test]
fn two_senders_claim_two_places() {
    model(2, || {
        let ring = ring(Kind::Broadcast, Full::Block);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut reader = reader(&ring, &mine, History::Now);
        let (mut one, mut two) = (writer(&ring, &theirs), writer(&ring, &mine));
        let thread = thread::spawn(move || send(&mut one, &theirs, 1));
        send(&mut two, &mine, 2);
        let received = [(); 2].map(|()| receive(&mut reader, &mine));
        assert!(received == [1, 2] || received == [2, 1], "{received:?}");
        thread.join().unwrap();
    });
}

#[test]
fn what_a_dead_one_owes_is_skipped_and_what_it_has_sent_is_not() {
    model(3, || {
        let ring = ring(Kind::Broadcast, Full::Block);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut reader = reader(&ring, &mine, History::Now);
        let (mut one, mut two) = (writer(&ring, &theirs), writer(&ring, &mine));
        let thread = thread::spawn(move || {
            let claim = one.claim(&theirs, 16, Patience::Unlimited).unwrap().unwrap();
            one.ring().memory.write(claim.extent.at, &message(9)).unwrap();
            let position = 0;
            let cleared = one.ring().clone();
            theirs.die();
            (cleared, position)
        });
        // It is alive, or it is not; only then its message is cleared away.
        let early = pad_for_the_dead(&ring, &mine, 0).unwrap();
        let (cleared, position) = thread.join().unwrap();
        let late = pad_for_the_dead(&cleared, &mine, position).unwrap();
        assert!(early != late);
        send(&mut two, &mine, 2);
        assert_eq!(receive(&mut reader, &mine), 2);
    });
}

#[test]
fn what_gives_way_while_it_is_read_is_not_taken_for_a_message() {
    for kind in [Kind::Spsc, Kind::Broadcast] {
        model(2, move || {
            let ring = ring(kind, Full::DropOldest);
            let mut mortals = Mortal::several(2);
            let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
            let mut reader = reader(&ring, &mine, History::Now);
            let mut writer = writer(&ring, &theirs);
            send(&mut writer, &theirs, 1);
            let thread = thread::spawn(move || (2..5).for_each(|value| send(&mut writer, &theirs, value)));
            let mut last = 0;
            for _ in 0..2 {
                let mut bytes = [0; 16];
                let Ok(Some(extent)) = reader.look() else { continue };
                reader.ring().memory.read(extent.at, &mut bytes).unwrap();
                match reader.check() {
                    Ok(()) => {
                        assert!(number(&bytes) > last && number(&bytes) < 5);
                        last = number(&bytes);
                        reader.release().unwrap();
                    }
                    Err(Error::Lagged { missed, .. }) => assert!(missed > 0),
                    Err(error) => panic!("{error}"),
                }
            }
            thread.join().unwrap();
        });
    }
}

/// From the first message on that a receiver gets, it gets all.
#[test]
fn who_joins_while_others_send_misses_nothing_in_between() {
    model(2, || {
        let ring = ring(Kind::Broadcast, Full::Block);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut writer = writer(&ring, &theirs);
        send(&mut writer, &theirs, 1);
        send(&mut writer, &theirs, 2);
        let thread = thread::spawn(move || {
            // Without a receiver the oldest gives way; with one it does not.
            send(&mut writer, &theirs, 3);
            writer
        });
        let mut reader = reader(&ring, &mine, History::Oldest);
        let first = receive(&mut reader, &mine);
        assert!(first == 1 || first == 2, "{first}");
        for expected in first + 1..4 {
            assert_eq!(receive(&mut reader, &mine), expected);
        }
        drop(thread.join().unwrap());
    });
}

/// Looks once whether there is a message, or the end of all senders.
fn try_receive(reader: &mut Reader, life: &Mortal) -> Result<Option<u64>, Error> {
    let mut bytes = [0; 16];
    let received = reader.receive(life, &mut bytes, Patience::None)?;
    Ok(received.map(|_| number(&bytes)))
}

#[test]
fn the_end_of_all_senders_is_seen_behind_their_last_message() {
    model(3, || {
        let ring = spinning(Kind::Spsc);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut reader = reader(&ring, &mine, History::Now);
        let mut writer = writer(&ring, &theirs);
        let thread = thread::spawn(move || {
            send(&mut writer, &theirs, 1);
            writer.leave().unwrap();
        });
        assert_ne!(try_receive(&mut reader, &mine).map_err(drop), Err(()), "the end, before the message");
        thread.join().unwrap();
    });
}

/// The one who clears a dead sender's place away tells others of the death.
#[test]
fn the_end_of_a_dead_sender_is_seen_behind_its_last_message() {
    model(2, || {
        let ring = spinning(Kind::Spsc);
        let [mine, theirs, third] = Mortal::several(3).try_into().unwrap_or_else(|_| unreachable!());
        let mut reader = reader(&ring, &mine, History::Now);
        let mut writer = writer(&ring, &theirs);
        let clearing = thread::spawn(move || places::bury_senders(&ring, &third).unwrap());
        let dying = thread::spawn(move || {
            send(&mut writer, &theirs, 1);
            theirs.die();
        });
        assert_ne!(try_receive(&mut reader, &mine).map_err(drop), Err(()), "the end, before the message");
        clearing.join().unwrap();
        dying.join().unwrap();
    });
}

#[test]
fn a_sender_that_comes_before_another_leaves_leaves_no_gap() {
    model(2, || {
        let ring = spinning(Kind::Broadcast);
        let mut mortals = Mortal::several(2);
        let (mine, theirs) = (mortals.pop().unwrap(), mortals.pop().unwrap());
        let mut reader = reader(&ring, &mine, History::Now);
        // The first place is free, and looked at first.
        let (mut first, mut second) = (writer(&ring, &theirs), writer(&ring, &theirs));
        first.leave().unwrap();
        let thread = thread::spawn(move || {
            let next = writer(&ring, &theirs);
            second.leave().unwrap();
            next
        });
        assert_eq!(try_receive(&mut reader, &mine).map_err(drop), Ok(None));
        drop(thread.join().unwrap());
    });
}
