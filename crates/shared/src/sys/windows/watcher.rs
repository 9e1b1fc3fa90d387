//! Processes that are waited for, by their handles.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER};

use super::is;
use super::process::{has_ended, open_process, started};
use super::wait::{MOST_AT_ONCE, wait};

/// How long some of more processes are waited for than one call takes, before it is the turn of others.
const TURN: Duration = Duration::from_millis(20);

/// See `sys`.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    /// By the keys that `add` has answered; `None` once its end was told.
    processes: Vec<Option<OwnedHandle>>,
    /// Where the next turn begins, if there are more than one call takes.
    next: usize,
}

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn add(&mut self, pid: u32, start_time: u64) -> io::Result<Option<usize>> {
        let process = match open_process(pid) {
            // It has ended, or is another account's, which nobody but that one may wait for.
            Err(error) if is(&error, ERROR_INVALID_PARAMETER) || is(&error, ERROR_ACCESS_DENIED) => return Ok(None),
            process => process?,
        };
        // Another process may have the number by now. If not, it is the right one that was opened.
        if started(&process)? != start_time {
            return Ok(None);
        }
        self.processes.push(Some(process));
        Ok(Some(self.processes.len() - 1))
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<usize>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let ended = self.take_ended();
            if !ended.is_empty() {
                return Ok(ended);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(ended);
            }
            let handles: Vec<_> = self.processes.iter().flatten().map(AsHandle::as_handle).collect();
            let fits = handles.len() <= MOST_AT_ONCE;
            let turn = if fits { left } else { Some(left.map_or(TURN, |left| left.min(TURN))) };
            let first = if fits { 0 } else { self.next % handles.len() };
            wait(&handles[first..handles.len().min(first + MOST_AT_ONCE)], turn)?;
            self.next = first + MOST_AT_ONCE;
        }
    }

    fn take_ended(&mut self) -> Vec<usize> {
        let mut keys = Vec::new();
        for (key, process) in self.processes.iter_mut().enumerate() {
            if process.as_ref().is_some_and(has_ended) {
                *process = None;
                keys.push(key);
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use mapio_testkit::skip;

    use super::super::security::Security;
    use super::*;
    use crate::sys::start_time_of;

    #[test]
    fn a_process_that_may_not_be_opened_is_left_out_and_others_are_watched() {
        // They wait for a key.
        let start = || Command::new("cmd").args(["/c", "pause"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let [mut closed, mut open] = [start().unwrap(), start().unwrap()];
        let [closed_since, open_since] = [&closed, &open].map(|process| start_time_of(process.id()).unwrap());
        Security::new(0).unwrap().apply(closed.as_handle()).unwrap();
        let is_closed = open_process(closed.id()).is_err_and(|error| is(&error, ERROR_ACCESS_DENIED));
        let mut watcher = Watcher::new().unwrap();
        let added = watcher.add(closed.id(), closed_since);
        let other = watcher.add(open.id(), open_since);
        for process in [&mut closed, &mut open] {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        assert_eq!((other.unwrap().is_some(), watcher.wait(None).unwrap().is_empty()), (true, false));
        match is_closed {
            true => assert_eq!(added.unwrap(), None),
            false => skip("sys::windows::watcher", "this account may open every process"),
        }
    }
}
