//! A part of another process, run one machine instruction at a time, and cut off after any of them.
//!
//! ```text
//!   the test                    a process of its own                   a process for each run
//!   Stepper -"after 17 CASE"->  serve: forks, steps, waits  --fork-->  body("CASE", region)
//!           <---- "killed" ---                              <-ptrace-    region.run(|| ...): stepped
//! ```
//!
//! The process in the middle is the tracer. Its image is the one that the stepped processes have, by fork(2), so both
//! know the addresses of the two marks around the region, where the tracer puts breakpoints. It is a process of its own
//! because a test harness runs other tests in other threads, with which a fork would not go together.

mod arch;
mod campaign;
#[cfg(test)]
mod tests;
mod tracee;

use std::collections::HashSet;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::peer::Peer;
use crate::{report, skip};
use tracee::{Clock, OneProcessor, Resume, Stop, Tracee};

/// More instructions than any region has: one that has more is in a loop.
const MOST_INSTRUCTIONS: usize = 600_000;
/// The environment variable that repeats a choice of points.
const SEED: &str = "MAPIO_TEST_SEED";
/// The environment variable that says how many to choose at most.
const POINTS: &str = "MAPIO_KILL_POINTS";
/// Instructions that make a region a long one: the way to each takes longer, so a quarter as many are chosen.
const LONG: usize = 10_000;

/// Runs a region of another process by single instructions, and kills the process after the one that it is told.
///
/// Each run has a process of its own, which is gone, and waited for, when the verb returns. What it has left behind, in
/// files and shared memory, can be looked at then. A run takes a millisecond or less, and for each instruction that is
/// stepped 2 to 5 us on a bare machine, 25 where a hypervisor has a part in it: [`kill_at`](Self::kill_at) steps few.
///
/// What counts as an instruction: each that is executed in the region, those of a signal handler included; a system
/// call, also one that blocks for a while; each repetition of one with a `rep` prefix, as it can be interrupted between
/// any two; and the entry into a signal handler. One that faults, and whose signal has a handler, counts when
/// it is executed at last. The call of the region, and the return to its mark, are a few more, which do nothing.
///
/// # Platforms
/// Linux on x86-64 and aarch64. On aarch64 a loop of load-exclusive and store-exclusive never ends when it is stepped,
/// because every stop clears the reservation: a region with one is reported as endless. Where ptrace(2) is refused, or,
/// as under qemu-user, not there, every verb answers the reason.
#[derive(Debug)]
pub struct Stepper {
    peer: Peer,
}

/// Where the region begins and ends: it is what [`run`](Self::run) is given.
#[derive(Debug)]
pub struct Region(());

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// The process was killed after as many instructions of the region as were asked for.
    Killed,
    /// The region is over after this many, fewer than were asked for; the process has gone on, and ended by itself.
    Over {
        /// All that the region has.
        instructions: usize,
    },
    /// The run has not come by the instruction that the counted run was at; the process was killed at the region's end.
    Missed,
    /// The next instruction, a system call, was asleep for half a second; the process was killed in it.
    Blocked {
        /// Those that were done before.
        instructions: usize,
    },
    /// The process has died of a signal, or ended, in its region.
    Died {
        /// Those that were done before.
        instructions: usize,
        /// The signal; `None` if it has called exit(3) or the like.
        signal: Option<i32>,
    },
}

impl Stepper {
    /// Starts the process that forks others, which call `body` with the words of a case and the region to be run.
    ///
    /// As with [`Peer::start`], call it before anything else in the test called `test`. What is before the region, such
    /// as opening what the case names, runs at full speed; what is opened there is closed when the process is killed.
    /// The process has one thread. It may start others, which run freely while the region is stepped.
    ///
    /// A body runs its region once; a panic in it fails the run. It must not execute another program before.
    ///
    /// # Panics
    /// The process could not be started.
    #[must_use]
    pub fn start(test: &str, mut body: impl FnMut(&str, &Region)) -> Self {
        let mut landmarks = Vec::new();
        Self { peer: Peer::start(test, |request| serve(request, &mut landmarks, &mut body)) }
    }

