//! Windows.

mod event;
mod folder;
mod locks;
mod object_file;
mod parking;
mod process;
mod section;
mod security;
mod signal;
mod unsupported;
mod wait;
mod watcher;

pub(crate) use event::{Kernel, KernelKind};
pub(crate) use folder::*;
pub(crate) use locks::{Locks, READING, try_lock, unlock};
pub(crate) use object_file::*;
pub(crate) use parking::Parking;
pub(crate) use process::*;
pub(crate) use section::{create_section, open_section, sections};
pub(crate) use signal::Signal;
pub(crate) use unsupported::*;
pub(crate) use wait::Waited;
pub(crate) use watcher::Watcher;

/// Named memory is no file.
pub(crate) const OBJECT_FOLDER: Option<&str> = None;
/// Names in the kernel have at most `MAX_PATH` (260) characters; some behind each section's are our own.
pub(crate) const MOST_NAME_BYTES: usize = 180;
pub(crate) const NO_SEGMENTS: Option<&str> = Some("System V shared memory is not on Windows");
pub(crate) const NO_SECTIONS: Option<&str> = None;

/// What the names of our own kernel objects have behind a section's.
const OWN: &str = ".mapio-";

/// A text as the system takes it: UTF-16, with a zero at the end.
fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

fn is(error: &std::io::Error, code: u32) -> bool {
    error.raw_os_error() == Some(code.cast_signed())
}
