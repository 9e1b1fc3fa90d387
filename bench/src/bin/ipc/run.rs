//! One run: a process for each end, until all have ended.
//!
//! The process that measures is not the one that starts them: whatever happens to an end, a third one is there to end
//! the others and to clear away.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mapio_bench::interrupt::Interrupt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::link::{Job, Side, Task};
use crate::place::Place;

/// Longer than any run takes: then it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// Each on a processor of its own, as long as there are enough.
    Pinned,
    /// Where the kernel likes.
    Free,
}

/// The processors that this process may run on.
pub fn processors() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("asking for the processors")?;
    Ok((0..CpuSet::MAX_CPU).filter(|&processor| set.is_set(processor)).collect())
}

/// Runs a contender once; answers what its near end has measured, in nanoseconds.
pub fn run(contender: &str, job: Job, pinning: Pinning, interrupt: &Interrupt) -> anyhow::Result<f64> {
    let processors = processors()?;
    let place = Place::new()?;
    let mut ends = Ends(Vec::new());
    for end in 0..=job.readers {
        let side = if end == 0 { Side::Near } else { Side::Far };
        // The near end has the first to itself.
        let processor = if end == 0 { 0 } else { 1 + (end - 1) % (processors.len() - 1).max(1) };
        let processor = (pinning == Pinning::Pinned).then(|| processors.get(processor).copied()).flatten();
        let task = Task { contender: contender.to_owned(), side, job, place: place.path().to_owned(), processor };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--end", &serde_json::to_string(&task)?]).stdin(Stdio::null());
        command.stdout(if side == Side::Near { Stdio::piped() } else { Stdio::null() });
        ends.0.push(command.spawn().context("starting a process")?);
    }
    ends.wait(interrupt).with_context(|| format!("running {contender}"))?;
    let mut answer = String::new();
    let output = ends.0.first_mut().and_then(|near| near.stdout.take()).context("no near end")?;
    output.take(100).read_to_string(&mut answer)?;
    answer.trim().parse().with_context(|| format!("{contender} has answered `{answer}`"))
}

/// Makes this process an end: it dies with the one that has started it, and stays where it is told to.
pub fn settle(task: &Task) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    ensure!(getppid() != Some(Pid::INIT), "the process that has started this one is gone");
    if let Some(processor) = task.processor {
        let mut set = CpuSet::new();
        set.set(processor);
        sched_setaffinity(None, &set).with_context(|| format!("staying on processor {processor}"))?;
    }
    Ok(())
}

/// The processes of a run; killed when dropped.
struct Ends(Vec<Child>);

impl Ends {
    /// Waits until all have ended well; fails as soon as one has not.
    fn wait(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut left: Vec<_> = (0..self.0.len()).collect();
        let mut watched = Vec::new();
        for child in &self.0 {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
            watched.push(pidfd_open(pid, PidfdFlags::empty()).context("watching a process")?);
        }
        while !left.is_empty() {
            interrupt.check()?;
            ensure!(start.elapsed() < PATIENCE, "no end after {PATIENCE:?}");
            let mut fds: Vec<_> = left.iter().map(|&end| PollFd::new(&watched[end], PollFlags::IN)).collect();
            match poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 })) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("waiting for processes"),
            }
            let mut still = Vec::new();
            for end in left {
                match self.0[end].try_wait()? {
                    Some(status) if status.success() => {}
                    Some(status) => bail!("an end has failed: {status}"),
                    None => still.push(end),
                }
            }
            left = still;
        }
        Ok(())
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Both fail only for a process that was waited for already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
