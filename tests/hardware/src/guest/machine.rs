//! What is checked on which machine: each file below has the same name.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::CHECKS;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::CHECKS;
