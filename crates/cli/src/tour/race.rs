//! Step: a race for a counter, what is lost without mutual exclusion, and a lock whose holder is killed.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mapio_shared::sync::Mutex;
use mapio_shared::{ObjectName, SharedObject, SharedOptions};

use super::Step;
use super::page::Page;
use super::scene::Scene;
use crate::output;

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

/// Where things stand in the object: how often each process is to count, how many are there, the counter, and the
/// counter that has a lock.
const TIMES: usize = 0;
const ARRIVED: usize = 8;
const COUNTER: usize = 16;
const LOCKED: usize = 64;
/// How often each process counts in the first round of the careless race, and in the last.
const FIRST_TIMES: u64 = 200_000;
const LAST_TIMES: u64 = 3_200_000;
/// How long one process waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

fn run(scene: &Scene, page: &mut Page) -> anyhow::Result<()> {
    page.text(
        "A count is three steps: a load, an addition, a store. Two processes count in memory that they share, at the \
         same time, each as often as it is told, in one of three ways:",
    );
    for function in ["carelessly", "atomically", "locked"] {
        page.code(SOURCE, function)?;
    }
    let object = open(scene)?;
    let mut races = vec![Race::run(scene, &object, "carelessly", FIRST_TIMES)?];
    while let Some(race) = races.last()
        && race.lost() == 0
        && race.times < LAST_TIMES
    {
        races.push(Race::run(scene, &object, "carelessly", race.times * 4)?);
    }
    let lost = races.iter().map(Race::lost).sum::<u64>();
    for way in ["atomically", "locked"] {
        let race = Race::run(scene, &object, way, FIRST_TIMES)?;
        ensure!(race.lost() == 0, "{way}, {} counts were lost", race.lost());
        races.push(race);
    }
    page.table(["", "counts made", "counter says", "lost", "time", "a count"], races.iter().map(Race::row));
    page.text(if lost > 0 {
        "Whoever stores what he has loaded before the other's store undoes that one: a count is lost. By one \
         instruction, or by one process at a time, none is."
    } else {
        "No count was lost this time: by luck, neither has stored between a load and a store of the other. That is \
         why such a mistake is hard to find."
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
    loop {
        thread::park();
    }
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

/// Counts as often as the object says, as soon as both processes are there, and tells how long that took.
fn count(scene: &Scene, way: fn(&SharedObject, u64) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let object = open(scene)?;
    let view = object.view();
    let arrived = view.atomic::<u64>(ARRIVED)?;
    arrived.fetch_add(1, Ordering::AcqRel)?;
    let came = Instant::now();
    while arrived.load(Ordering::Acquire)? < 2 {
        ensure!(came.elapsed() < PATIENCE, "the other process did not come within {} s", PATIENCE.as_secs());
        thread::yield_now();
    }
    let start = Instant::now();
    way(&object, view.load(TIMES)?)?;
    output::line(&start.elapsed().as_nanos().to_string())
}

/// A race of two processes.
struct Race {
    way: &'static str,
    /// How often each of them has counted.
    times: u64,
    counter: u64,
    /// Until the slower one was done.
    elapsed: Duration,
}

impl Race {
    fn run(scene: &Scene, object: &SharedObject, way: &'static str, times: u64) -> anyhow::Result<Self> {
        let view = object.view();
        view.store(COUNTER, 0_u64)?;
        view.store(ARRIVED, 0_u64)?;
        view.store(TIMES, times)?;
        let locked = Mutex::<u64>::at(object, LOCKED)?;
        *locked.lock()? = 0;
        let runners = [scene.start(way)?, scene.start(way)?];
        let mut elapsed = Duration::ZERO;
        for runner in runners {
            let told = runner.end()?.expect_done()?;
            let nanoseconds = told.trim().parse().with_context(|| format!("'{told}'"))?;
            elapsed = elapsed.max(Duration::from_nanos(nanoseconds));
        }
        let counter = if way == "locked" { *locked.lock()? } else { view.load(COUNTER)? };
        Ok(Self { way, times, counter, elapsed })
    }

    fn made(&self) -> u64 {
        self.times * 2
    }

    fn lost(&self) -> u64 {
        self.made().saturating_sub(self.counter)
    }

    fn row(&self) -> [String; 6] {
        let count = self.elapsed.as_nanos() / u128::from(self.made());
        [
            self.way.to_owned(),
            self.made().to_string(),
            self.counter.to_string(),
            format!("{} ({} %)", self.lost(), self.lost() * 100 / self.made()),
            format!("{}.{} ms", self.elapsed.as_micros() / 1000, self.elapsed.as_micros() / 100 % 10),
            format!("{count} ns"),
        ]
    }
}

/// The object: a file of the scene.
fn open(scene: &Scene) -> anyhow::Result<SharedObject> {
    Ok(SharedOptions::new().len(4096).open_or_create(ObjectName::file(scene.path("counter")))?)
}
