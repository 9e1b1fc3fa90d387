//! What differs between systems: one file each, the same names.
//!
//! - `apart_from_the_terminal`: has a child live in a process group of its own.
//! - `bus_errors_tell_where`: whether a fault in a page has an address.
//! - `is_wine`: whether Windows is Wine.
//! - `own_console`, `interrupt`: Ctrl-C for one process.
//! - `SLOWER`: by how much fewer rounds a test does of what goes through the system.
//! - `read_at`, `write_at`: one call on a part of a file; it may move the file's position.

cfg_select! {
    windows => {
        mod windows;
        pub(crate) use windows::*;
    }
    _ => {
        mod unix;
        pub(crate) use unix::*;
    }
}
