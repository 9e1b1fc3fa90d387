//! Waiting for what asks a program to end: Ctrl-C, Ctrl-Break, and a console that is closed.
//!
//! They are only noted, and the program ends by itself, with its own exit status. The second one ends it at once, as if
//! nobody had caught the first. Windows calls the handler in a thread of its own.
//!
//! Nothing here ends a read from a pipe, so standard input is read by a thread, which hands over what it has read:
//!
//! ```text
//! reader   read -> wait until `input` is empty -> input := what was read -> BELL
//! user     wait on BELL until `input` is full, or somebody has asked -> take it
//! ```
#![expect(unsafe_code, reason = "SetConsoleCtrlHandler")]

use std::io::{self, Read};
use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mapio_copy::Meter;
use windows_sys::Win32::Foundation::STATUS_CONTROL_C_EXIT;
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};

/// What there is to wait for. Whoever waits is woken by `BELL`.
static STATE: Mutex<State> = Mutex::new(State { is_asked: false, has_reader: false, input: None });
/// Rung when `STATE` changes.
static BELL: Condvar = Condvar::new();
/// What is to be stopped then.
static METER: OnceLock<&'static Meter> = OnceLock::new();

/// How long a program may take to end in order after its console was closed: Windows ends it when the handler returns.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// Bytes of standard input that are read at a time.
const INPUT_BYTES: usize = 64 << 10;

/// What threads tell each other here.
struct State {
    /// Whether the program has been asked to end. The handler sets it.
    is_asked: bool,
    /// Whether there is a thread that reads standard input, or has read its end.
    has_reader: bool,
    /// What the reader has read and nobody has taken yet. No bytes are the end, which stays.
    input: Option<io::Result<Vec<u8>>>,
}

/// Whether the program has been asked to end since this was made.
#[derive(Debug)]
pub(crate) struct Interrupt(());

impl Interrupt {
    /// Catches what asks from now on.
    pub(crate) fn catch() -> io::Result<Self> {
        // SAFETY: the routine has the signature that the call wants, and lives as long as the program.
        let is_set = unsafe { SetConsoleCtrlHandler(Some(asked), 1) };
        if is_set == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(())) }
    }

    /// Whether somebody has asked.
    pub(crate) fn is_set(&self) -> bool {
        state().is_asked
    }

    /// Reads from standard input, as soon as there is something: how many bytes, 0 at its end; `None` if somebody has asked
    /// sooner.
    pub(crate) fn read_input(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        let mut state = state();
        if !state.has_reader {
            thread::Builder::new().spawn(read_standard_input)?;
            state.has_reader = true;
        }
        loop {
            if state.is_asked {
                return Ok(None);
            }
            if let Some(read) = state.input.take() {
                // Behind an error there may be more, for who asks again.
                let mut read = read.inspect_err(|_| state.has_reader = false)?;
                let rest = read.split_off(read.len().min(bytes.len()));
                if !rest.is_empty() || read.is_empty() {
                    state.input = Some(Ok(rest));
                }
                BELL.notify_all();
                bytes[..read.len()].copy_from_slice(&read);
                return Ok(Some(read.len()));
            }
            state = BELL.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until somebody asks, for this long at most; `None` is for ever.
    pub(crate) fn wait(&self, at_most: Option<Duration>) -> io::Result<()> {
        let end = at_most.map(|at_most| Instant::now() + at_most);
        let mut state = state();
        while !state.is_asked {
            state = match end.map(|end| end.saturating_duration_since(Instant::now())) {
                None => BELL.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => BELL.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        Ok(())
    }
}

/// What ends a copy in order. The first one stops it; the second one ends the program at once.
#[derive(Debug)]
pub(crate) struct StopSignals(Interrupt);

/// What has ended a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StopSignal(());

impl StopSignals {
    /// Stops what this meter counts when somebody asks.
    pub(crate) fn catch(meter: &'static Meter) -> io::Result<Self> {
        METER.get_or_init(|| meter);
        Interrupt::catch().map(Self)
    }

    /// What has come.
    pub(crate) fn caught(&self) -> Option<StopSignal> {
        self.0.is_set().then_some(StopSignal(()))
    }

    /// Whether standard input is to be read. Nothing wakes a read from a console but its own Ctrl-C, which ends it.
    pub(crate) fn wait_for_input(&self, meter: &Meter) -> bool {
        !meter.is_stopped()
    }
}

impl StopSignal {
    /// Ends the program as if nobody had caught it, so that who started it sees that.
    pub(crate) fn end_program(self) {
        process::exit(STATUS_CONTROL_C_EXIT);
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands over what standard input has, until its end or an error. Nobody waits for this thread: it may sit in a read when
/// the program ends.
fn read_standard_input() {
    loop {
        let mut bytes = vec![0; INPUT_BYTES];
        let read = io::stdin().lock().read(&mut bytes).map(|count| {
            bytes.truncate(count);
            bytes
        });
        if read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            continue;
        }
        let is_last = read.as_ref().map_or(true, Vec::is_empty);
        let mut state = BELL.wait_while(state(), |state| state.input.is_some()).unwrap_or_else(PoisonError::into_inner);
        state.input = Some(read);
        drop(state);
        BELL.notify_all();
        if is_last {
            break;
        }
    }
}

/// The handler. The second call answers that it was not handled, which ends the program.
///
/// # Safety
/// It has no duties: it is called by Windows, with a number.
unsafe extern "system" fn asked(event: u32) -> i32 {
    let was_asked = std::mem::replace(&mut state().is_asked, true);
    if was_asked {
        return 0;
    }
    if let Some(meter) = METER.get() {
        meter.stop();
    }
    BELL.notify_all();
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // The console is being closed, and nobody goes on after this returns.
        thread::sleep(LAST_WORDS);
    }
    1
}
