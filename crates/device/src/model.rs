//! Models: devices in this process, for drivers to run on where there is no such device, and to be tested with.
//!
//! A [`Model`] is a state that answers to accesses and to the passing of time. [`Simulated`] is a bus to one, and makes
//! its [interrupt](SimulatedInterrupt). Time passes as on the machine's clock: nothing runs in the background, a model
//! catches up with the time at each access, and says when it would interrupt by itself. The kernel wakes who waits for
//! that, by a timerfd(2), so that waiting takes no processor time.

pub mod edu;
mod memory;
mod ns16550;
pub mod parallel;
mod pl011;
pub mod screen;
pub mod serial;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use crate::bus::{RegisterIo, check, refused};
use crate::error::Error;
use crate::interrupt::{Interrupt, timespec, wait_readable};
use crate::width::Width;

pub use memory::Memory;
pub use ns16550::Ns16550;
pub use pl011::Pl011;

/// A device's state, and how it answers. The times that it is told never go back.
#[expect(clippy::len_without_is_empty, reason = "a device without registers is none")]
pub trait Model: Send {
    /// Bytes of registers. Always the same.
    fn len(&self) -> usize;

    /// What a read at that time answers, and does. The place is inside and aligned; bits that the width does not have
    /// are cut off.
    ///
    /// # Errors
    /// Why the device refuses it, such as `there is no register of this width`.
    fn read(&mut self, offset: usize, width: Width, now: Instant) -> Result<u64, &'static str>;

    /// What a write at that time does. The place is inside and aligned, and the value has no more bits than the width.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn write(&mut self, offset: usize, width: Width, value: u64, now: Instant) -> Result<(), &'static str>;

    /// Since when the interrupt line is up, or when it will be if nobody accesses the device until then; `None` for
    /// never.
    fn interrupts_at(&mut self, now: Instant) -> Option<Instant> {
        let _ = now;
        None
    }
}

/// A bus to a model. Clones are buses to the same one.
pub struct Simulated<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    timer: Arc<Mutex<Timer>>,
    len: usize,
    model: Mutex<M>,
}

/// What wakes those who wait for the interrupt.
#[derive(Debug, Default)]
struct Timer {
    /// Made with the first interrupt.
    fd: Option<Arc<OwnedFd>>,
    /// An interrupt was delivered, and the next is not wanted yet.
    masked: bool,
    /// What the descriptor is set to.
    set_to: Option<Instant>,
    /// How often others have set it.
    wakes: u64,
}

impl<M: Model> Simulated<M> {
    /// A bus to a model.
    pub fn new(model: M) -> Self {
        Self { shared: Arc::new(Shared { timer: Arc::default(), len: model.len(), model: Mutex::new(model) }) }
    }
}

impl<M: Model> Simulated<M> {
    /// The model itself, to look at what a driver has done to it, or to do what the world does. The interrupt follows
    /// when the guard is dropped; until then every access waits, and one by the same thread for ever.
    ///
    /// The bus keeps its length, also if another model is put there: what that one does not have is out of bounds, and
    /// what it has beyond is not reached.
    #[must_use = "what holds everybody up is to be used"]
    pub fn model(&self) -> Guard<'_, M> {
        Guard { bus: self, model: lock(&self.shared.model) }
    }

    /// The device's interrupt, armed.
    ///
    /// # Errors
    /// [`Error::Os`] when there is no descriptor for it.
    pub fn interrupt(&self) -> Result<SimulatedInterrupt<M>, Error> {
        let fd = lock(&self.shared.timer).descriptor()?;
        let mut interrupt = SimulatedInterrupt { bus: Self { shared: Arc::clone(&self.shared) }, fd };
        interrupt.rearm()?;
        Ok(interrupt)
    }

    /// Sets the timer to when the model will interrupt.
    fn follow(&self, model: &mut M) -> Result<(), Error> {
        loop {
            let timer = lock(&self.shared.timer);
            if timer.fd.is_none() {
                return Ok(());
            }
            let wakes = timer.wakes;
            drop(timer);
            let now = Instant::now();
            let interrupts_at = model.interrupts_at(now);
            let mut timer = lock(&self.shared.timer);
            // Another model may have changed the answer meanwhile, and must not be undone.
            if timer.wakes == wakes {
                let wanted = interrupts_at.filter(|_| !timer.masked);
                return timer.set(wanted, now);
            }
        }
    }

    /// The model, if it has this place: by a [`Guard`], it can be exchanged for one that is shorter than the bus.
    fn model_with(&self, offset: usize, width: Width) -> Result<MutexGuard<'_, M>, Error> {
        let model = lock(&self.shared.model);
        let len = model.len();
        if offset.checked_add(width.bytes()).is_some_and(|end| end <= len) {
            return Ok(model);
        }
        Err(Error::OutOfBounds { object: self.name().to_owned(), offset, width, len })
    }

    /// What wakes who waits for the interrupt of this model, for models that are joined to others.
    pub(crate) fn waker(&self) -> Waker {
        Waker { timer: Arc::clone(&self.shared.timer) }
    }
}

impl Timer {
    fn descriptor(&mut self) -> Result<Arc<OwnedFd>, Error> {
        if let Some(fd) = &self.fd {
            return Ok(Arc::clone(fd));
        }
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(|source| Error::os("making", "a simulated interrupt", source))?;
        Ok(Arc::clone(self.fd.insert(Arc::new(fd))))
    }

