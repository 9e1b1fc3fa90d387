//! Every interleaving, and every value that the memory model allows in them, up to a number of preemptions:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p mapio-shared --lib`.
//!
//! Whoever is "killed" does nothing from some operation on, at each of his operations in turn. Time does not pass, so
//! one who sleeps and is not woken is a deadlock, which loom reports: the 20 ms after which he would look again
//! hide nothing.

use std::time::Duration;

use loom::thread;

use super::bell::{Bell, Wake};
use super::committed::Committed;
use super::flag::Flag;
use super::permits::Permits;
use super::versions::{Loaded, Versions};
use crate::error::Error;
use crate::life::Liveness;
use crate::life::model::Mortal;
use crate::lock::{Acquired, Patience};
use crate::memory::{Memory, Ordering};

/// Any time: none passes.
const PAUSE: Duration = Duration::from_millis(1);
/// A value of two words, which are the same unless it was torn.
type Pair = [u8; 16];

fn pair(value: u64) -> Pair {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&value.to_ne_bytes());
    bytes[8..].copy_from_slice(&value.to_ne_bytes());
    bytes
}

fn number(pair: &Pair) -> u64 {
    let (first, second) = pair.split_at(8);
    assert_eq!(first, second, "torn");
    u64::from_ne_bytes(first.try_into().unwrap())
}

/// Checks all interleavings with at most so many preemptions.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Runs two threads, and answers what they answer. Both are new ones: of the loads of the main one, loom delays not
/// every one.
fn beside<L: 'static, R: 'static>(left: impl FnOnce() -> L + 'static, right: impl FnOnce() -> R + 'static) -> (L, R) {
    let (left, right) = (thread::spawn(left), thread::spawn(right));
    (left.join().unwrap(), right.join().unwrap())
}

/// Two participants.
fn two() -> (Mortal, Mortal) {
    let mut mortals = Mortal::several(2);
    let second = mortals.pop().unwrap();
    (mortals.pop().unwrap(), second)
}

/// A cell of data that whoever is allowed to increases in two steps.
fn increase(memory: &Memory, offset: usize) {
    let data = memory.u64(offset).unwrap();
    let value = data.load(Ordering::Relaxed).unwrap();
    data.store(value + 1, Ordering::Relaxed).unwrap();
}

mod committed {
    use super::*;

    /// A lock, a state and two buffers.
    fn zeros() -> Memory {
        Memory::zeros(Committed::len(16), &[0, 4])
    }

    /// Adds 1 to the value; `None` if the lock is not to be had, otherwise whether somebody was found dead.
    fn add(memory: &Memory, life: &Mortal, patience: Patience) -> Result<Option<bool>, Error> {
        let committed = Committed::new(memory, 16);
        let mut value = pair(0);
        let recovered = committed.lock(life, patience, &mut value)?;
        if recovered.is_some() {
            committed.commit(&pair(number(&value) + 1))?;
            committed.unlock(life)?;
        }
        Ok(recovered)
    }

    /// What the next owner finds.
    fn next(memory: &Memory, life: &Mortal) -> (bool, u64) {
        let mut value = pair(0);
        let committed = Committed::new(memory, 16);
        let recovered = committed.lock(life, Patience::None, &mut value).unwrap().unwrap();
        committed.unlock(life).unwrap();
        (recovered, number(&value))
    }

    #[test]
    fn each_owner_finds_what_the_one_before_has_committed() {
        check(3, || {
            let (memory, (mine, other)) = (zeros(), two());
            let (own, theirs, then) = (memory.clone(), memory.clone(), mine.clone());
            let recovered = beside(
                move || add(&own, &mine, Patience::Unlimited).unwrap(),
                move || add(&theirs, &other, Patience::Unlimited).unwrap(),
            );
            assert_eq!(recovered, (Some(false), Some(false)));
            assert_eq!(next(&memory, &then), (false, 2));
        });
    }

    /// Lock, state, value, state, buffer, state, unlock: more than there are.
    const OPERATIONS: usize = 12;

    #[test]
    fn the_value_of_one_who_is_killed_is_the_old_or_the_new() {
        for killed_at in 0..OPERATIONS {
            check(3, move || {
                let (memory, (mine, other)) = (zeros(), two());
                let (own, theirs, then) = (memory.clone(), memory.dying_after(killed_at), mine.clone());
                let (added, (dead, theirs)) = beside(
                    move || add(&own, &mine, Patience::None).unwrap(),
                    move || {
                        let added = add(&theirs, &other, Patience::None);
                        let dead = theirs.is_dead() && added.is_err();
                        other.die();
                        (dead, added.is_ok_and(|added| added.is_some()))
                    },
                );
                let (recovered, value) = next(&memory, &then);
                let certain = u64::from(added.is_some()) + u64::from(theirs);
                assert!(value == certain || dead && value == certain + 1, "{value}");
                assert!(dead || !recovered && added != Some(true));
                assert!(!(recovered && added == Some(true)), "told twice");
            });
        }
    }

