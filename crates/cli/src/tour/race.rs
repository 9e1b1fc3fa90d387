//! Step: a race for a counter, what is lost without mutual exclusion, and a lock whose holder is killed.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mapio_shared::sync::Mutex;
use mapio_shared::{ObjectName, SharedObject, SharedOptions};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::Step;
use super::page::Page;
use super::scene::Scene;
use crate::output::{self, whole};

pub(super) const STEP: Step = Step {
    title: "A race, a lock, and the death of its holder",
    run,
    parts: &[
        ("carelessly", |scene| count(scene, carelessly)),
        ("atomically", |scene| count(scene, atomically)),
        ("locked", |scene| count(scene, locked)),
        ("holder", holder),
    ],
};
const SOURCE: &str = include_str!("race.rs");

/// Where things stand in the object: how many processes are there, which each of them adds itself to and reads until
/// both are; the counter; and the counter that has a lock.
const ARRIVED: usize = 0;
const COUNTER: usize = 8;
const LOCKED: usize = 64;
/// How long each process counts: several turns of the scheduler, should there be one processor for both.
const DURATION: Duration = Duration::from_millis(50);
/// Counts between two looks at the clock.
const TIMES: u64 = 1024;
/// Careless races at most, until one has lost a count.
const ROUNDS: usize = 4;
/// How long one process waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(format!(
        "A count is three steps: a load, an addition, a store. Two processes count in memory that they share, at the \
         same time, each for {} ms, in one of three ways:",
        DURATION.as_millis()
    ));
    for function in ["carelessly", "atomically", "locked"] {
        page.code(SOURCE, function)?;
    }
    let object = open(scene)?;
    let mut races = vec![Race::run(scene, &object, "carelessly")?];
    while races.len() < ROUNDS && races.iter().all(|race| race.lost() == 0) {
        races.push(Race::run(scene, &object, "carelessly")?);
    }
    let lost = races.iter().map(Race::lost).sum::<u64>();
    for way in ["atomically", "locked"] {
        let race = Race::run(scene, &object, way)?;
        ensure!(race.lost() == 0, "{way}, {} counts were lost", race.lost());
        races.push(race);
    }
    page.table(["", "counts made", "counter says", "lost", "time", "a count"], races.iter().map(Race::row));
    page.text(if lost > 0 {
        "Whoever stores what he has loaded before the other's store undoes that one: a count is lost. By one \
         instruction, or by one process at a time, none is."
    } else {
        "No count was lost this time: no store of the one came between a load and a store of the other. That is why \
         such a mistake is hard to find."
    });

    page.text("Another process takes the lock, begins to change the value, and is killed (SIGKILL) in the middle:");
    page.code(SOURCE, "holder")?;
    page.output(death(scene, &object)?);
    page.text(
        "A lock that is only a bit in memory would stay taken for ever. mapio's tells who has it: whoever comes next \
         finds him dead, has the lock, and is told. The value is the last one that was committed, never half a \
         change.",
    );
    page.remember(
        "what takes a load and a store is not one step, unless an atomic or a lock makes it one; and holders of locks \
         die.",
    );
    Ok(())
}

/// Load, add, store.
fn carelessly(object: &SharedObject, times: u64) -> anyhow::Result<()> {
    let view = object.view();
    for _ in 0..times {
        let count: u64 = view.load(COUNTER)?;
        view.store(COUNTER, count + 1)?;
    }
    Ok(())
}

/// One instruction that nobody comes between.
fn atomically(object: &SharedObject, times: u64) -> anyhow::Result<()> {
    let counter = object.view().atomic::<u64>(COUNTER)?;
    for _ in 0..times {
        counter.fetch_add(1, Ordering::Relaxed)?;
    }
    Ok(())
}

/// Load, add, store, one process at a time.
fn locked(object: &SharedObject, times: u64) -> anyhow::Result<()> {
    let counter = Mutex::<u64>::at(object, LOCKED)?;
    for _ in 0..times {
        *counter.lock()? += 1;
    }
    Ok(())
}

/// Never comes out of the critical section.
fn holder(scene: &Scene) -> anyhow::Result<()> {
    let object = open(scene)?;
    let counter = Mutex::<u64>::at(&object, LOCKED)?;
    let mut count = counter.lock()?;
    *count = 0; // In this process alone, until it is committed.
    output::line("locked")?;
    io::stdin().read_to_end(&mut Vec::new())?; // Is killed here.
    Ok(())
}

