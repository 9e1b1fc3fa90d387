//! Mutexes, events and semaphores of the Windows kernel, by name: for agreeing with programs that use no other.
//!
//! Every operation is a system call, also where nobody is in the way; [`Mutex`](super::Mutex) and its like cost some
//! nanoseconds there. What both have in common: a process that dies with a mutex leaves it to the next, who is told
//! (`WAIT_ABANDONED`). Names are those of [`ObjectName`]: `NAME` is the session's (`Local\NAME`), `Global\NAME` the
//! machine's. Kernel objects of all kinds share one set of names: a section and a mutex of one name can't both be.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use mapio_map::{descriptor, lend_descriptor};

use crate::error::Error;
use crate::name::ObjectName;
use crate::sys::{Kernel, KernelKind, Waited};

/// A kernel object and what errors call it.
#[derive(Debug)]
struct Named {
    kernel: Kernel,
    name: String,
}

impl Named {
    /// Opens what has the name, or makes it; who may use it is told by the nine bits of chmod(2).
    fn open_or_create<N>(name: N, kind: KernelKind, permissions: u32) -> Result<Self, Error>
    where
        N: TryInto<ObjectName, Error: Into<Error>>,
    {
        let (name, full_name) = names(name)?;
        let made = match Kernel::create(kind, Some((&full_name, permissions))) {
            // Who opens by creating asks for more than others may be allowed.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Kernel::open(kind, &full_name).map_err(|_| error)
            }
            made => made.map(|(kernel, _)| kernel),
        };
        Ok(Self { kernel: made.map_err(Error::os("creating", &name))?, name })
    }

    fn open<N>(name: N, kind: KernelKind) -> Result<Self, Error>
    where
        N: TryInto<ObjectName, Error: Into<Error>>,
    {
        let (name, full_name) = names(name)?;
        match Kernel::open(kind, &full_name) {
            Ok(kernel) => Ok(Self { kernel, name }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound { object: name }),
            Err(error) => Err(Error::os("opening", &name)(error)),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Waited, Error> {
        match self.kernel.wait(timeout).map_err(Error::os("waiting for", &self.name))? {
            Waited::TimedOut => Err(match timeout {
                Some(waited) if !waited.is_zero() => Error::Timeout { object: self.name.clone(), waited },
                _ => Error::WouldBlock { object: self.name.clone() },
            }),
            waited => Ok(waited),
        }
    }

    fn os<T>(&self, operation: &'static str, answer: io::Result<T>) -> Result<T, Error> {
        answer.map_err(Error::os(operation, &self.name))
    }
}

/// The name as errors have it, and as the kernel does.
fn names<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<(String, String), Error> {
    match ObjectName::given(name)? {
        name @ (ObjectName::Posix(_) | ObjectName::Global(_)) => Ok((name.to_string(), name.full_name())),
        name => Err(Error::invalid(name.to_string(), "it is no name of a kernel object")),
    }
}

/// A mutex of the kernel: CreateMutex.
///
/// It belongs to the thread that has locked it, which may lock it again, and has to unlock it as often.
///
/// ```
/// use mapio_shared::sync::NamedMutex;
/// let mutex = NamedMutex::open_or_create(&format!("mapio-doc-named-mutex-{}", std::process::id()), 0o600)?;
/// let guard = mutex.lock()?;
/// assert!(!guard.recovered());
/// # Ok::<(), mapio_shared::Error>(())
/// ```
///
/// # Platforms
/// Windows.
#[derive(Debug)]
pub struct NamedMutex {
    named: Named,
}

/// The right to what a [`NamedMutex`] guards; given back when it is dropped, on the thread that has it.
#[derive(Debug)]
#[must_use = "the mutex is unlocked when this is dropped"]
pub struct NamedMutexGuard<'a> {
    mutex: &'a NamedMutex,
    recovered: bool,
    /// It is the thread's.
    _thread: PhantomData<*const ()>,
}

impl NamedMutex {
    /// Opens the mutex of a name, or makes one. `permissions` are for a new one, as [`SharedOptions::permissions`] has
    /// them. Does not block.
    ///
    /// [`SharedOptions::permissions`]: crate::SharedOptions::permissions
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no name; [`Error::Os`] with what CreateMutex says: `ERROR_ACCESS_DENIED`,
    /// `ERROR_INVALID_HANDLE` if something else has the name.
    pub fn open_or_create<N>(name: N, permissions: u32) -> Result<Self, Error>
    where
        N: TryInto<ObjectName, Error: Into<Error>>,
    {
        Ok(Self { named: Named::open_or_create(name, KernelKind::Mutex, permissions)? })
    }

