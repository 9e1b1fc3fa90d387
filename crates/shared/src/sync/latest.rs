//! A value that is replaced as a whole, for readers who wait for nobody.

use std::fmt;
use std::marker::PhantomData;
use std::thread;
use std::time::Duration;

use super::bell::{Bell, Ticket};
use super::place::{Limit, Place};
use super::versions::{Loaded, Versions};
use crate::error::Error;
use crate::layout::Layout;
use crate::object::SharedObject;

/// How often one looks whom nobody knows of, since it may not write.
const LOOK: Duration = Duration::from_millis(1);

/// The last of the values that were stored: one stores at a time, any number load.
///
/// A load waits for nobody, and can be made in an object that is open for reading only. It has always a whole value,
/// the last one or, if others are stored meanwhile, the one before. Values that come between two loads are not seen: to
/// get each, use a channel. Loads that were overtaken by two stores while they copied are made again, up to 99 times: a
/// process would have to be interrupted in each.
///
/// Whoever loads a value, or learns of its version, sees what its writer had done before it stored it. Stores exclude
/// each other; not fair: see [the module](super).
///
/// # Crashes
/// A writer that dies, at any instruction, has stored its value or has not; readers never see a part of it. The next
/// writer gets its turn at once if it comes then, within 20 ms if it sleeps.
///
/// ```
/// # use mapio_shared::{SharedObject, SharedOptions, sync::Latest};
/// # let name = &format!("mapio-doc-latest-{}", std::process::id());
/// let object = SharedOptions::new().len(4096).create(name)?;
/// let position = Latest::<[f64; 3]>::at(&object, 0)?;
/// assert_eq!(position.load()?, None);
/// position.store(&[1.0, 2.0, 3.0])?;
/// assert_eq!(position.load()?, Some([1.0, 2.0, 3.0])); // In another process, usually.
/// # SharedObject::remove(name)?;
/// # Ok::<(), mapio_shared::Error>(())
/// ```
#[doc(alias = "seqlock")]
#[derive(Clone)]
pub struct Latest<T> {
    place: Place,
    value: PhantomData<fn() -> T>,
}

impl<T: Layout> Latest<T> {
    /// Bytes that it needs: 16, and three times the value's, rounded up to a multiple of 8.
    pub const LEN: usize = Versions::len(size_of::<T>());

    /// The value at a byte of the contents, a multiple of 8; zeros there are none.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an offset that is not such a multiple, or without [`LEN`](Self::LEN) bytes behind it.
    pub fn at(object: &SharedObject, offset: usize) -> Result<Self, Error> {
        Ok(Self { place: Place::new(object, offset, Self::LEN)?, value: PhantomData })
    }

    /// Makes `value` the last one, and answers its version; waits for other writers as long as it takes.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short; [`Error::Os`] when the kernel does not tell whether another
    /// writer lives; [`Error::Invalid`] in an object that is open for reading only, and [`Error::Foreign`] in a raw
    /// one.
    pub fn store(&self, value: &T) -> Result<u64, Error> {
        self.store_within(value, Limit::None)
    }

    /// As [`store`](Self::store), unless another writer is just storing.
    ///
    /// # Errors
    /// [`Error::WouldBlock`]; those of [`store`](Self::store).
    pub fn try_store(&self, value: &T) -> Result<u64, Error> {
        self.store_within(value, Limit::Try)
    }

    /// As [`store`](Self::store), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; those of [`store`](Self::store).
    pub fn store_timeout(&self, value: &T, timeout: Duration) -> Result<u64, Error> {
        self.store_within(value, Limit::Within(timeout))
    }

    /// Copies the last value; `None` if there is none yet. Does not wait.
    ///
    /// # Errors
    /// [`Error::Lagged`] if 100 copies were overwritten while they were made; [`Error::Fault`] when the object was cut
    /// short.
    pub fn load(&self) -> Result<Option<T>, Error> {
        Ok(self.load_versioned()?.map(|(_, value)| value))
    }

    /// Copies the last value, and answers its version as well: 1 for the first that was stored, and so on.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_versioned(&self) -> Result<Option<(u64, T)>, Error> {
        let mut value = T::new_zeroed();
        match self.inner().load(value.as_mut_bytes())? {
            Loaded::Nothing => Ok(None),
            Loaded::Version(version) => Ok(Some((version, value))),
            Loaded::Lapped(missed) => Err(Error::Lagged { object: self.place.object().name().to_owned(), missed }),
        }
    }

    /// The version of the last value; 0 if there is none yet.
    ///
    /// # Errors
    /// [`Error::Fault`] when the object was cut short.
    pub fn version(&self) -> Result<u64, Error> {
        self.inner().version()
    }

    /// Waits until the version is another one than `seen`, as long as it takes, and answers it.
    ///
    /// In an object that is open for reading only nobody knows who waits, so it looks every millisecond instead of
    /// being woken.
    ///
    /// # Errors
    /// As [`version`](Self::version).
    pub fn wait_for_change(&self, seen: u64) -> Result<u64, Error> {
        self.wait_within(seen, Limit::None)
    }

    /// As [`wait_for_change`](Self::wait_for_change), no longer than `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`]; those of [`version`](Self::version).
    pub fn wait_for_change_timeout(&self, seen: u64, timeout: Duration) -> Result<u64, Error> {
        self.wait_within(seen, Limit::Within(timeout))
    }

    fn store_within(&self, value: &T, limit: Limit) -> Result<u64, Error> {
        let participant = self.place.participant()?;
        self.place.within(limit, |patience| self.inner().store(participant, patience, value.as_bytes()))
    }

    fn wait_within(&self, seen: u64, limit: Limit) -> Result<u64, Error> {
        let known = self.place.participant().is_ok();
        let sleep = |bell: &Bell<'_>, ticket: Ticket, pause: Duration| {
            if known {
                return bell.sleep(ticket, pause);
            }
            // Not on the bell: futex(2) makes the page of a copy-on-write mapping the process's own, which then never
            // sees another version.
            thread::sleep(pause.min(LOOK));
            Ok(())
        };
        self.place.within(limit, |patience| self.inner().wait(seen, patience, sleep))
    }

    fn inner(&self) -> Versions<'_> {
        Versions::new(self.place.memory(), size_of::<T>())
    }
}

impl<T> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("object", &self.place.object().name()).finish_non_exhaustive()
    }
}
