//! Owners and permissions of files, which each system has its own of.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::{check_owner, make_alike};
#[cfg(windows)]
pub(crate) use windows::{check_owner, make_alike};
