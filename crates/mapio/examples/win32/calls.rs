//! What both programs agree on.

/// The section's name, zero at the end.
pub(crate) const NAME: *const u16 = windows_sys::core::w!("Local\\Win32SharedMemory");
/// Bytes that it has.
pub(crate) const LEN: u32 = 4096;
