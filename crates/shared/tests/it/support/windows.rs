//! Windows: sections, and files.
#![expect(unsafe_code, reason = "WaitForSingleObject, for a test")]

use std::os::windows::io::{AsHandle, AsRawHandle};

use mapio_shared::channel::Notifier;
use mapio_shared::{ObjectKind, SharedObject, SharedOptions};
use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::WaitForSingleObject;

use super::TestName;

/// What memory with a name is.
pub(crate) const MEMORY: ObjectKind = ObjectKind::Section;
/// Where it is: in no folder. Nothing is there.
pub(super) const MEMORY_FOLDER: &str = "sections";

/// Names of the kinds that not every system has.
pub(super) fn others() -> Vec<TestName> {
    Vec::new()
}

/// A new object of each kind that has no name of its own.
pub(crate) fn unnamed(_: &SharedOptions) -> Vec<SharedObject> {
    Vec::new()
}

/// Waits until a notifier has something to tell.
///
/// # Panics
/// It has not for a minute.
pub(crate) fn until_readable(notifier: &Notifier) {
    let handle = notifier.as_handle();
    // SAFETY: the handle is borrowed from the notifier, which has it open.
    let waited = unsafe { WaitForSingleObject(handle.as_raw_handle(), 60_000) };
    assert_eq!(waited, WAIT_OBJECT_0);
}

/// Whether a process is told another start time of itself than others are: no.
pub(crate) fn lacks_own_start_time(_: &str) -> bool {
    false
}
