//! What differs between processors: where the registers of a stopped process have the address of its next instruction,
//! and what a breakpoint is.
//!
//! The names in each file: `Registers`, which `PTRACE_GETREGSET` fills for `NT_PRSTATUS`; `program_counter`,
//! `set_program_counter`; `BREAKPOINT`, an instruction that raises `SIGTRAP`, and `PASSED_BYTES`, how far behind its
//! start the process is then; `IS_SUPPORTED`.

cfg_select! {
    target_arch = "x86_64" => {
        mod x86_64;
        pub(super) use x86_64::*;
    }
    target_arch = "aarch64" => {
        mod aarch64;
        pub(super) use aarch64::*;
    }
    _ => {
        mod stub;
        pub(super) use stub::*;
    }
}
