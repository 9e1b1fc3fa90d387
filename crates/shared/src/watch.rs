//! Being told of a death when it happens: pidfd_open(2).
//!
//! Locks tell who is alive when they are asked, and tell nobody by themselves. A process's descriptor does: it becomes
//! readable when the process ends. It is for promptness alone; who is alive is for the locks to say.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::error::Error;
use crate::object::SharedObject;
use crate::participant::User;
use crate::sys;

/// The processes that had an object open at some moment, and when they end; see [`SharedObject::watch_users`].
///
/// Its descriptor is readable while there is a death that [`wait`](Self::wait) has not told of yet, so it can be waited
/// for among others, by poll(2) or epoll(7).
#[derive(Debug)]
pub struct Watch {
    epoll: OwnedFd,
    /// `None` once its end was told.
    watched: Vec<Option<(User, OwnedFd)>>,
    unwatched: Vec<User>,
    /// What errors call the object.
    object: String,
}

impl SharedObject {
    /// Watches the processes that have the object open now, but for this handle: each until it ends.
    ///
    /// Who closes the object in order and goes on is not told of, and who opens it later is not watched; see
    /// [`users`](Self::users) for that. Takes a descriptor for each process.
    ///
    /// # Errors
    /// As [`users`](Self::users); [`Error::Os`] with what pidfd_open(2) and epoll_create(2) say, such as `EMFILE`.
    #[doc(alias = "pidfd_open")]
    pub fn watch_users(&self) -> Result<Watch, Error> {
        let object = self.name().to_owned();
        let os = |operation| Error::os(operation, &object);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from).map_err(os("watching"))?;
        let mut watch = Watch { epoll, watched: Vec::new(), unwatched: Vec::new(), object: object.clone() };
        for user in self.users()?.into_iter().filter(|user| user.alive) {
            match process_of(&user).map_err(os("watching a user of"))? {
                Some(process) => {
                    let number = u64::try_from(watch.watched.len()).unwrap_or(u64::MAX);
                    let data = epoll::EventData::new_u64(number);
                    let added = epoll::add(&watch.epoll, &process, data, epoll::EventFlags::IN);
                    added.map_err(io::Error::from).map_err(os("watching a user of"))?;
                    watch.watched.push(Some((user, process)));
                }
                None => watch.unwatched.push(user),
            }
        }
        Ok(watch)
    }
}

impl Watch {
    /// Waits until one of the watched processes ends, and answers all that have: none if the time is over. `None` is no
    /// limit; but with nobody left to watch, there is nothing to wait for.
    ///
    /// # Errors
    /// [`Error::Os`] with what poll(2) says.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Vec<User>, Error> {
        let mut ended = Vec::new();
        if self.watched.iter().all(Option::is_none) {
            return Ok(ended);
        }
        let timeout = timeout.map(Timespec::try_from).and_then(Result::ok);
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            // A signal handler has run, which may want something of the caller.
            Ok(0) | Err(Errno::INTR) => return Ok(ended),
            polled => {
                polled.map(drop).map_err(io::Error::from).map_err(Error::os("waiting for a user of", &self.object))?
            }
        }
        let mut events = Vec::with_capacity(64);
        let found = epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        found.map(drop).map_err(io::Error::from).map_err(Error::os("waiting for a user of", &self.object))?;
        for event in events {
            let slot = usize::try_from(event.data.u64()).ok().and_then(|number| self.watched.get_mut(number));
            if let Some((user, process)) = slot.and_then(Option::take) {
                // Closing it would do the same, unless somebody has duplicated it.
                let _ = epoll::delete(&self.epoll, &process);
                ended.push(User { alive: false, ..user });
            }
        }
        Ok(ended)
    }

    /// Those who are alive, and can't be watched: they are in another PID namespace, or nobody knows which process they
    /// are.
    #[must_use]
    pub fn unwatched(&self) -> &[User] {
        &self.unwatched
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The process of a user, if it is known and still the same.
fn process_of(user: &User) -> io::Result<Option<OwnedFd>> {
    let pid = user.pid.filter(|_| user.here).and_then(|pid| Some((pid, Pid::from_raw(i32::try_from(pid).ok()?)?)));
    let Some((number, pid)) = pid else { return Ok(None) };
    let process = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        process => process?,
    };
    // Another process may have the number by now. If not, it is the right one that was opened.
    let same = sys::start_time_of(number).is_ok_and(|start_time| start_time == user.start_time);
    Ok(same.then_some(process))
}
