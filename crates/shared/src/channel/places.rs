//! Who sends and who receives: places with numbers, which are free when the number is 0 or its owner is dead.
//!
//! Places are taken and cleared under the lock, and given back without it.

use super::options::{History, Kind};
use super::ring::{MOST, Ring};
use super::shape::{GATE, HEAD, NUMBER, POSITION, RECEIVERS, SENDERS, TAIL};
use super::writer::locked;
use crate::error::Error;
use crate::life::Liveness;
use crate::lock::{Patience, RECHECK};
use crate::memory::Ordering;

/// Takes a sender's place; the lock is held.
pub(crate) fn take_sender(ring: &Ring, life: &impl Liveness) -> Result<usize, Error> {
    let place = find_free(ring, life, ring.shape.sender_places(), ring.shape.senders)?;
    ring.memory.u64(place + NUMBER)?.store(life.number().into(), Ordering::Relaxed)?;
    Ok(place)
}

/// Takes a receiver's place, and decides which message is its first; the lock is held.
pub(crate) fn take_receiver(ring: &Ring, life: &impl Liveness, history: History) -> Result<(usize, u64), Error> {
    let place = find_free(ring, life, ring.shape.receiver_places(), ring.shape.receivers)?;
    let word = ring.memory.u64(place + POSITION)?;
    let position = if ring.shape.kind == Kind::Spsc {
        // Where the one before has stopped.
        word.load(Ordering::Relaxed)?
    } else {
        let head = ring.memory.u64(HEAD)?.load(Ordering::Relaxed)?;
        let tail = ring.memory.u64(TAIL)?.load(Ordering::Relaxed)?;
        let position = match history {
            History::Now => tail,
            History::Oldest => head,
            History::Last(count) => tail.saturating_sub(count).max(head),
        };
        word.store(position, Ordering::Relaxed)?;
        let gate = ring.memory.u64(GATE)?;
        if gate.load(Ordering::Relaxed)? > position {
            gate.store(position, Ordering::Relaxed)?;
        }
        position
    };
    if position >= MOST {
        return Err(ring.memory.corrupt(place, "more messages than there can be"));
    }
    // The position first: whoever dies in between has taken nothing. R6: publishes it, to A3 in `ChannelStat::of`.
    ring.memory.u64(place + NUMBER)?.store(life.number().into(), Ordering::Release)?;
    Ok((place, position))
}

fn find_free(
    ring: &Ring,
    life: &impl Liveness,
    places: impl Iterator<Item = usize> + Clone,
    count: u32,
) -> Result<usize, Error> {
    for place in places.clone() {
        if number(ring, place)? == 0 {
            return Ok(place);
        }
    }
    for place in places {
        if !life.is_alive(number(ring, place)?)? {
            return Ok(place);
        }
    }
    Err(Error::Crowded { object: ring.memory.object().to_owned(), places: count.into() })
}

/// Gives a place back, unless it was given to somebody else.
pub(crate) fn leave(ring: &Ring, place: usize, number: u32) -> Result<(), Error> {
    // R4: pairs with A3. Whoever sees that the place is free sees what its owner has sent or received.
    let word = ring.memory.u64(place + NUMBER)?;
    word.compare_exchange(number.into(), 0, Ordering::Release, Ordering::Relaxed)?.map_or(Ok(()), |_| Ok(()))
}

/// Whether there were senders, and are none.
pub(crate) fn senders_have_left(ring: &Ring) -> Result<bool, Error> {
    all_left(ring, SENDERS, ring.shape.sender_places())
}

/// Whether there were receivers, and are none.
pub(crate) fn receivers_have_left(ring: &Ring) -> Result<bool, Error> {
    all_left(ring, RECEIVERS, ring.shape.receiver_places())
}

fn all_left(ring: &Ring, came: usize, mut places: impl Iterator<Item = usize>) -> Result<bool, Error> {
    // A4: pairs with R5 in `count_in`.
    let came = || ring.memory.u64(came)?.load(Ordering::Acquire);
    let before = came()?;
    let all_free = places.try_fold(before != 0, |free, place| Ok::<_, Error>(free && number(ring, place)? == 0))?;
    // One may have come to a place that was looked at already, before another left one that was not. A3 has seen the
    // latter leave, so what he has seen, such as that the former had come, is seen here.
    Ok(all_free && came()? == before)
}

/// Counts one who has come; the lock is held, and his place has his number.
pub(crate) fn count_in(ring: &Ring, came: usize) -> Result<(), Error> {
    // R5: publishes the number in his place, to A4.
    ring.memory.u64(came)?.fetch_add(1, Ordering::Release)?;
    Ok(())
}

/// The number in a place; what can't be one is nobody's.
pub(crate) fn number(ring: &Ring, place: usize) -> Result<u32, Error> {
    // A3: pairs with R4, and R6 in `take_receiver`.
    let number = ring.memory.u64(place + NUMBER)?.load(Ordering::Acquire)?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Frees the places of senders who have died.
pub(crate) fn bury_senders(ring: &Ring, life: &impl Liveness) -> Result<(), Error> {
    bury(ring, life, ring.shape.sender_places())
}

/// Frees the places of receivers who have died.
pub(crate) fn bury_receivers(ring: &Ring, life: &impl Liveness) -> Result<(), Error> {
    bury(ring, life, ring.shape.receiver_places())
}

fn bury(ring: &Ring, life: &impl Liveness, places: impl Iterator<Item = usize>) -> Result<(), Error> {
    let mut dead = Vec::new();
    for place in places {
        let found = number(ring, place)?;
        if found != 0 && !life.is_alive(found)? {
            dead.push((place, found));
        }
    }
    if dead.is_empty() {
        return Ok(());
    }
    // Without the lock there would be no harm yet, but a next owner could have a place in the same moment. Once for all
    // of them, so that one who is stopped with the lock delays this once. If it is not to be had, the next doubt tries.
    locked(ring, life, Patience::lasting(RECHECK), || {
        for (place, found) in dead {
            if number(ring, place)? == found {
                // R4, for the dead, whose last message is seen by whoever knows of the death.
                ring.memory.u64(place + NUMBER)?.store(0, Ordering::Release)?;
            }
        }
        Ok(())
    })?;
    Ok(())
}