    /// Sets the descriptor to be readable from then on, or not any more. Nobody reads it: this alone makes it forget
    /// that it has expired (timerfd_settime(2)), so that it is as `set_to` says.
    fn set(&mut self, wanted: Option<Instant>, now: Instant) -> Result<(), Error> {
        // A line that has gone up before stays up: the timer has expired, or is about to.
        let both_past = wanted.zip(self.set_to).is_some_and(|(wanted, set_to)| wanted.max(set_to) <= now);
        let is_set = wanted == self.set_to || both_past;
        let Some(fd) = self.fd.as_ref().filter(|_| !is_set) else { return Ok(()) };
        // 0 would switch it off.
        let after = wanted.map(|at| at.saturating_duration_since(now).max(Duration::from_nanos(1)));
        let it_value = after.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, timespec);
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(fd, TimerfdTimerFlags::empty(), &once)
            .map_err(|source| Error::os("setting", "a simulated interrupt", source))?;
        self.set_to = wanted;
        Ok(())
    }
}

/// Wakes who waits for an interrupt, because of what another model or the world does. Whoever is woken looks at the
/// model, and goes on waiting if nothing is to be seen yet. Never takes a model's lock.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    timer: Arc<Mutex<Timer>>,
}

impl Waker {
    /// One that belongs to no model, and its descriptor.
    pub(crate) fn new() -> Result<(Self, Arc<OwnedFd>), Error> {
        let timer = Arc::<Mutex<Timer>>::default();
        let fd = lock(&timer).descriptor()?;
        Ok((Self { timer }, fd))
    }

    /// Wakes at that time, or earlier if an earlier one is set.
    pub(crate) fn wake_at(&self, at: Instant, now: Instant) {
        let mut timer = lock(&self.timer);
        timer.wakes += 1;
        if !timer.masked && timer.set_to.is_none_or(|set| at < set) {
            // Setting a timer fails for times that are none, which this is not.
            let _ = timer.set(Some(at), now);
        }
    }

    /// Forgets what was set and what has come.
    pub(crate) fn clear(&self) {
        // As in `wake_at`.
        let _ = lock(&self.timer).set(None, Instant::now());
    }
}

impl<M: Model> RegisterIo for Simulated<M> {
    fn len(&self) -> usize {
        self.shared.len
    }

    fn name(&self) -> &str {
        "a simulated device"
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        check(self, offset, width)?;
        let mut model = self.model_with(offset, width)?;
        let read = model.read(offset, width, Instant::now());
        // Fails only if the kernel does not set a timer, and then what was taken out of the device is still answered.
        let _ = self.follow(&mut model);
        read.map(|value| value & width.max()).map_err(|reason| refused(self, offset, width, reason))
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        check(self, offset, width)?;
        let mut model = self.model_with(offset, width)?;
        let written = model.write(offset, width, value & width.max(), Instant::now());
        let followed = self.follow(&mut model);
        written.map_err(|reason| refused(self, offset, width, reason))?;
        followed
    }
}

impl<M> Clone for Simulated<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M> fmt::Debug for Simulated<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("len", &self.shared.len).finish_non_exhaustive()
    }
}

/// A model that nobody else accesses meanwhile.
pub struct Guard<'a, M: Model> {
    bus: &'a Simulated<M>,
    model: MutexGuard<'a, M>,
}

impl<M: Model> Deref for Guard<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.model
    }
}

impl<M: Model> DerefMut for Guard<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.model
    }
}

impl<M: Model> Drop for Guard<'_, M> {
    fn drop(&mut self) {
        // Setting a timer fails for times that are none, which these are not.
        let _ = self.bus.follow(&mut self.model);
    }
}

/// The interrupt of a model.
pub struct SimulatedInterrupt<M: Model> {
    bus: Simulated<M>,
    fd: Arc<OwnedFd>,
}

impl<M: Model> Interrupt for SimulatedInterrupt<M> {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if self.take()? {
                return Ok(1);
            }
            let ready = wait_readable(&self.fd, end);
            if !ready.map_err(|source| Error::os("waiting for", "a simulated interrupt", source))? {
                return Ok(0);
            }
        }
    }

    fn rearm(&mut self) -> Result<(), Error> {
        let mut model = lock(&self.bus.shared.model);
        lock(&self.bus.shared.timer).masked = false;
        self.bus.follow(&mut model)
    }
}

impl<M: Model> SimulatedInterrupt<M> {
    /// Takes the interrupt if the line is up and nobody has taken it before. If not, the descriptor is readable no
    /// more, until the model says so again: somebody who polls has served the device, or another handle was faster.
    fn take(&self) -> Result<bool, Error> {
        let mut model = lock(&self.bus.shared.model);
        let wakes = lock(&self.bus.shared.timer).wakes;
        let now = Instant::now();
        let is_up = model.interrupts_at(now).is_some_and(|at| at <= now);
        let mut timer = lock(&self.bus.shared.timer);
        if is_up && !timer.masked {
            timer.masked = true;
            timer.set(None, now)?;
            return Ok(true);
        }
        // Unless another model has changed the answer since it was given.
        if timer.wakes == wakes {
            timer.set(None, now)?;
        }
        drop(timer);
        self.bus.follow(&mut model).map(|()| false)
    }
}

impl<M: Model> AsFd for SimulatedInterrupt<M> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<M: Model> fmt::Debug for SimulatedInterrupt<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedInterrupt").field("fd", &self.fd).finish_non_exhaustive()
    }
}

/// So much later; in 136 years if that is too far away to be told.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    now.checked_add(after).unwrap_or_else(|| now + Duration::from_secs(u64::from(u32::MAX)))
}

/// Locks, also what was left behind by a panic: a model has no state in between.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
