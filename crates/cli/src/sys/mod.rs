//! The operating system, as far as the subcommands ask it themselves: the same names in a file per system.
//!
//! - Files: `Identity` and `identity` (which file it is, a `FileId`, and by how many names), `device`, `open_folder`,
//!   `open_to_write`, `drop_from_cache`, `read_exact_at`, `file_system` (what kind a folder is on); for tests
//!   `symlink_folder`.
//! - Standard streams: `read_input`, `give_back`, `nobody_reads`, `terminal_size`.
//! - The process: `allow_all_descriptors`, `locking_limit`, `is_locking_limit`.
//! - Pages: `tells_pages_of`, `is_refusal_of_pages`.
//! - The machine: `processor_name`, `memory_bytes`, `version` (the system's).
//! - Objects that processes share: `access` (who may use one), `ends_with_its_handles`.
//! - What there is nothing for: `absent_engine`, `absent_option`; on Windows `Refused`, the words of a subcommand.

cfg_select! {
    windows => {
        mod windows;
        pub(crate) use windows::*;
    }
    _ => {
        mod linux;
        pub(crate) use linux::*;
    }
}
