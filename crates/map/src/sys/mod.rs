//! The operating system: address ranges, questions about files, and the fault handler.
//!
//! One file per system, the same names in each:
//! - `Region`: an address range that the kernel gave us, given back when dropped. `map`, `EMPTY`, `base`, `flush`,
//!   `residency`.
//! - `open(path, mode)`, `page_bytes()`, `file_len(file)`, `readable(file, offset)`, `allocatable(file, offset)`,
//!   `is_full(file)`, `path_of(file)`.
//! - `Registration`: has the pages of an address range replaced by zeros where an access without a guard faults. `new`,
//!   `fault`.
//! - `is_armed()`, `is_blocked()`: whether faults are caught now, for `fault::status`.

cfg_select! {
    // Under loom no mapping is made.
    any(miri, loom) => {
        mod heap;
        pub(crate) use heap::*;
    }
    target_os = "linux" => {
        mod linux;
        pub(crate) use linux::*;
    }
    _ => {
        mod stub;
        pub(crate) use stub::*;
    }
}