/// Kills the holder of the lock, and tells what came of it.
fn death(scene: &Scene, object: &SharedObject) -> anyhow::Result<String> {
    let counter = Mutex::<u64>::at(object, LOCKED)?;
    let before = *counter.lock()?;
    let mut holder = scene.start("holder")?;
    ensure!(holder.hear()? == "locked", "the holder has no lock");
    let pid = holder.id();
    let refusal = counter.try_lock().err().context("the lock is free while it is held")?;
    holder.kill()?;
    let end = holder.end()?.how();
    let begin = Instant::now();
    let mut count = counter.lock()?;
    let waited = begin.elapsed();
    let (recovered, found) = (count.recovered(), *count);
    *count += 1;
    count.unlock()?;
    let after = *counter.lock()?;
    Ok(format!(
        "we      the counter says {before}\n\
         holder  locks, as process {pid}, and begins to change it\n\
         we      try_lock(): Err: {}\n\
         holder  {end}\n\
         we      lock(): Ok, after {} us; recovered() is {recovered}\n\
         we      the counter says {found}; we go on, and it says {after}",
        refusal.to_string().trim_start_matches(object.name()).trim_start_matches(": "),
        waited.as_micros()
    ))
}

/// Counts until the time is over, from when both processes are there, and tells how often that was.
fn count(scene: &Scene, way: fn(&SharedObject, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let object = open(scene)?;
    // Relaxed: it publishes nothing. What the race begins with was stored before its processes were started.
    let arrived = object.view().atomic::<u64>(ARRIVED)?;
    arrived.fetch_add(1, Ordering::Relaxed)?;
    let came = now();
    while arrived.load(Ordering::Relaxed)? < 2 {
        ensure!(now() - came < PATIENCE, "the other process did not come within {} s", PATIENCE.as_secs());
        thread::yield_now();
    }
    let start = now();
    let mut told = Told { made: 0, start, end: start };
    while told.end - start < DURATION {
        way(&object, TIMES)?;
        told.made += TIMES;
        told.end = now();
    }
    output::json(&told)
}

/// What a process tells of its part of a race.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// How often it has counted.
    made: u64,
    /// When both were there, and when it was done, by the clock that all processes have.
    start: Duration,
    end: Duration,
}

/// The time since some point in the past, the same for all processes.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_else(|_| unreachable!("it is never negative"))
}

/// A race of two processes.
struct Race {
    way: &'static str,
    /// How often they have counted, both together.
    made: u64,
    counter: u64,
    /// From when both were there until the last one was done.
    elapsed: Duration,
}

impl Race {
    fn run(scene: &Scene, object: &SharedObject, way: &'static str) -> anyhow::Result<Self> {
        let view = object.view();
        view.store(COUNTER, 0_u64)?;
        view.store(ARRIVED, 0_u64)?;
        let locked = Mutex::<u64>::at(object, LOCKED)?;
        *locked.lock()? = 0;
        let [one, other] = [scene.start(way)?, scene.start(way)?].map(|runner| {
            let told = runner.end()?.expect_done()?;
            serde_json::from_str::<Told>(&told).with_context(|| format!("'{told}'"))
        });
        let (one, other) = (one?, other?);
        let counter = if way == "locked" { *locked.lock()? } else { view.load(COUNTER)? };
        let elapsed = one.end.max(other.end) - one.start.min(other.start);
        Ok(Self { way, made: one.made + other.made, counter, elapsed })
    }

    fn lost(&self) -> u64 {
        self.made.saturating_sub(self.counter)
    }

    fn row(&self) -> [String; 6] {
        let part_lost = whole(self.lost()) / whole(self.made);
        [
            self.way.to_owned(),
            self.made.to_string(),
            self.counter.to_string(),
            format!("{} ({:.1} %)", self.lost(), part_lost * 100.0),
            format!("{:.1} ms", self.elapsed.as_secs_f64() * 1e3),
            format!("{:.1} ns", self.elapsed.as_secs_f64() * 1e9 / whole(self.made)),
        ]
    }
}

/// The object: a file of the scene.
fn open(scene: &Scene) -> anyhow::Result<SharedObject> {
    Ok(SharedOptions::new().len(4096).open_or_create(ObjectName::file(scene.path("counter")))?)
}