    #[test]
    fn whoever_repairs_may_be_killed_as_well() {
        for killed_at in 0..OPERATIONS {
            check(2, move || {
                let memory = zeros();
                let mut mortals = Mortal::several(3);
                let dead = mortals.pop().unwrap();
                // In the middle of the other buffer.
                add(&memory.dying_after(6), &dead, Patience::None).unwrap_err();
                dead.die();
                let repairer = mortals.pop().unwrap();
                let (own, theirs, mine) = (memory.clone(), memory.dying_after(killed_at), mortals[0].clone());
                let (added, theirs) = beside(
                    move || add(&own, &mine, Patience::None).unwrap(),
                    move || {
                        let added = add(&theirs, &repairer, Patience::None);
                        repairer.die();
                        added
                    },
                );
                let (recovered, value) = next(&memory, &mortals[0]);
                let certain = u64::from(added.is_some()) + u64::from(matches!(theirs, Ok(Some(_))));
                assert!(value == certain || theirs.is_err() && value == certain + 1, "{value}");
                // The death is known to one who has survived it.
                assert!(recovered || added == Some(true) || matches!(theirs, Ok(Some(true))) || theirs.is_err());
                // A repairer who was killed with the lock leaves it to be found.
                assert!(theirs.is_ok() || recovered || added.is_some());
            });
        }
    }

    #[test]
    fn one_who_gives_up_is_told_of_once_and_his_value_is_lost() {
        check(3, || {
            let (memory, (mine, other)) = (zeros(), two());
            let (own, theirs, last) = (memory.clone(), memory.clone(), mine.clone());
            let gives_up = move || {
                let committed = Committed::new(&theirs, 16);
                let mut value = pair(0);
                committed.lock(&other, Patience::Unlimited, &mut value).unwrap().unwrap();
                committed.give_up(&other).unwrap();
            };
            let (first, ()) = beside(move || add(&own, &mine, Patience::Unlimited).unwrap().unwrap(), gives_up);
            let (then, value) = next(&memory, &last);
            assert_eq!((first || then, first && then, value), (true, false, 1));
        });
    }
}

mod condvar {
    use super::*;

    /// The bell is behind the value and its lock.
    const BELL: usize = Committed::len(8);

    #[test]
    fn who_waits_for_a_change_is_woken_by_it() {
        check(3, || {
            let memory = Memory::zeros(BELL + 8, &[0, 4, BELL]);
            let ((mine, other), theirs) = (two(), memory.clone());
            let notifies = move || {
                let committed = Committed::new(&theirs, 8);
                committed.lock(&other, Patience::Unlimited, &mut [0; 8]).unwrap();
                committed.commit(&7_u64.to_ne_bytes()).unwrap();
                committed.unlock(&other).unwrap();
                Bell::new(&theirs, BELL).ring(Wake::One).unwrap();
            };
            let waits = move || {
                let (committed, bell) = (Committed::new(&memory, 8), Bell::new(&memory, BELL));
                let mut value = [0; 8];
                loop {
                    committed.lock(&mine, Patience::Unlimited, &mut value).unwrap();
                    if value != [0; 8] {
                        return u64::from_ne_bytes(value);
                    }
                    let ticket = bell.ticket().unwrap();
                    committed.unlock(&mine).unwrap();
                    bell.sleep(ticket, PAUSE).unwrap();
                }
            };
            assert_eq!(beside(waits, notifies).0, 7);
        });
    }
}

mod permits {
    use super::*;

    const COUNT: usize = 2;
    /// Behind the permits.
    const DATA: usize = 16;

    fn zeros() -> Memory {
        Memory::zeros(24, &[0, 8, 12])
    }

    fn work(memory: &Memory, life: &Mortal) {
        let permits = Permits::new(memory, 1);
        let (index, acquired) = permits.acquire(life, Patience::Unlimited).unwrap().unwrap();
        assert_eq!(acquired, Acquired::InOrder);
        increase(memory, DATA);
        permits.release(life, index).unwrap();
    }

    #[test]
    fn who_acquires_sees_what_was_done_before_the_release() {
        check(3, || {
            let (memory, (mine, other)) = (zeros(), two());
            let (own, theirs) = (memory.clone(), memory.clone());
            beside(move || work(&own, &mine), move || work(&theirs, &other));
            assert_eq!(memory.u64(DATA).unwrap().load(Ordering::Relaxed).unwrap(), 2);
        });
    }

