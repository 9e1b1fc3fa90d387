//! Kernel objects to wait for: events, mutexes, semaphores.
#![expect(unsafe_code, reason = "calls of kernel32.dll on kernel objects")]

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::ptr;
use std::time::Duration;

use mapio_map::nt::check;
use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GetLastError};
use windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateMutexW, CreateSemaphoreW, EVENT_MODIFY_STATE, MUTEX_MODIFY_STATE, OpenEventW, OpenMutexW,
    OpenSemaphoreW, ReleaseMutex, ReleaseSemaphore, ResetEvent, SEMAPHORE_MODIFY_STATE, SetEvent,
};

use super::security::Security;
use super::wait::{Waited, wait};
use super::wide;

/// What a kernel object is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KernelKind {
    /// An event that stays set until it is reset.
    ManualEvent,
    /// An event that one waiter takes.
    AutoEvent,
    /// A mutex, which belongs to a thread.
    Mutex,
    /// A semaphore: how many may pass at first, and how many at most.
    Semaphore { first: i32, most: i32 },
}

/// An event, a mutex or a semaphore; the handle is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Kernel(OwnedHandle);

impl Kernel {
    /// Makes one, or opens what has the name; tells whether it is new. With the name come the permissions of a new one;
    /// what has no name needs none.
    pub(crate) fn create(kind: KernelKind, named: Option<(&str, u32)>) -> io::Result<(Self, bool)> {
        let security = named.map(|(_, permissions)| Security::new(permissions)).transpose()?;
        let attributes = security.as_ref().map(Security::attributes).transpose()?;
        let attributes = attributes.as_ref().map_or(ptr::null(), ptr::from_ref);
        let name = named.map(|(name, _)| wide(name));
        let name = name.as_ref().map_or(ptr::null(), Vec::as_ptr);
        let handle = match kind {
            // SAFETY: attributes and name are null, or locals that live until the call is over.
            KernelKind::ManualEvent => unsafe { CreateEventW(attributes, 1, 0, name) },
            // SAFETY: as above.
            KernelKind::AutoEvent => unsafe { CreateEventW(attributes, 0, 0, name) },
            // SAFETY: as above.
            KernelKind::Mutex => unsafe { CreateMutexW(attributes, 0, name) },
            // SAFETY: as above.
            KernelKind::Semaphore { first, most } => unsafe { CreateSemaphoreW(attributes, first, most, name) },
        };
        // SAFETY: takes no arguments. It is asked before anything else is called.
        let is_new = unsafe { GetLastError() } != ERROR_ALREADY_EXISTS;
        Ok((Self::owned(handle)?, is_new))
    }

    /// Opens what has the name, to wait for it and to change it.
    pub(crate) fn open(kind: KernelKind, name: &str) -> io::Result<Self> {
        let name = wide(name);
        let handle = match kind {
            // SAFETY: the name is a local that lives until the call is over.
            KernelKind::ManualEvent | KernelKind::AutoEvent => unsafe {
                OpenEventW(SYNCHRONIZE | EVENT_MODIFY_STATE, 0, name.as_ptr())
            },
            // SAFETY: as above.
            KernelKind::Mutex => unsafe { OpenMutexW(SYNCHRONIZE | MUTEX_MODIFY_STATE, 0, name.as_ptr()) },
            // SAFETY: as above.
            KernelKind::Semaphore { .. } => unsafe {
                OpenSemaphoreW(SYNCHRONIZE | SEMAPHORE_MODIFY_STATE, 0, name.as_ptr())
            },
        };
        Self::owned(handle)
    }

    fn owned(handle: RawHandle) -> io::Result<Self> {
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a handle that was made just now, and is nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// Waits until it is signalled; `None` is no limit.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> io::Result<Waited> {
        wait(&[self.0.as_handle()], timeout)
    }

    /// Sets an event.
    pub(crate) fn set(&self) -> io::Result<()> {
        // SAFETY: the handle is open; of another kind it is refused.
        check(unsafe { SetEvent(self.0.as_raw_handle()) })
    }

    /// Resets an event.
    pub(crate) fn reset(&self) -> io::Result<()> {
        // SAFETY: the handle is open; of another kind it is refused.
        check(unsafe { ResetEvent(self.0.as_raw_handle()) })
    }

    /// Gives a mutex back that this thread owns.
    pub(crate) fn release_mutex(&self) -> io::Result<()> {
        // SAFETY: the handle is open; of another kind, or another thread's, it is refused.
        check(unsafe { ReleaseMutex(self.0.as_raw_handle()) })
    }

    /// Lets so many more pass a semaphore.
    pub(crate) fn release_semaphore(&self, count: i32) -> io::Result<()> {
        // SAFETY: the handle is open; of another kind it is refused.
        check(unsafe { ReleaseSemaphore(self.0.as_raw_handle(), count, ptr::null_mut()) })
    }
}

impl AsHandle for Kernel {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}
