//! An object that is opened and closed all the time by processes of which some are killed: `MAPIO_KILLS` says how
//! often.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mapio_shared::{Cleaning, Error, Lifetime, ObjectName, SharedOptions, clean};
use mapio_testkit::{Peer, report};

use crate::support::{TestName, kills};

/// Processes at a time.
const PROCESSES: usize = 3;
/// Words of the object: more than there are processes at any time, one of which is just to be killed.
const WORDS: usize = 8;
/// What is counted, in an object of its own: rounds, and those in which something was wrong.
const ROUNDS: usize = 0;
const VIOLATIONS: usize = 8;

/// Opens and closes an object again and again; whoever has it open finds it under its name, and nothing else: what a
/// process stores in a word of its own through one handle it loads through the other.
fn storm(name: &str, control: &str, word: usize) -> ! {
    let control = SharedOptions::new().open(control).unwrap();
    let (rounds, violations) = (control.view().atomic::<u32>(ROUNDS), control.view().atomic::<u32>(VIOLATIONS));
    let (rounds, violations) = (rounds.unwrap(), violations.unwrap());
    let len = u64::try_from(8 * WORDS).unwrap();
    let (options, place) = (SharedOptions::new().len(len).lifetime(Lifetime::LastHandle), 8 * word);
    for round in 1_u64.. {
        let is_sound = options.open_or_create(name).and_then(|mine| {
            let same = SharedOptions::new().open(name)?;
            mine.view().store(place, round).unwrap();
            Ok(!mine.is_removed()? && same.view().load(place) == Ok(round))
        });
        if !matches!(is_sound, Ok(true)) {
            eprintln!("{word}: {is_sound:?}");
            violations.fetch_add(1, Ordering::Relaxed).unwrap();
        }
        rounds.fetch_add(1, Ordering::Relaxed).unwrap();
        rounds.wake(1).unwrap();
    }
    unreachable!("it is killed before it has counted so far")
}

#[test]
fn an_object_that_is_open_has_its_name_while_others_are_killed() {
    let test = "storm::an_object_that_is_open_has_its_name_while_others_are_killed";
    let start = || {
        Peer::start(test, |request| {
            let words: Vec<&str> = request.split(' ').collect();
            storm(words[0], words[1], words[2].parse().unwrap())
        })
    };
    drop(start());
    let kills = kills(20);
    for name in [TestName::memory(), TestName::file()] {
        let control = TestName::memory();
        let counters = SharedOptions::new().len(16).create(&*control).unwrap();
        let rounds = counters.view().atomic::<u32>(ROUNDS).unwrap();
        let count = || rounds.load(Ordering::Relaxed).unwrap();
        let start = |number: usize| {
            let mut peer = start();
            peer.tell(&format!("{} {} {}", &*name, &*control, number % WORDS));
            peer
        };
        let mut running: Vec<Peer> = (0..PROCESSES).map(start).collect();
        for number in 0..kills {
            let (begin, target) = (Instant::now(), count() + 5);
            while count() < target {
                assert!(begin.elapsed() < Duration::from_secs(60), "nobody gets on");
                // Until somebody gets on; a while, since one may just be starting.
                rounds.wait(count(), Some(Duration::from_millis(20))).unwrap();
            }
            let next = start(PROCESSES + number);
            let killed = std::mem::replace(&mut running[number % PROCESSES], next);
            assert_eq!(killed.kill_and_hear(), None, "it has died by itself");
        }
        running.into_iter().for_each(Peer::kill);
        let violations = counters.view().load::<u32>(VIOLATIONS).unwrap();
        report(test, &format!("{} rounds of {}, {kills} kills in the middle", count(), &*name));
        assert_eq!(violations, 0);
        let names: [ObjectName; 1] = [name.parse().unwrap()];
        clean(&names, Cleaning::Remove).unwrap();
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    }
}
