//! The operating system: files by name in open folders, what they are, and what is done with them.
//!
//! One file per system, the same names in each, with the meanings of POSIX:
//! - `Dir`: an open folder, or the current one (`CWD`), or none (`ABS`); `dir` of an open file. `Errno`, `OFlags`,
//!   `FileType`, `Timespec`, `Inode`.
//! - Names are bytes: `path` makes a path of them again. `SEPARATOR`, `is_separator`, `folder_bytes` (how much of a
//!   path is the folder), `name_key` (what names have in common that mean one file), `FOLDS_CASE`.
//! - By name: `openat`, `statat`, `unlinkat`, `mkdirat`, `linkat`, `symlinkat`, `readlinkat`, `mknodat`, `renameat`,
//!   `rename_no_replace`, `may_write`, `is_mount_root`, `path_behind`, `open_parent`, `open_nonblocking`.
//! - Of an open file: `fstat`, `fsync`, `fdatasync`, `syncfs`, `fsync_folder`, `lock`, `unlock`, `name_unnamed`,
//!   `has_unnamed`, `set_mode`, `add_mode`, `duplicate`, `allocate`, `make_sparse`, `evict`, `EVICTS`, `next_data`,
//!   `next_hole`, `KNOWS_HOLES`, `OFFLOADS`, `read_at`, `write_at`, `wait_readable`, `file_system`, `allocated`,
//!   `list`, `seek_listing`.
//! - Past the cache: `open_direct`, `direct_align`.
//! - Errors: `is_refusal_of_map`, `is_irreplaceable`. The process: `processors`, `most_descriptors`, `user_id`,
//!   `irregular_kind`.

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
