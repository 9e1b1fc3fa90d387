//! The handler of access violations and errors in pages: what a guarded instruction has met becomes a value, everything
//! else is left to whoever comes next.
//!
//! Windows asks the vectored handlers of a process one after the other, before any frame of the faulting thread, and
//! goes on with the first that answers `EXCEPTION_CONTINUE_EXECUTION` ("Vectored Exception Handling", Microsoft's
//! documentation). Ours is put in front of those that are there. The crate inside a library has a handler and a table
//! of its own, so each looks at its own instructions alone.
//!
//! | exception | what it is here | the word |
//! |---|---|---|
//! | `EXCEPTION_ACCESS_VIOLATION` | nothing is mapped there, or it does not allow the access | as a `SIGSEGV` |
//! | `EXCEPTION_IN_PAGE_ERROR` | the page is the file's, and could not be read | as a `SIGBUS`, with the error's number for a code |
//!
//! Invariant: only instructions in the table are ever resumed elsewhere, and only at their own landing.
#![expect(unsafe_code, reason = "an exception handler, and the interrupted context")]
#![expect(clippy::as_conversions, reason = "a function's address, and integers of other widths")]

use std::io;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Wdk::Storage::FileSystem::RtlNtStatusToDosErrorNoTeb;
use windows_sys::Win32::Foundation::{
    ERROR_IO_DEVICE, EXCEPTION_ACCESS_VIOLATION, EXCEPTION_IN_PAGE_ERROR, NTSTATUS, STATUS_HARDWARE_MEMORY_ERROR,
};
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS,
    EXCEPTION_RECORD,
};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

use crate::arch::{self, FaultWord, Signal, table};

/// What installing the handler has answered: the number of an error, if it failed.
static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();

