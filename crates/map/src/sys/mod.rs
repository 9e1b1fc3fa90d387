//! The operating system: address ranges, questions about files, and the fault handler.
//!
//! One file per system, the same names in each:
//! - `Region`: an address range that the kernel gave us, given back when dropped. `map`, `EMPTY`, `base`, `flush`.
//! - `open(path, mode)`, `page_bytes()`, `file_len(file)`, `readable(file, offset)`, `allocatable(file, offset)`,
//!   `is_full(file)`, `path_of(file)`.
//! - `Status`, `status()`: whether faults are caught now (public through `fault`).

cfg_select! {
    miri => {
        mod heap;
        pub(crate) use heap::*;
        pub use heap::{Status, status};
    }
    target_os = "linux" => {
        mod linux;
        pub(crate) use linux::*;
        pub use linux::{Status, status};
    }
    _ => {
        mod stub;
        pub(crate) use stub::*;
        pub use stub::{Status, status};
    }
}
