//! Errors of Windows by the names that other systems have, where behaviour depends on them.

use std::fmt;
use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_ALREADY_EXISTS, ERROR_CANT_RESOLVE_FILENAME, ERROR_DIRECTORY,
    ERROR_DIRECTORY_NOT_SUPPORTED, ERROR_FILE_EXISTS, ERROR_FILE_INVALID, ERROR_FILE_NOT_FOUND, ERROR_HANDLE_EOF,
    ERROR_INVALID_FUNCTION, ERROR_INVALID_HANDLE, ERROR_INVALID_OWNER, ERROR_INVALID_PARAMETER, ERROR_LOCK_VIOLATION,
    ERROR_NOT_SUPPORTED, ERROR_PATH_NOT_FOUND, ERROR_PRIVILEGE_NOT_HELD, ERROR_SHARING_VIOLATION,
    ERROR_USER_MAPPED_FILE, ERROR_WRITE_PROTECT, NTSTATUS, STATUS_FILE_IS_A_DIRECTORY, STATUS_INVALID_INFO_CLASS,
    STATUS_NOT_A_DIRECTORY, STATUS_NOT_IMPLEMENTED,
};

/// An error of the system: its number ("System Error Codes", Microsoft's documentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u32);

impl Errno {
    pub(crate) const ACCESS: Self = Self(ERROR_ACCESS_DENIED);
    pub(crate) const BADF: Self = Self(ERROR_INVALID_HANDLE);
    pub(crate) const EXIST: Self = Self(ERROR_ALREADY_EXISTS);
    pub(crate) const INVAL: Self = Self(ERROR_INVALID_PARAMETER);
    pub(crate) const INVALID_OWNER: Self = Self(ERROR_INVALID_OWNER);
    pub(crate) const ISDIR: Self = Self(ERROR_DIRECTORY_NOT_SUPPORTED);
    pub(crate) const LOOP: Self = Self(ERROR_CANT_RESOLVE_FILENAME);
    /// Somebody has mapped the file.
    pub(crate) const MAPPED: Self = Self(ERROR_USER_MAPPED_FILE);
    pub(crate) const NOENT: Self = Self(ERROR_FILE_NOT_FOUND);
    pub(crate) const NOSYS: Self = Self(ERROR_INVALID_FUNCTION);
    pub(crate) const NOTDIR: Self = Self(ERROR_DIRECTORY);
    pub(crate) const NXIO: Self = Self(ERROR_HANDLE_EOF);
    pub(crate) const OPNOTSUPP: Self = Self(ERROR_NOT_SUPPORTED);
    pub(crate) const PERM: Self = Self(ERROR_PRIVILEGE_NOT_HELD);
    pub(crate) const ROFS: Self = Self(ERROR_WRITE_PROTECT);
    /// Somebody has the file open, and shares it less than this would take.
    pub(crate) const SHARING: Self = Self(ERROR_SHARING_VIOLATION);
    pub(crate) const STALE: Self = Self(ERROR_FILE_INVALID);
    pub(crate) const WOULDBLOCK: Self = Self(ERROR_LOCK_VIOLATION);

    /// Of errors that mean the same here, one.
    pub(crate) fn new(code: u32) -> Self {
        Self(match code {
            ERROR_FILE_EXISTS => ERROR_ALREADY_EXISTS,
            ERROR_PATH_NOT_FOUND => ERROR_FILE_NOT_FOUND,
            code => code,
        })
    }

    pub(crate) fn raw_os_error(self) -> i32 {
        self.0.cast_signed()
    }

    pub(crate) fn from_raw_os_error(code: i32) -> Self {
        Self::new(code.cast_unsigned())
    }

    /// The error of a call of NT that has failed; `error` is what Windows makes of it.
    pub(super) fn of_status(status: NTSTATUS, error: &io::Error) -> Self {
        match status {
            // Windows makes "access denied" of it.
            STATUS_FILE_IS_A_DIRECTORY => Self::ISDIR,
            STATUS_NOT_A_DIRECTORY => Self::NOTDIR,
            STATUS_NOT_IMPLEMENTED | STATUS_INVALID_INFO_CLASS => Self::NOSYS,
            _ => error.raw_os_error().map_or(Self::INVAL, Self::from_raw_os_error),
        }
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw_os_error())
    }
}

impl From<io::Error> for Errno {
    /// An error without a number is one of the standard library's, of what it was given.
    fn from(error: io::Error) -> Self {
        error.raw_os_error().map_or(Self::INVAL, Self::from_raw_os_error)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}
