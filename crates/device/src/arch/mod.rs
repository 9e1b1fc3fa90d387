//! What processors differ in: the order of accesses to devices, and ports.
//!
//! Each file has `after_read`, `before_write` and `flush_writes`; those of processors with ports, and `no_ports.rs`
//! for all others, `allow_ports`, `port_read` and `port_write`.

cfg_select! {
    target_arch = "x86_64" => {
        mod x86_64;
        pub(crate) use x86_64::*;
    }
    target_arch = "aarch64" => {
        mod aarch64;
        mod no_ports;
        pub(crate) use aarch64::*;
        pub(crate) use no_ports::*;
    }
    _ => {
        mod no_ports;
        mod portable;
        pub(crate) use no_ports::*;
        pub(crate) use portable::*;
    }
}