    /// Counts the instructions of the region: runs it to its end, and the process, too.
    ///
    /// Another run may have more or fewer, for instance where the contents of memory decide.
    ///
    /// # Errors
    /// As [`kill_after`](Self::kill_after); the region blocks, or the process dies in it.
    pub fn count(&mut self, case: &str) -> io::Result<usize> {
        match self.ask("count", usize::MAX, case)? {
            Cut::Over { instructions } => Ok(instructions),
            other => Err(io::Error::other(format!("the region has no end: {other:?}"))),
        }
    }

    /// As [`count`](Self::count); `None` where nothing can be traced, which is said as the reason to skip `test`.
    ///
    /// # Panics
    /// It fails for another reason.
    pub fn count_or_skip(&mut self, test: &str, case: &str) -> Option<usize> {
        match self.count(case) {
            Ok(instructions) => Some(instructions),
            Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
                skip(test, &format!("no process can be traced here: {error}"));
                None
            }
            Err(error) => panic!("`{case}` can't be run: {error}"),
        }
    }

    /// Runs a case, and kills the process after this many instructions of its region: after none at its very start.
    ///
    /// The words of the case are any without a line break. Every instruction is stepped; see
    /// [`kill_at`](Self::kill_at).
    ///
    /// # Errors
    /// `Unsupported` or what ptrace(2) says if nothing can be traced here: `PermissionDenied` in a sandbox. `Other` if
    /// the body has ended or died outside of its region, and `TimedOut` if it did not within 30 s, or the region is
    /// endless.
    ///
    /// # Panics
    /// The process of [`start`](Self::start) has ended.
    pub fn kill_after(&mut self, case: &str, instructions: usize) -> io::Result<Cut> {
        self.ask("after", instructions, case)
    }

    /// As [`kill_after`](Self::kill_after), but fast: kills at the place where the last counted run was then.
    ///
    /// The process runs to the last instruction before it that the counted run had come to for the first time, and is
    /// stepped from there; in code without loops that is no step at all. So the region has to go as it went when it was
    /// [counted](Self::count), and its code must not run in other threads of the process. Where the run has gone
    /// another way, it is killed at another number of instructions, or the answer is `Missed`.
    ///
    /// # Errors
    /// As [`kill_after`](Self::kill_after).
    ///
    /// # Panics
    /// As [`kill_after`](Self::kill_after).
    pub fn kill_at(&mut self, case: &str, instructions: usize) -> io::Result<Cut> {
        self.ask("at", instructions, case)
    }

    fn ask(&mut self, verb: &str, instructions: usize, case: &str) -> io::Result<Cut> {
        let answer = self.peer.ask(&format!("{verb} {instructions} {case}"));
        parse(&answer).unwrap_or_else(|| panic!("not an answer: `{answer}`"))
    }
}

impl Region {
    /// Runs the region: what `work` does is stepped.
    ///
    /// The tracer stops the process at the marks, so nothing else is executed here.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        begin();
        let result = work();
        end();
        result
    }
}

/// The mark at the start of a region. The two do different things so that they are not made one.
#[inline(never)]
extern "C" fn begin() {
    black_box(1_u8);
}

/// The mark at the end of a region.
#[inline(never)]
extern "C" fn end() {
    black_box(2_u16);
}

#[expect(clippy::as_conversions, reason = "a function's address")]
fn address(mark: extern "C" fn()) -> io::Result<u64> {
    u64::try_from((mark as *const ()).addr()).map_err(io::Error::other)
}

