//! What processors differ in: the order of accesses to devices, and ports.
//!
//! Each file has `after_read`, `before_write` and `flush_writes`.

cfg_select! {
    target_arch = "x86_64" => {
        mod x86_64;
        pub(crate) use x86_64::*;
    }
    target_arch = "aarch64" => {
        mod aarch64;
        pub(crate) use aarch64::*;
    }
    _ => {
        mod portable;
        pub(crate) use portable::*;
    }
}