    #[test]
    fn who_acquires_sees_what_was_done_before_the_post() {
        check(3, || {
            let (memory, (mine, _)) = (zeros(), two());
            let permits = Permits::new(&memory, 1);
            let (index, _) = permits.acquire(&mine, Patience::None).unwrap().unwrap();
            permits.forget(&mine, index).unwrap();
            let (own, theirs) = (memory.clone(), memory.clone());
            let acquires = move || {
                Permits::new(&own, 1).acquire(&mine, Patience::Unlimited).unwrap().unwrap();
                own.u64(DATA).unwrap().load(Ordering::Relaxed).unwrap()
            };
            let posts = move || {
                increase(&theirs, DATA);
                Permits::new(&theirs, 1).post().unwrap()
            };
            assert_eq!(beside(acquires, posts), (1, true));
            assert!(!permits.post().unwrap());
        });
    }

    #[test]
    fn permits_of_who_is_killed_are_there_once() {
        for killed_at in 0..8 {
            check(3, move || {
                let (memory, (mine, other)) = (zeros(), two());
                let (own, theirs, then) = (memory.clone(), memory.dying_after(killed_at), mine.clone());
                let is_killed = move || {
                    let permits = Permits::new(&theirs, COUNT);
                    let acquired = permits.acquire(&other, Patience::None);
                    // Killed in the release, or before, or not at all.
                    let _ = acquired.map(|acquired| acquired.map(|(index, _)| permits.release(&other, index)));
                    other.die();
                };
                let acquires =
                    move || Permits::new(&own, COUNT).acquire(&mine, Patience::None).unwrap().expect("one of two").0;
                let (first, ()) = beside(acquires, is_killed);
                let permits = Permits::new(&memory, COUNT);
                let second = permits.acquire(&then, Patience::None).unwrap().unwrap();
                assert_ne!(first, second.0);
                assert!(permits.acquire(&then, Patience::None).unwrap().is_none());
            });
        }
    }
}

mod flag {
    use super::*;

    const DATA: usize = 8;

    fn zeros() -> Memory {
        Memory::zeros(16, &[0, 4])
    }

    fn data(memory: &Memory) -> u64 {
        memory.u64(DATA).unwrap().load(Ordering::Relaxed).unwrap()
    }

    #[test]
    fn who_has_waited_sees_what_was_done_before_it_was_set() {
        check(3, || {
            let memory = zeros();
            let theirs = memory.clone();
            let waits = move || {
                Flag::new(&memory).wait(Patience::Unlimited).unwrap().unwrap();
                data(&memory)
            };
            let sets = move || {
                increase(&theirs, DATA);
                Flag::new(&theirs).set().unwrap();
            };
            assert_eq!(beside(waits, sets).0, 1);
        });
    }

    #[test]
    fn a_flag_that_is_reset_at_once_was_set() {
        check(3, || {
            let memory = zeros();
            let theirs = memory.clone();
            let begin = Bell::new(&memory, 4).ticket().unwrap();
            let waits = move || {
                Flag::new(&memory).wait_since(begin, Patience::Unlimited).unwrap().unwrap();
                data(&memory)
            };
            let sets = move || {
                increase(&theirs, DATA);
                Flag::new(&theirs).set().unwrap();
                Flag::new(&theirs).reset().unwrap();
            };
            assert_eq!(beside(waits, sets).0, 1);
        });
    }

    #[test]
    fn one_takes_what_was_set_and_sees_what_was_done_before() {
        check(3, || {
            let memory = zeros();
            let (first, second) = (memory.clone(), memory.clone());
            let setter = thread::spawn(move || {
                increase(&first, DATA);
                Flag::new(&first).set().unwrap();
            });
            let take = |memory: Memory| {
                move || {
                    let taken = Flag::new(&memory).take(Patience::None).unwrap().is_some();
                    assert!(!taken || data(&memory) == 1);
                    taken
                }
            };
            let (mine, theirs) = beside(take(memory.clone()), take(second));
            setter.join().unwrap();
            assert_eq!(Flag::new(&memory).is_set().unwrap(), !mine && !theirs);
            assert!(!(mine && theirs));
        });
    }

    #[test]
    fn who_waits_to_take_it_is_woken() {
        check(3, || {
            let memory = zeros();
            let (own, theirs) = (memory.clone(), memory.clone());
            beside(
                move || Flag::new(&own).take(Patience::Unlimited).unwrap().unwrap(),
                move || Flag::new(&theirs).set().unwrap(),
            );
            assert!(!Flag::new(&memory).is_set().unwrap());
        });
    }
}

mod versions {
    use super::*;

    fn zeros() -> Memory {
        Memory::zeros(Versions::len(16), &[0, 4])
    }