/// Which numbers of instructions to kill a process after: all from 0 to `count` if these are at most `limit`, otherwise
/// as many as `limit`, evenly spread; a quarter of that where there are more than 10,000. The environment variable
/// `MAPIO_KILL_POINTS` says another limit.
///
/// Those that are chosen differ from run to run. What decides is reported with the name of the test; the environment
/// variable `MAPIO_TEST_SEED` repeats it.
///
/// # Panics
/// One of these variables is not a number.
#[must_use]
pub fn kill_points(test: &str, count: usize, limit: usize) -> Vec<usize> {
    let chosen = choose(count, limit);
    if chosen.seed.is_some() {
        report(test, &format!("{} of {count} instructions{chosen}", chosen.points.len()));
    }
    chosen.points
}

/// What was chosen, and what repeats the choice; nothing is needed for that if all were.
#[derive(Debug)]
struct Chosen {
    points: Vec<usize>,
    seed: Option<u64>,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seed.map_or(Ok(()), |seed| write!(f, ", {SEED}={seed}"))
    }
}

/// Chooses points, as [`kill_points`] says.
fn choose(count: usize, limit: usize) -> Chosen {
    let few = if count > LONG { limit.div_ceil(4) } else { limit };
    let limit = std::env::var(POINTS).map_or(few, |text| text.parse().expect("a number"));
    if count < limit {
        return Chosen { points: (0..=count).collect(), seed: None };
    }
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_nanos())),
    };
    Chosen { points: spread(count, limit, seed), seed: Some(seed) }
}

/// `limit` of the points from 0 to `count`, which are more, at equal distances; every point is chosen by some seed.
fn spread(count: usize, limit: usize, seed: u64) -> Vec<usize> {
    let points = count + 1;
    let phase = usize::try_from(seed % u64::try_from(points).unwrap_or(u64::MAX)).unwrap_or(0);
    (0..limit).map(|i| (i * points + phase) / limit).collect()
}

/// An instruction that a run has come to for the first time, after so many, and its address; in this order.
type Landmark = (usize, u64);

/// The tracer's side: a request in, its answer out.
fn serve(request: &str, landmarks: &mut Vec<Landmark>, body: &mut impl FnMut(&str, &Region)) -> String {
    let mut words = request.splitn(3, ' ');
    let (verb, number) = (words.next(), words.next().and_then(|number| number.parse().ok()));
    let (Some(verb), Some(number), Some(case)) = (verb, number, words.next()) else {
        return format!("error 0 no request: {request}");
    };
    match trace(verb, number, landmarks, || body(case, &Region(()))) {
        Ok(Cut::Killed) => "killed".to_owned(),
        Ok(Cut::Missed) => "missed".to_owned(),
        Ok(Cut::Over { instructions }) => format!("over {instructions}"),
        Ok(Cut::Blocked { instructions }) => format!("blocked {instructions}"),
        Ok(Cut::Died { instructions, signal }) => format!("died {instructions} {}", signal.unwrap_or(0)),
        Err(error) => format!("error {} {}", number_of(error.kind()), error.to_string().replace('\n', " ")),
    }
}

/// The kinds of errors that a caller may tell apart, as they travel.
const KINDS: [io::ErrorKind; 4] =
    [io::ErrorKind::Other, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied, io::ErrorKind::TimedOut];

fn number_of(kind: io::ErrorKind) -> usize {
    KINDS.iter().position(|&known| known == kind).unwrap_or(0)
}

/// What `serve` has answered; `None` if it is none of that.
fn parse(answer: &str) -> Option<io::Result<Cut>> {
    let (verb, rest) = answer.split_once(' ').unwrap_or((answer, ""));
    Some(Ok(match verb {
        "killed" => Cut::Killed,
        "missed" => Cut::Missed,
        "over" => Cut::Over { instructions: rest.parse().ok()? },
        "blocked" => Cut::Blocked { instructions: rest.parse().ok()? },
        "died" => {
            let (instructions, signal) = rest.split_once(' ')?;
            let signal = signal.parse().ok().filter(|&signal| signal != 0);
            Cut::Died { instructions: instructions.parse().ok()?, signal }
        }
        "error" => {
            let (kind, text) = rest.split_once(' ')?;
            let kind = *KINDS.get(kind.parse::<usize>().ok()?)?;
            return Some(Err(io::Error::new(kind, text.to_owned())));
        }
        _ => return None,
    }))
}

