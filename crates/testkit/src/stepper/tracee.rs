//! A forked process that this one traces: ptrace(2).
//!
//! All functions belong to the one thread that forks: the kernel lets no other trace its children. A process that is
//! traced here never outlives its [`Tracee`], nor this process: the kernel kills it with its tracer
//! (`PTRACE_O_EXITKILL`), and before it is traced, with its parent (prctl(2), `PR_SET_PDEATHSIG`).
#![expect(unsafe_code, reason = "fork(2), ptrace(2), timers")]

use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, set_parent_process_death_signal, waitpid,
};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::arch;

/// Nanoseconds between two looks at a process that does not stop.
const TICK_NS: libc::c_long = 10_000_000;
/// For how many ticks in a row a process has to be asleep to count as blocked: 500 ms.
const BLOCKED_TICKS: usize = 50;
/// After how many ticks a process that neither stops nor ends is given up: 30 s.
const MOST_TICKS: usize = 3000;
/// The exit status of a process whose body has panicked, as that of a Rust program.
const PANICKED: i32 = 101;

/// A child that is traced; killed and waited for when dropped.
#[derive(Debug)]
pub(super) struct Tracee {
    pid: Pid,
    /// Has been waited for to its end: the number may be somebody else's.
    is_gone: bool,
}

/// Why a process has returned to its tracer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    /// By a signal, `SIGTRAP` if a step is done, which it has not received yet.
    Signal(i32),
    /// It has ended.
    Ended(WaitStatus),
    /// It has not, and is asleep.
    Blocked,
}

/// How a stopped process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// By one instruction.
    Step,
    /// To the next signal.
    Run,
}

/// From or to the process.
#[derive(Debug, Clone, Copy)]
enum Direction {
    Get,
    Set,
}