    fn store(memory: &Memory, life: &Mortal, value: u64) -> Result<u64, Error> {
        Ok(Versions::new(memory, 16).store(life, Patience::None, &pair(value))?.expect("one writer"))
    }

    /// The version and its value, which are the same number here.
    fn load(memory: &Memory) -> Option<u64> {
        let mut value = pair(0);
        match Versions::new(memory, 16).load(&mut value).unwrap() {
            Loaded::Nothing => Some(0),
            Loaded::Lapped(_) => None,
            Loaded::Version(version) => {
                assert_eq!(number(&value), version);
                Some(version)
            }
        }
    }

    #[test]
    fn a_version_comes_with_its_value_and_what_was_done_before() {
        const DATA: usize = Versions::len(16);
        for waits in [false, true] {
            check(3, move || {
                let (memory, (mine, _)) = (Memory::zeros(DATA + 8, &[0, 4]), two());
                let theirs = memory.clone();
                let stores = move || {
                    increase(&theirs, DATA);
                    store(&theirs, &mine, 1).unwrap();
                };
                let loads = move || {
                    let seen = if waits { Versions::new(&memory, 16).version().ok() } else { load(&memory) };
                    let data = memory.u64(DATA).unwrap().load(Ordering::Relaxed).unwrap();
                    assert!(seen == Some(0) || data == 1);
                };
                beside(stores, loads);
            });
        }
    }

    #[test]
    fn what_is_loaded_is_whole_however_many_are_stored_meanwhile() {
        check(2, || {
            let (memory, (mine, _)) = (zeros(), two());
            store(&memory, &mine, 1).unwrap();
            let (own, theirs) = (memory.clone(), memory.clone());
            let stores = move || {
                for value in 2..=4 {
                    store(&theirs, &mine, value).unwrap();
                }
            };
            // Or lapped, which is told.
            beside(stores, move || load(&own));
            assert_eq!(load(&memory), Some(4));
        });
    }

    #[test]
    fn another_writer_writes_over_what_nobody_may_take_for_whole() {
        check(2, || {
            let (memory, (mine, other)) = (zeros(), two());
            store(&memory, &mine, 1).unwrap();
            store(&memory, &mine, 2).unwrap();
            let (first, second) = (memory.clone(), memory.clone());
            let stores = move || {
                store(&first, &mine, 3).unwrap();
                // In order after it, as by a process that has learned of it.
                thread::spawn(move || store(&second, &other, 4).unwrap()).join().unwrap();
            };
            beside(stores, move || load(&memory));
        });
    }

    #[test]
    fn a_writer_that_is_killed_has_stored_the_value_or_has_not() {
        for killed_at in 0..9 {
            check(2, move || {
                let (memory, (mine, other)) = (zeros(), two());
                store(&memory, &mine, 1).unwrap();
                let (own, theirs) = (memory.clone(), memory.dying_after(killed_at));
                let is_killed = move || {
                    let stored = store(&theirs, &other, 2);
                    other.die();
                    stored
                };
                let (stored, seen) = beside(is_killed, move || load(&own).expect("not lapped by one"));
                assert!(seen == 1 || seen == 2);
                let last = load(&memory).unwrap();
                assert!(last >= seen && (stored.is_err() || last == 2));
                assert_eq!(store(&memory, &mine, last + 1).unwrap(), last + 1);
                assert_eq!(load(&memory), Some(last + 1));
            });
        }
    }

    #[test]
    fn who_waits_for_a_change_is_woken_by_it() {
        check(3, || {
            let (memory, (mine, _)) = (zeros(), two());
            let theirs = memory.clone();
            let waits = move || {
                let versions = Versions::new(&memory, 16);
                let version = versions.wait(0, Patience::Unlimited, |bell, ticket, pause| bell.sleep(ticket, pause));
                (version.unwrap(), load(&memory))
            };
            let (found, _) = beside(waits, move || store(&theirs, &mine, 1).unwrap());
            assert_eq!(found, (Some(1), Some(1)));
        });
    }

    #[test]
    fn writers_wait_for_each_other() {
        check(2, || {
            let (memory, (mine, other)) = (zeros(), two());
            let store = |memory: Memory, life: Mortal| {
                move || {
                    let own = u64::from(life.number());
                    let versions = Versions::new(&memory, 16);
                    (versions.store(&life, Patience::Unlimited, &pair(own)).unwrap().unwrap(), own)
                }
            };
            let (first, second) = beside(store(memory.clone(), mine), store(memory.clone(), other));
            let both = [first, second];
            let mut value = pair(0);
            assert_eq!(Versions::new(&memory, 16).load(&mut value).unwrap(), Loaded::Version(2));
            assert!(both.contains(&(2, number(&value))) && both.iter().any(|(version, _)| *version == 1));
        });
    }
}