/// Runs `body` in a new process to the start of its region, and from there does what is asked for.
fn trace(verb: &str, most: usize, landmarks: &mut Vec<Landmark>, body: impl FnOnce()) -> io::Result<Cut> {
    let _clock = Clock::start()?;
    let _one = OneProcessor::hold()?;
    let mut tracee = Tracee::fork(body)?;
    let begin = address(begin)?;
    if let Err(status) = tracee.run_to(&[begin])? {
        return Err(ended_outside(status));
    }
    match verb {
        "after" => step(tracee, 0, most, &mut |_| ()),
        "at" => step_from_landmark(tracee, most, landmarks),
        "count" => {
            let mut seen = HashSet::from([begin]);
            *landmarks = vec![(0, begin)];
            step(tracee, 0, most, &mut |landmark| {
                if seen.insert(landmark.1) {
                    landmarks.push(landmark);
                }
            })
        }
        _ => Err(io::Error::other(format!("no verb: {verb}"))),
    }
}

/// Runs to the last landmark that is not too far, steps the rest, and kills.
fn step_from_landmark(mut tracee: Tracee, most: usize, landmarks: &[Landmark]) -> io::Result<Cut> {
    let end = address(end)?;
    let next = landmarks.partition_point(|&(instructions, _)| instructions <= most);
    let Some(&(done, addr)) = next.checked_sub(1).and_then(|last| landmarks.get(last)) else {
        return Err(io::Error::other("no run was counted"));
    };
    if done > 0 {
        match tracee.run_to(&[addr, end])? {
            Ok(here) if here == addr => {}
            Ok(_) => return tracee.kill().map(|()| Cut::Missed),
            Err(status) => return Ok(Cut::Died { instructions: 0, signal: status.terminating_signal() }),
        }
    }
    step(tracee, done, most, &mut |_| ())
}

/// Steps a process that has done so many instructions of its region until it has done `most`, and kills it.
fn step(mut tracee: Tracee, done: usize, most: usize, reached: &mut dyn FnMut(Landmark)) -> io::Result<Cut> {
    let (end, mut signal) = (address(end)?, 0);
    let mut instructions = done;
    while instructions < most.min(MOST_INSTRUCTIONS) {
        match tracee.resume(Resume::Step, signal)? {
            Stop::Signal(libc::SIGTRAP) => (instructions, signal) = (instructions + 1, 0),
            // It comes before the instruction, or instead of it: the next step delivers it.
            Stop::Signal(other) => {
                signal = other;
                continue;
            }
            Stop::Ended(status) => return Ok(Cut::Died { instructions, signal: status.terminating_signal() }),
            Stop::Blocked => return tracee.kill().map(|()| Cut::Blocked { instructions }),
        }
        if instructions < most {
            let here = tracee.program_counter()?;
            reached((instructions, here));
            if here == end {
                return run_to_end(&mut tracee).map(|()| Cut::Over { instructions });
            }
        }
    }
    if instructions < most {
        return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end after {instructions} instructions")));
    }
    tracee.kill().map(|()| Cut::Killed)
}

/// Lets a process that has left its region run to its end, which is to be a good one.
fn run_to_end(tracee: &mut Tracee) -> io::Result<()> {
    let mut signal = 0;
    loop {
        match tracee.resume(Resume::Run, signal)? {
            Stop::Signal(other) => signal = other,
            Stop::Ended(status) if status.exit_status() == Some(0) => return Ok(()),
            Stop::Ended(status) => return Err(ended_outside(status)),
            Stop::Blocked => return Err(io::Error::other("the process is blocked after its region")),
        }
    }
}

fn ended_outside(status: rustix::process::WaitStatus) -> io::Error {
    io::Error::other(match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => format!("the process has ended outside of its region, with status {status}"),
        (None, signal) => format!("the process has died outside of its region, of signal {}", signal.unwrap_or(0)),
    })
}
