//! Processes that are waited for: pidfd_open(2), epoll(7).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use super::start_time_of;

/// See `sys`.
#[derive(Debug)]
pub(crate) struct Watcher {
    epoll: OwnedFd,
    /// By the numbers that `add` has answered; `None` once its end was told.
    processes: Vec<Option<OwnedFd>>,
}

impl Watcher {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, processes: Vec::new() })
    }

    pub(crate) fn add(&mut self, pid: u32, start_time: u64) -> io::Result<Option<usize>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let process = match rustix::process::pidfd_open(number, PidfdFlags::empty()) {
            Err(Errno::SRCH) => return Ok(None),
            process => process?,
        };
        // Another process may have the number by now. If not, it is the right one that was opened.
        if start_time_of(pid).ok() != Some(start_time) {
            return Ok(None);
        }
        let key = self.processes.len();
        let data = epoll::EventData::new_u64(u64::try_from(key).map_err(io::Error::other)?);
        epoll::add(&self.epoll, &process, data, epoll::EventFlags::IN)?;
        self.processes.push(Some(process));
        Ok(Some(key))
    }

    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<usize>> {
        let timeout = timeout.map(Timespec::try_from).and_then(Result::ok);
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            // A signal handler has run, which may want something of the caller.
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            polled => polled?,
        };
        let mut events = Vec::with_capacity(64);
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        let mut ended = Vec::new();
        for event in events {
            let key = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            if let Some(process) = self.processes.get_mut(key).and_then(Option::take) {
                // Closing it would do the same, unless somebody has duplicated it.
                let _ = epoll::delete(&self.epoll, &process);
                ended.push(key);
            }
        }
        Ok(ended)
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