/// Installs the handler, once per process; later calls answer what the first one did.
///
/// # Errors
/// The system refuses.
pub(crate) fn install() -> io::Result<()> {
    let installed = INSTALLED.get_or_init(|| {
        stay_loaded();
        // SAFETY: the handler is a function that stays, by the call above, and leaves alone what is not ours.
        let handle = unsafe { AddVectoredExceptionHandler(1, Some(on_exception)) };
        if handle.is_null() {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(0));
        }
        Ok(())
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// Whether the handler has been installed. Windows does not tell whether it still comes first.
pub(crate) fn is_armed() -> bool {
    matches!(INSTALLED.get(), Some(Ok(())))
}

/// Whether the calling thread blocks an exception: there is no such thing.
pub(crate) fn is_blocked() -> bool {
    false
}

/// What has kept a page from being read, where the fault has brought the reason along.
pub(crate) fn fault_error(word: FaultWord) -> Option<io::Error> {
    if word.is_segv() || word.code() == 0 {
        return None;
    }
    Some(io::Error::from_raw_os_error(i32::try_from(word.code()).ok()?))
}

/// The handler. It takes no lock and allocates nothing: the thread may hold any when it faults.
unsafe extern "system" fn on_exception(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: Windows calls a handler with pointers to both structures, which live until it has answered
    // (PVECTORED_EXCEPTION_HANDLER, Microsoft's documentation).
    let pointers = unsafe { *pointers };
    // SAFETY: as above.
    let record = unsafe { *pointers.ExceptionRecord };
    let Some(word) = word(&record) else { return EXCEPTION_CONTINUE_SEARCH };
    // SAFETY: the context that the handler was given.
    let program_counter = unsafe { arch::program_counter(pointers.ContextRecord) };
    let Some(landing) = table::find(program_counter) else { return EXCEPTION_CONTINUE_SEARCH };
    // SAFETY: as above, and the thread is in its handler, so nobody else uses it.
    unsafe { arch::resume_at(pointers.ContextRecord, landing.addr, landing.register, word) };
    EXCEPTION_CONTINUE_EXECUTION
}

/// What an exception says of memory that could not be accessed; `None` if it is not about that.
fn word(record: &EXCEPTION_RECORD) -> Option<FaultWord> {
    // The second number is the address ("EXCEPTION_RECORD structure", Microsoft's documentation), the third the reason.
    let [_, addr, reason, ..] = record.ExceptionInformation;
    let signal = match record.ExceptionCode {
        EXCEPTION_ACCESS_VIOLATION if record.NumberParameters >= 2 => Signal { segv: true, code: 1 },
        EXCEPTION_IN_PAGE_ERROR if record.NumberParameters >= 3 => {
            Signal { segv: false, code: code(reason as NTSTATUS) }
        }
        _ => return None,
    };
    Some(FaultWord::new(addr, Some(signal)))
}

/// The number of an error for the reason of an error in a page: below 2047, as the word has room for.
fn code(status: NTSTATUS) -> usize {
    if status == STATUS_HARDWARE_MEMORY_ERROR {
        return FaultWord::HWPOISON;
    }
    // SAFETY: looks a number up in a table, and touches nothing of the thread.
    let code = unsafe { RtlNtStatusToDosErrorNoTeb(status) } as usize;
    // The number that stands for bad memory is one of open files, which no page lacks; 317 says that the status is not
    // known (ERROR_MR_MID_NOT_FOUND).
    match code {
        0 | FaultWord::HWPOISON | 317 | 2047.. => ERROR_IO_DEVICE as usize,
        code => code,
    }
}

/// Keeps the library that holds the handler loaded, if it is one: once it were unloaded, Windows would call an address
/// where there is no code any more.
fn stay_loaded() {
    let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    let mut module = ptr::null_mut();
    // It fails for an address in no module, which this one is not.
    // SAFETY: with this flag the name is an address in a module, and the handle is written to a local.
    unsafe { GetModuleHandleExW(flags, (on_exception as *const ()).cast(), &raw mut module) };
}

#[cfg(test)]
mod tests {
    use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

    use windows_sys::Win32::Foundation::{
        ERROR_CRC, ERROR_DISK_FULL, STATUS_CRC_ERROR, STATUS_DISK_FULL, STATUS_GUARD_PAGE_VIOLATION, STATUS_SUCCESS,
    };

    use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
    use windows_sys::Win32::System::Memory::{
        CreateFileMappingW, FILE_MAP_READ, FILE_MAP_WRITE, MEM_COMMIT, MEM_RELEASE, MEM_RESERVE,
        MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFileEx, PAGE_NOACCESS, PAGE_PROTECTION_FLAGS, PAGE_READONLY,
        PAGE_READWRITE, SEC_RESERVE, UnmapViewOfFile, VirtualAlloc, VirtualFree, VirtualProtect,
    };

    use super::*;

    const PAGE: usize = 4096;

    fn exception(exception: NTSTATUS, reason: NTSTATUS) -> EXCEPTION_RECORD {
        let mut record = EXCEPTION_RECORD { ExceptionCode: exception, NumberParameters: 3, ..Default::default() };
        record.ExceptionInformation[1] = 0x12_3456;
        record.ExceptionInformation[2] = reason as u32 as usize;
        record
    }

    #[test]
    fn an_access_violation_says_where_and_no_reason() {
        let word = word(&exception(EXCEPTION_ACCESS_VIOLATION, 0)).unwrap();
        assert_eq!((word.page_addr(), word.is_segv(), word.is_hwpoison()), (0x12_3000, true, false));
        assert!(fault_error(word).is_none());
    }

    #[test]
    fn an_error_in_a_page_brings_its_reason_along() {
        let known = [
            (STATUS_CRC_ERROR, ERROR_CRC),
            (STATUS_DISK_FULL, ERROR_DISK_FULL),
            (STATUS_SUCCESS, ERROR_IO_DEVICE),
            (0xdead_beefu32.cast_signed(), ERROR_IO_DEVICE),
        ];
        for (status, code) in known {
            let word = word(&exception(EXCEPTION_IN_PAGE_ERROR, status)).unwrap();
            assert_eq!((word.page_addr(), word.is_segv(), word.is_hwpoison()), (0x12_3000, false, false));
            assert_eq!(
                fault_error(word).and_then(|error| error.raw_os_error()),
                Some(code.cast_signed()),
                "{status:x}"
            );
        }
        let word = word(&exception(EXCEPTION_IN_PAGE_ERROR, STATUS_HARDWARE_MEMORY_ERROR)).unwrap();
        assert!(word.is_hwpoison());
    }

    #[test]
    fn other_exceptions_are_nothing_of_ours() {
        assert_eq!(word(&exception(STATUS_GUARD_PAGE_VIOLATION, 0)), None);
        let bare = EXCEPTION_RECORD { ExceptionCode: EXCEPTION_ACCESS_VIOLATION, ..Default::default() };
        assert_eq!(word(&bare), None);
    }

    /// Three pages, of which the middle one is of a kind that faults.
    struct Pages {
        start: *mut u8,
        /// Whether loads from it do not fault.
        loads: bool,
        give_back: fn(*mut u8),
    }

    impl Pages {
        fn loads_are(mut self, loads: bool) -> Self {
            self.loads = loads;
            self
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            (self.give_back)(self.start);
        }
    }

    fn free(start: *mut u8) {
        // SAFETY: made by VirtualAlloc, and used no more.
        assert_ne!(unsafe { VirtualFree(start.cast(), 0, MEM_RELEASE) }, 0);
    }

    fn unmap(start: *mut u8) {
        // SAFETY: made by MapViewOfFileEx, and used no more.
        assert_ne!(unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: start.cast() }) }, 0);
    }

    /// Makes memory of whole pages of an address range.
    fn commit(first: *mut u8, len: usize) {
        // SAFETY: pages of a range that only the test uses.
        assert!(!unsafe { VirtualAlloc(first.cast(), len, MEM_COMMIT, PAGE_READWRITE) }.is_null());
    }

    /// Pages that are reserved, and committed but for the middle one.
    fn reserved() -> Pages {
        // SAFETY: a new range, which nothing else uses.
        let start: *mut u8 = unsafe { VirtualAlloc(ptr::null(), 3 * PAGE, MEM_RESERVE, PAGE_READWRITE) }.cast();
        assert!(!start.is_null());
        commit(start, PAGE);
        commit(start.wrapping_add(2 * PAGE), PAGE);
        Pages { start, loads: false, give_back: free }
    }

    /// Pages whose middle one has another protection.
    fn protected(protection: PAGE_PROTECTION_FLAGS, loads: bool) -> Pages {
        let pages = reserved();
        commit(pages.start, 3 * PAGE);
        let (middle, mut before) = (pages.start.wrapping_add(PAGE), 0);
        // SAFETY: a page of a range that only the test uses.
        assert_ne!(unsafe { VirtualProtect(middle.cast(), PAGE, protection, &raw mut before) }, 0);
        pages.loads_are(loads)
    }

    /// A view of a section of the page file that is reserved, and committed but for the middle page: `SEC_RESERVE`.
    fn reserved_section() -> Pages {
        let kind = PAGE_READWRITE | SEC_RESERVE;
        let bytes = u32::try_from(3 * PAGE).unwrap();
        // SAFETY: no file, no attributes, no name.
        let section = unsafe { CreateFileMappingW(INVALID_HANDLE_VALUE, ptr::null(), kind, 0, bytes, ptr::null()) };
        assert!(!section.is_null());
        // SAFETY: the handle was made just now.
        let section = unsafe { OwnedHandle::from_raw_handle(section) };
        let access = FILE_MAP_READ | FILE_MAP_WRITE;
        // SAFETY: a new range, which nothing else uses.
        let view = unsafe { MapViewOfFileEx(section.as_raw_handle(), access, 0, 0, 0, ptr::null()) };
        let start: *mut u8 = view.Value.cast();
        assert!(!start.is_null());
        commit(start, PAGE);
        commit(start.wrapping_add(2 * PAGE), PAGE);
        Pages { start, loads: false, give_back: unmap }
    }

    #[test]
    fn a_fault_at_every_byte_of_every_access_is_answered_whatever_the_page_is() {
        arch::arm().unwrap();
        let kinds = [
            ("reserved", reserved()),
            ("no access", protected(PAGE_NOACCESS, false)),
            ("read-only", protected(PAGE_READONLY, true)),
            ("a reserved section", reserved_section()),
        ];
        for (kind, pages) in kinds {
            // SAFETY: a byte of the pages, which are ours; faults are caught.
            if !pages.loads && unsafe { arch::load_u8(pages.start, PAGE) }.is_ok() {
                let reason = "this system lets the pages of a view be read that nobody has committed";
                assert_eq!(kind, "a reserved section");
                mapio_testkit::skip("faults in a reserved section", reason);
                continue;
            }
            let (edge, behind) = (pages.start.wrapping_add(PAGE), pages.start.wrapping_add(2 * PAGE));
            let mut buf = vec![0u8; 2 * PAGE];
            for len in (1..=34).chain([64, 65, 127, 128, 129, 130, 255, 256, 257, 511, 600, 4000]) {
                for before in (0..=len).filter(|&before| len < 131 || before < 10 || len - before < 10) {
                    let at = edge.wrapping_sub(before);
                    // SAFETY: `len` bytes of the pages, and of the buffer, which do not overlap; faults are caught.
                    let read = unsafe { arch::copy_exact(buf.as_mut_ptr(), at, len) };
                    assert_eq!(read.done, if pages.loads { len } else { before }, "{kind}");
                    // SAFETY: as above.
                    let stored = unsafe { arch::copy_exact(at, buf.as_ptr(), len) };
                    // SAFETY: as above.
                    let filled = unsafe { arch::fill(at, 7, len) };
                    for progress in [stored, filled] {
                        assert_eq!((progress.done, progress.fault.is_some()), (before, before < len));
                        let word = progress.fault.unwrap_or(FaultWord::new(edge.addr(), None));
                        assert_eq!((word.page_addr(), word.is_segv() || before == len), (edge.addr(), true));
                    }
                    // SAFETY: as above.
                    let fast = unsafe { arch::copy(at, buf.as_ptr(), len) };
                    assert!(fast <= before || before == len && fast == len, "{fast} of {len}, {before} in front");
                }
            }
            // SAFETY: the last bytes of the middle page, and the first of the one behind.
            assert!(unsafe { arch::store_u64(behind, 0usize.wrapping_sub(3), 0) }.is_err());
            // SAFETY: as above.
            assert_eq!(unsafe { arch::load_u64(behind, 0) }, Ok(0), "nothing was stored");
        }
    }
}