impl Tracee {
    /// Forks a process that calls `body` and ends; it is stopped before that.
    ///
    /// The new process has the calling thread alone. So that it finds no lock held that nobody will give up, the other
    /// threads of this process must not be in the middle of anything: it is an error if there is more than one other.
    pub(super) fn fork(body: impl FnOnce()) -> io::Result<Self> {
        if !arch::IS_SUPPORTED {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "stepping on this processor"));
        }
        // SAFETY: the request changes nothing: this process is not its own tracee.
        let asked = unsafe { libc::ptrace(libc::PTRACE_CONT, getpid().as_raw_nonzero().get(), 0, 0) };
        if asked < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "there is no ptrace(2)"));
        }
        // The thread that the test runs in, and that of the test harness, which waits for it. See `Stepper`.
        if fs::read_dir("/proc/self/task")?.count() > 2 {
            return Err(io::Error::other("a process of several threads can't be forked"));
        }
        let parent = getpid();
        // SAFETY: fork(2) asks that the child of a process of several threads calls nothing that depends on what they
        // were doing. The check above has found none but the harness's, which `start_again` makes wait in a channel for
        // this one, and libc's own locks are made good by its fork.
        let pid = match unsafe { libc::fork() } {
            -1 => return Err(io::Error::last_os_error()),
            0 => live(parent, body),
            pid => pid,
        };
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork(2) has answered no process"))?;
        let mut tracee = Self { pid, is_gone: false };
        match tracee.wait(usize::MAX)? {
            Stop::Signal(libc::SIGSTOP) => {}
            // What `live` ends with if it may not be traced.
            Stop::Ended(status) if status.exit_status().is_some_and(|status| status > 0) => {
                return Err(io::Error::from_raw_os_error(status.exit_status().unwrap_or_default()));
            }
            other => return Err(io::Error::other(format!("a process is not traced: {other:?}"))),
        }
        // SAFETY: the process is our stopped tracee; the argument of this request is a set of bits.
        traced(unsafe {
            libc::ptrace(libc::PTRACE_SETOPTIONS, pid.as_raw_nonzero().get(), 0, libc::PTRACE_O_EXITKILL)
        })?;
        Ok(tracee)
    }

    /// Lets it go on with a signal, or without one (0), and waits until it stops.
    pub(super) fn resume(&mut self, how: Resume, signal: i32) -> io::Result<Stop> {
        let pid = self.pid.as_raw_nonzero().get();
        let done = match how {
            // SAFETY: the process is our stopped tracee; the argument of this request is a signal's number.
            Resume::Step => unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, pid, 0, signal) },
            // SAFETY: as above.
            Resume::Run => unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, signal) },
        };
        match traced(done) {
            // Somebody has killed it meanwhile, and its end is what the wait tells.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
        self.wait(if how == Resume::Step { BLOCKED_TICKS } else { usize::MAX })
    }

    /// Lets it run until its next instruction is at one of these addresses, which it answers, or it ends.
    ///
    /// The process is stopped. An instruction at each is replaced meanwhile, in this process alone.
    pub(super) fn run_to(&mut self, addrs: &[u64]) -> io::Result<Result<u64, WaitStatus>> {
        let memory = File::options().read(true).write(true).open(format!("/proc/{}/mem", self.pid.as_raw_nonzero()))?;
        let mut replaced = Vec::with_capacity(addrs.len());
        for &addr in addrs {
            let mut bytes = arch::BREAKPOINT;
            memory.read_exact_at(&mut bytes, addr)?;
            memory.write_all_at(&arch::BREAKPOINT, addr)?;
            replaced.push((addr, bytes));
        }
        // The stop that it is in is no signal of its own.
        let mut signal = 0;
        loop {
            match self.resume(Resume::Run, signal)? {
                Stop::Signal(libc::SIGTRAP) => break,
                Stop::Signal(other) => signal = other,
                Stop::Ended(status) => return Ok(Err(status)),
                Stop::Blocked => return Err(io::Error::other("a process is blocked")),
            }
        }
        let mut registers = self.registers()?;
        let here = arch::program_counter(&registers).wrapping_sub(arch::PASSED_BYTES);
        for &(addr, bytes) in replaced.iter().rev() {
            memory.write_all_at(&bytes, addr)?;
        }
        if !addrs.contains(&here) {
            return Err(io::Error::other("a process has trapped by itself"));
        }
        arch::set_program_counter(&mut registers, here);
        self.transfer(Direction::Set, &mut registers)?;
        Ok(Ok(here))
    }

    /// The address of the next instruction; the process is stopped.
    pub(super) fn program_counter(&self) -> io::Result<u64> {
        Ok(arch::program_counter(&self.registers()?))
    }

    fn registers(&self) -> io::Result<arch::Registers> {
        // SAFETY: they are integers.
        let mut registers = unsafe { mem::zeroed() };
        self.transfer(Direction::Get, &mut registers)?;
        Ok(registers)
    }

    /// Reads or writes all registers; the process is stopped.
    fn transfer(&self, direction: Direction, registers: &mut arch::Registers) -> io::Result<()> {
        let part = &mut libc::iovec { iov_base: ptr::from_mut(registers).cast(), iov_len: size_of_val(registers) };
        let part = ptr::from_mut(part);
        let pid = self.pid.as_raw_nonzero().get();
        traced(match direction {
            // SAFETY: the process is our stopped tracee; the last argument is an iovec, as this request asks for, of
            // memory that is ours, and as long as it says; any bytes are registers.
            Direction::Get => unsafe { libc::ptrace(libc::PTRACE_GETREGSET, pid, libc::NT_PRSTATUS, part) },
            // SAFETY: as above; the process runs on with these, and it is of this test alone.
            Direction::Set => unsafe { libc::ptrace(libc::PTRACE_SETREGSET, pid, libc::NT_PRSTATUS, part) },
        })
    }

    /// Kills it where it is, without another instruction, and waits until it is gone.
    pub(super) fn kill(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.is_gone {
            return Ok(());
        }
        // It was not waited for to its end, so the number is still its own.
        kill_process(self.pid, Signal::KILL)?;
        while !matches!(self.wait(usize::MAX)?, Stop::Ended(_)) {}
        Ok(())
    }

    /// Waits until it stops or ends, or has been asleep for this many ticks in a row.
    fn wait(&mut self, asleep_ticks: usize) -> io::Result<Stop> {
        let (mut ticks, mut asleep) = (0, 0);
        loop {
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => {
                    if let Some(signal) = status.stopping_signal() {
                        return Ok(Stop::Signal(signal));
                    }
                    self.is_gone = true;
                    return Ok(Stop::Ended(status));
                }
                Ok(None) => return Err(io::Error::other("waitpid(2) did not wait")),
                // A tick of the `Clock`.
                Err(Errno::INTR) => ticks += 1,
                Err(error) => return Err(error.into()),
            }
            asleep = if self.is_asleep()? { asleep + 1 } else { 0 };
            if asleep >= asleep_ticks {
                return Ok(Stop::Blocked);
            }
            if ticks >= MOST_TICKS {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a process neither stops nor ends"));
            }
        }
    }

    /// Whether it waits for something, and is not merely out of turn: proc_pid_stat(5), `S`.
    fn is_asleep(&self) -> io::Result<bool> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()))?;
        // The name before may have any letters.
        Ok(text.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S')))
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        // It fails only if the process is gone.
        let _ = self.end();
    }
}