    /// Opens the mutex of a name. Does not block.
    ///
    /// # Errors
    /// [`Error::NotFound`], and as [`open_or_create`](Self::open_or_create).
    pub fn open<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<Self, Error> {
        Ok(Self { named: Named::open(name, KernelKind::Mutex)? })
    }

    /// Waits for the mutex and locks it.
    ///
    /// # Errors
    /// [`Error::Os`] with what WaitForMultipleObjects says.
    pub fn lock(&self) -> Result<NamedMutexGuard<'_>, Error> {
        self.lock_within(None)
    }

    /// Locks the mutex if nobody else has it.
    ///
    /// # Errors
    /// [`Error::WouldBlock`], and as [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<NamedMutexGuard<'_>, Error> {
        self.lock_within(Some(Duration::ZERO))
    }

    /// Waits for the mutex for so long at most.
    ///
    /// # Errors
    /// [`Error::Timeout`], and as [`lock`](Self::lock).
    pub fn lock_timeout(&self, timeout: Duration) -> Result<NamedMutexGuard<'_>, Error> {
        self.lock_within(Some(timeout))
    }

    fn lock_within(&self, timeout: Option<Duration>) -> Result<NamedMutexGuard<'_>, Error> {
        let recovered = matches!(self.named.wait(timeout)?, Waited::Abandoned(_));
        Ok(NamedMutexGuard { mutex: self, recovered, _thread: PhantomData })
    }
}

impl NamedMutexGuard<'_> {
    /// Whether the owner before died with it (`WAIT_ABANDONED`): what it guards may be half changed.
    #[must_use]
    #[doc(alias = "WAIT_ABANDONED")]
    pub fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Drop for NamedMutexGuard<'_> {
    fn drop(&mut self) {
        // It is this thread's, so it does not fail.
        let _ = self.mutex.named.kernel.release_mutex();
    }
}

/// An event of the kernel: CreateEvent.
///
/// # Platforms
/// Windows.
#[derive(Debug)]
pub struct NamedEvent {
    named: Named,
}

/// Who resets an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// It stays set, for all who wait, until [`NamedEvent::reset`].
    ByHand,
    /// The one waiter who comes through resets it.
    ByWaiter,
}

impl NamedEvent {
    /// Opens the event of a name, or makes one, which is not set. `reset` and `permissions` are for a new one. Does not
    /// block.
    ///
    /// # Errors
    /// As [`NamedMutex::open_or_create`].
    pub fn open_or_create<N>(name: N, reset: Reset, permissions: u32) -> Result<Self, Error>
    where
        N: TryInto<ObjectName, Error: Into<Error>>,
    {
        let kind = if reset == Reset::ByHand { KernelKind::ManualEvent } else { KernelKind::AutoEvent };
        Ok(Self { named: Named::open_or_create(name, kind, permissions)? })
    }

    /// Opens the event of a name. Does not block.
    ///
    /// # Errors
    /// [`Error::NotFound`], and as [`open_or_create`](Self::open_or_create).
    pub fn open<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<Self, Error> {
        Ok(Self { named: Named::open(name, KernelKind::AutoEvent)? })
    }

    /// Sets it. Does not block.
    ///
    /// # Errors
    /// [`Error::Os`] with what SetEvent says.
    pub fn set(&self) -> Result<(), Error> {
        self.named.os("setting", self.named.kernel.set())
    }

    /// Resets it. Does not block.
    ///
    /// # Errors
    /// [`Error::Os`] with what ResetEvent says.
    pub fn reset(&self) -> Result<(), Error> {
        self.named.os("resetting", self.named.kernel.reset())
    }

    /// Waits until it is set; `None` is no limit.
    ///
    /// # Errors
    /// [`Error::Timeout`], or [`Error::WouldBlock`] for no time at all; [`Error::Os`] with what WaitForMultipleObjects
    /// says.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.named.wait(timeout).map(drop)
    }
}

/// A semaphore of the kernel: CreateSemaphore. Who dies while he holds a permit has taken it with him.
///
/// # Platforms
/// Windows.
#[derive(Debug)]
pub struct NamedSemaphore {
    named: Named,
}

impl NamedSemaphore {
    /// Opens the semaphore of a name, or makes one with so many permits, all of them free. `permits`, 1 to 2^31 - 1,
    /// and `permissions` are for a new one. Does not block.
    ///
    /// # Errors
    /// As [`NamedMutex::open_or_create`]; [`Error::Invalid`] for another count.
    pub fn open_or_create<N>(name: N, permits: std::num::NonZeroU32, permissions: u32) -> Result<Self, Error>
    where
        N: TryInto<ObjectName, Error: Into<Error>>,
    {
        let most =
            i32::try_from(permits.get()).map_err(|_| Error::invalid("a semaphore", "it has too many permits"))?;
        let kind = KernelKind::Semaphore { first: most, most };
        Ok(Self { named: Named::open_or_create(name, kind, permissions)? })
    }

