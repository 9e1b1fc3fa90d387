//! Being told of a death when it happens: pidfd_open(2), and on Windows the handles of processes.
//!
//! Locks tell who is alive when they are asked, and tell nobody by themselves. A process's descriptor does: it becomes
//! readable, and its handle signalled, when the process ends. It is for promptness alone; who is alive is for the locks
//! to say.

use std::time::Duration;

// Where one descriptor stands for all of them.
#[cfg(target_os = "linux")]
mod descriptor;

use crate::error::Error;
use crate::object::SharedObject;
use crate::participant::User;
use crate::sys::Watcher;

/// The processes that had an object open at some moment, and when they end; see [`SharedObject::watch_users`].
///
/// On Linux its descriptor is readable while there is a death that [`wait`](Self::wait) has not told of yet, so it can
/// be waited for among others, by poll(2) or epoll(7). On Windows no handle stands for several processes.
#[derive(Debug)]
pub struct Watch {
    pub(crate) watcher: Watcher,
    /// By the keys of the watcher; `None` once its end was told.
    watched: Vec<Option<User>>,
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
    /// As [`users`](Self::users); [`Error::Os`] with what pidfd_open(2) and epoll_create(2), or OpenProcess say, such
    /// as `EMFILE`.
    #[doc(alias = "pidfd_open")]
    pub fn watch_users(&self) -> Result<Watch, Error> {
        let object = self.name().to_owned();
        let os = |operation| Error::os(operation, &object);
        let watcher = Watcher::new().map_err(os("watching"))?;
        let mut watch = Watch { watcher, watched: Vec::new(), unwatched: Vec::new(), object: object.clone() };
        for user in self.users()?.into_iter().filter(|user| user.alive) {
            let pid = user.pid.filter(|_| user.here);
            let added = pid.map_or(Ok(None), |pid| watch.watcher.add(pid, user.start_time));
            match added.map_err(os("watching a user of"))? {
                // Keys are given in order.
                Some(_) => watch.watched.push(Some(user)),
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
    /// [`Error::Os`] with what poll(2), or WaitForMultipleObjects says.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Vec<User>, Error> {
        let mut ended = Vec::new();
        if self.watched.iter().all(Option::is_none) {
            return Ok(ended);
        }
        let keys = self.watcher.wait(timeout).map_err(Error::os("waiting for a user of", &self.object))?;
        for key in keys {
            if let Some(user) = self.watched.get_mut(key).and_then(Option::take) {
                ended.push(User { alive: false, ..user });
            }
        }
        Ok(ended)
    }

    /// Those who are alive, and can't be watched: they are in another PID namespace, or on Windows another account's,
    /// or nobody knows which process they are.
    #[must_use]
    pub fn unwatched(&self) -> &[User] {
        &self.unwatched
    }
}