/// The child's side.
fn live(parent: Pid, body: impl FnOnce()) -> ! {
    let errno = match become_traced(parent) {
        Ok(()) => match catch_unwind(AssertUnwindSafe(body)) {
            Ok(()) => 0,
            Err(_) => PANICKED,
        },
        Err(error) => error.raw_os_error(),
    };
    // SAFETY: it ends the process, without what the parent has registered for its own end.
    unsafe { libc::_exit(errno) }
}

/// Stops until the parent goes on with us.
fn become_traced(parent: Pid) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != Some(parent) {
        return Err(Errno::SRCH);
    }
    // SAFETY: this request has no arguments.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } != 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::PERM));
    }
    kill_process(getpid(), Signal::STOP)
}

/// What ptrace(2) has answered.
fn traced(answer: libc::c_long) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps the thread, and those that it forks, on the processor that it is on, while it exists.
///
/// A step is two switches between tracer and tracee: on one processor they take a tenth of the time that it takes to
/// wake another one.
#[derive(Debug)]
pub(super) struct OneProcessor {
    before: CpuSet,
}

impl OneProcessor {
    /// Begins to.
    pub(super) fn hold() -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one)?;
        Ok(Self { before })
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        // If it fails, things are only slower.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Interrupts the waits of the thread that has made it, every 10 ms.
///
/// It takes `SIGALRM` for that, with a handler that does nothing; it is never given back, as the process ends.
#[derive(Debug)]
pub(super) struct Clock {
    timer: libc::timer_t,
}

impl Clock {
    /// Starts it.
    pub(super) fn start() -> io::Result<Self> {
        // SAFETY: a sigaction is integers, and a pointer to a function that may be null.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler();
        // SAFETY: both are valid for the call; the handler does nothing, and is no closure.
        checked(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) })?;
        // SAFETY: a sigevent is integers and pointers that may be null.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = libc::SIGALRM;
        event.sigev_notify_thread_id = gettid().as_raw_nonzero().get();
        let mut timer = ptr::null_mut();
        // SAFETY: both pointers are to locals that live through the call.
        checked(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) })?;
        let clock = Self { timer };
        let tick = libc::timespec { tv_sec: 0, tv_nsec: TICK_NS };
        let times = libc::itimerspec { it_interval: tick, it_value: tick };
        // SAFETY: the timer is ours; the times are valid for the call.
        checked(unsafe { libc::timer_settime(clock.timer, 0, &raw const times, ptr::null_mut()) })?;
        Ok(clock)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        // SAFETY: the timer is ours, and deleted once.
        unsafe { libc::timer_delete(self.timer) };
    }
}

fn checked(answer: libc::c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The handler as sigaction(2) has it.
#[expect(clippy::as_conversions, reason = "handlers are integers in sigaction(2)")]
fn handler() -> libc::sighandler_t {
    extern "C" fn nothing(_: libc::c_int) {}
    nothing as *const () as libc::sighandler_t
}