    /// Opens the semaphore of a name. Does not block.
    ///
    /// # Errors
    /// [`Error::NotFound`], and as [`open_or_create`](Self::open_or_create).
    pub fn open<N: TryInto<ObjectName, Error: Into<Error>>>(name: N) -> Result<Self, Error> {
        Ok(Self { named: Named::open(name, KernelKind::Semaphore { first: 0, most: 1 })? })
    }

    /// Waits for a permit and takes it; `None` is no limit.
    ///
    /// # Errors
    /// As [`NamedEvent::wait`].
    pub fn acquire(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.named.wait(timeout).map(drop)
    }

    /// Gives a permit back. Does not block.
    ///
    /// # Errors
    /// [`Error::Os`] with what ReleaseSemaphore says: `ERROR_TOO_MANY_POSTS`.
    pub fn release(&self) -> Result<(), Error> {
        self.named.os("giving back a permit of", self.named.kernel.release_semaphore(1))
    }
}

lend_descriptor!(
    /// To be waited for among others, by WaitForMultipleObjects.
    NamedMutex,
    |mutex| descriptor::of(&mutex.named.kernel)
);
lend_descriptor!(
    /// To be waited for among others, by WaitForMultipleObjects.
    NamedEvent,
    |event| descriptor::of(&event.named.kernel)
);
lend_descriptor!(
    /// To be waited for among others, by WaitForMultipleObjects.
    NamedSemaphore,
    |semaphore| descriptor::of(&semaphore.named.kernel)
);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(what: &str) -> String {
        format!("mapio-test-{what}-{}", std::process::id())
    }

    #[test]
    fn a_mutex_excludes_other_threads_and_tells_of_an_owner_who_ended() {
        let name = name("mutex");
        let mutex = NamedMutex::open_or_create(&name, 0o600).unwrap();
        let guard = mutex.lock().unwrap();
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| NamedMutex::open(&name).unwrap().try_lock().map(drop)).join().unwrap();
            assert!(matches!(refused, Err(Error::WouldBlock { .. })), "{refused:?}");
        });
        drop(guard);
        std::thread::scope(|scope| {
            // A thread that ends with it leaves it abandoned.
            scope.spawn(|| std::mem::forget(mutex.lock().unwrap())).join().unwrap();
        });
        assert!(mutex.lock().unwrap().recovered());
        assert!(!mutex.lock_timeout(Duration::from_secs(60)).unwrap().recovered());
    }

    #[test]
    fn an_event_stays_set_or_is_taken_by_one() {
        let (by_hand, by_waiter) = (name("by-hand"), name("by-waiter"));
        let stays = NamedEvent::open_or_create(&by_hand, Reset::ByHand, 0o600).unwrap();
        let once = NamedEvent::open_or_create(&by_waiter, Reset::ByWaiter, 0o600).unwrap();
        for (event, name, again) in [(&stays, &by_hand, true), (&once, &by_waiter, false)] {
            assert!(matches!(event.wait(Some(Duration::ZERO)), Err(Error::WouldBlock { .. })));
            NamedEvent::open(name).unwrap().set().unwrap();
            event.wait(None).unwrap();
            assert_eq!(event.wait(Some(Duration::ZERO)).is_ok(), again);
            event.reset().unwrap();
            assert!(matches!(event.wait(Some(Duration::from_millis(1))), Err(Error::Timeout { .. })));
        }
    }

    #[test]
    fn a_semaphore_has_as_many_permits_as_it_was_made_with() {
        let name = name("semaphore");
        let two = std::num::NonZeroU32::new(2).unwrap();
        let semaphore = NamedSemaphore::open_or_create(&name, two, 0o600).unwrap();
        let other = NamedSemaphore::open(&name).unwrap();
        semaphore.acquire(None).unwrap();
        other.acquire(None).unwrap();
        assert!(other.acquire(Some(Duration::ZERO)).is_err());
        semaphore.release().unwrap();
        other.acquire(None).unwrap();
        semaphore.release().unwrap();
        semaphore.release().unwrap();
        assert!(semaphore.release().is_err());
    }

    #[test]
    fn what_does_not_exist_or_is_something_else_is_an_error() {
        let name = name("none");
        assert!(matches!(NamedMutex::open(&name), Err(Error::NotFound { .. })));
        let _event = NamedEvent::open_or_create(&name, Reset::ByHand, 0o600).unwrap();
        assert!(matches!(NamedMutex::open_or_create(&name, 0o600), Err(Error::Os { .. })));
        assert!(matches!(NamedMutex::open("file:x"), Err(Error::Invalid { .. })));
    }
}
