//! What the system's error numbers mean: errno on Unix, the codes of `GetLastError` on Windows. Whoever looks at a
//! number outside of `sys` asks here.
//!
//! Sources: errno(3); winerror.h, "System Error Codes" in Microsoft's documentation.

use std::io;

cfg_select! {
    windows => {
        use windows_sys::Win32::Foundation::{
            ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED, ERROR_HANDLE_DISK_FULL,
            ERROR_INVALID_FUNCTION, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_INVALID_USER_BUFFER, ERROR_IO_DEVICE, ERROR_NOACCESS,
            ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_SUPPORTED, ERROR_OUTOFMEMORY, WIN32_ERROR,
        };

        /// The medium has failed, and no more is known.
        pub(crate) const IO_FAILED: i32 = ERROR_IO_DEVICE.cast_signed();
        /// There is no memory, or no address space.
        pub(crate) const NO_MEMORY: i32 = ERROR_NOT_ENOUGH_MEMORY.cast_signed();
        /// What is asked for does not exist in this form.
        pub(crate) const INVALID: i32 = ERROR_INVALID_PARAMETER.cast_signed();
        /// The object cannot do that: it is no file that can be mapped.
        pub(crate) const WRONG_OBJECT: i32 = ERROR_INVALID_FUNCTION.cast_signed();
        /// There is no such open file.
        pub(crate) const NOT_OPEN: i32 = ERROR_INVALID_HANDLE.cast_signed();
        /// The system has no such call.
        pub(crate) const NO_CALL: i32 = ERROR_NOT_SUPPORTED.cast_signed();

        const NO_SPACE: &[WIN32_ERROR] = &[ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED];
        const TOO_LONG: &[WIN32_ERROR] = &[];
        const CANNOT_TELL: &[WIN32_ERROR] = &[ERROR_NOT_SUPPORTED, ERROR_INVALID_FUNCTION];
        const LITTLE_MEMORY: &[WIN32_ERROR] = &[ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY, ERROR_COMMITMENT_LIMIT];
        const BAD_ADDRESS: &[WIN32_ERROR] = &[ERROR_NOACCESS, ERROR_INVALID_USER_BUFFER];

        fn is_one_of(error: &io::Error, codes: &[WIN32_ERROR]) -> bool {
            error.raw_os_error().is_some_and(|code| codes.contains(&code.cast_unsigned()))
        }
    }
    _ => {
        /// The medium has failed, and no more is known.
        pub(crate) const IO_FAILED: i32 = libc::EIO;
        /// There is no memory, or no address space.
        pub(crate) const NO_MEMORY: i32 = libc::ENOMEM;
        /// What is asked for does not exist in this form.
        pub(crate) const INVALID: i32 = libc::EINVAL;
        /// The object cannot do that: it is no file that can be mapped.
        pub(crate) const WRONG_OBJECT: i32 = libc::ENODEV;
        /// There is no such open file.
        pub(crate) const NOT_OPEN: i32 = libc::EBADF;
        /// The system has no such call.
        pub(crate) const NO_CALL: i32 = libc::ENOSYS;

        const NO_SPACE: &[i32] = &[libc::ENOSPC, libc::EDQUOT];
        const TOO_LONG: &[i32] = &[libc::EFBIG];
        const CANNOT_TELL: &[i32] = &[libc::EOPNOTSUPP, libc::ENOSYS];
        const LITTLE_MEMORY: &[i32] = &[libc::ENOMEM];
        const BAD_ADDRESS: &[i32] = &[libc::EFAULT];

        fn is_one_of(error: &io::Error, codes: &[i32]) -> bool {
            error.raw_os_error().is_some_and(|code| codes.contains(&code))
        }
    }
}

/// Whether the disk is full, or the owner's quota.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    is_one_of(error, NO_SPACE)
}

/// Whether a file cannot be longer: the disk is full, or a limit is reached.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    is_out_of_space(error) || is_one_of(error, TOO_LONG)
}

/// Whether a file system cannot be asked for space.
pub(crate) fn cannot_tell(error: &io::Error) -> bool {
    is_one_of(error, CANNOT_TELL)
}

/// Whether there was no memory or no address space.
pub(crate) fn is_out_of_memory(error: &io::Error) -> bool {
    is_one_of(error, LITTLE_MEMORY)
}

/// Whether the system could not access the memory that it was given.
pub(crate) fn is_bad_address(error: &io::Error) -> bool {
    is_one_of(error, BAD_ADDRESS)
}

/// The number of an error, or that of a failed medium for one that has none.
pub(crate) fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(IO_FAILED)
}
