//! Processors without ports: nothing is ever allowed.
#![expect(unsafe_code, reason = "functions with duties elsewhere")]

use std::io;
use std::ops::Range;

use crate::width::Width;

/// Refuses.
pub(crate) fn allow_ports(_: &Range<u32>) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this processor has no ports"))
}

/// Is never called.
///
/// # Safety
/// 1. [`allow_ports`] has allowed the ports, which it never does.
pub(crate) unsafe fn port_read(_: u16, _: Width) -> u64 {
    unreachable!("no port is allowed")
}

/// Is never called.
///
/// # Safety
/// As of [`port_read`].
pub(crate) unsafe fn port_write(_: u16, _: Width, _: u64) {
    unreachable!("no port is allowed")
}
