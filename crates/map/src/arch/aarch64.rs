//! Guarded accesses of aarch64. The same scheme as `x86_64.rs`: a record of the exception table for every instruction
//! that may fault, and bulk copies that finish byte by byte from an exact progress counter.
#![expect(unsafe_code, reason = "inline assembly on foreign memory")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]

use core::arch::asm;

use super::{FaultWord, Progress};
pub(crate) use crate::sys::guard::install as arm;

/// Bytes of a cache line, on almost every aarch64 processor; on the others some lines are asked for twice.
const CACHE_LINE_BYTES: usize = 64;

/// Emits a record of the exception table: the instruction at the first label, behind us, may fault; the second
/// label is its landing.
/// The register, where one is given, is stored by its number.
macro_rules! guarded {
    ($from:literal => $to:literal) => {
        concat!(
            ".pushsection mapio_extable_v1, \"aR\", @progbits\n",
            ".balign 4\n",
            ".long ", $from, "b - ., ", $to, " - ., 255\n",
            ".popsection\n",
        )
    };
    ($from:literal => $to:literal, $register:literal) => {
        concat!(
            ".pushsection mapio_extable_v1, \"aR\", @progbits\n",
            ".balign 4\n",
            ".long ", $from, "b - ., ", $to, " - .\n",
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30\n",
            ".ifc x\\n, ", $register, "\n.long \\n\n.endif\n",
            ".endr\n",
            ".popsection\n",
        )
    };
}

// Behind `guarded!`, which it uses.
mod atomic;

macro_rules! load {
    ($name:ident, $int:ty, $instruction:literal) => {
        /// Loads from `base + offset` with one instruction.
        ///
        /// # Safety
        /// 1. `base + offset` and the bytes behind it lie in an address range reserved for a mapping of ours.
        /// 2. `arm` has run.
        #[inline(always)]
        pub(crate) unsafe fn $name(base: *const u8, offset: usize) -> Result<$int, FaultWord> {
            let value: u64;
            let word: usize;
            // SAFETY: the instruction only loads, from a range that belongs to no Rust object (duty 1), and changes
            // nothing but its two outputs. If it faults, the record sends it to label 3 with `word` set (duty 2).
            unsafe {
                asm!(
                    concat!("2: ", $instruction),
                    "3:",
                    guarded!("2" => "3b", "{word}"),
                    base = in(reg) base,
                    offset = in(reg) offset,
                    value = lateout(reg) value,
                    word = inout(reg) 0usize => word,
                    options(nostack, readonly, preserves_flags),
                );
            }
            match FaultWord::from_register(word) {
                None => Ok(value as $int),
                Some(word) => Err(word),
            }
        }
    };
}

load!(load_u8, u8, "ldrb {value:w}, [{base}, {offset}]");
load!(load_u16, u16, "ldrh {value:w}, [{base}, {offset}]");
load!(load_u32, u32, "ldr {value:w}, [{base}, {offset}]");
load!(load_u64, u64, "ldr {value}, [{base}, {offset}]");

macro_rules! store {
    ($name:ident, $int:ty, $instruction:literal) => {
        /// Stores to `base + offset` with one instruction. The failing path is a jump that costs nothing otherwise.
        ///
        /// # Safety
        /// 1. `base + offset` and the bytes behind it lie in an address range reserved for a mapping of ours.
        /// 2. `arm` has run.
        #[inline(always)]
        pub(crate) unsafe fn $name(base: *mut u8, offset: usize, value: $int) -> Result<(), ()> {
            // SAFETY: the instruction only stores, into a range that belongs to no Rust object (duty 1). If it faults,
            // the record sends it to the label block (duty 2).
            unsafe {
                asm!(
                    concat!("2: ", $instruction),
                    guarded!("2" => "{faulted}"),
                    base = in(reg) base,
                    offset = in(reg) offset,
                    value = in(reg) u64::from(value),
                    faulted = label { return Err(()) },
                    options(nostack, preserves_flags),
                );
            }
            Ok(())
        }
    };
}

store!(store_u8, u8, "strb {value:w}, [{base}, {offset}]");
store!(store_u16, u16, "strh {value:w}, [{base}, {offset}]");
store!(store_u32, u32, "str {value:w}, [{base}, {offset}]");
store!(store_u64, u64, "str {value}, [{base}, {offset}]");

/// Copies `len` bytes from `src` to `dst`, upwards: blocks of 64 bytes, then single bytes. Answers how many were
/// copied.
///
/// # Safety
/// 1. Each of the two ranges is either in an address range reserved for a mapping of ours, or a Rust object valid for
///    the access (of initialised or uninitialised bytes for `dst`).
/// 2. The ranges do not overlap.
/// 3. `arm` has run.
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> usize {
    // SAFETY: the same duties.
    unsafe { copy_exact(dst, src, len) }.done
}

/// Copies `len` bytes from `src` to `dst`, upwards, and tells of the byte that faulted.
///
/// # Safety
/// The duties of [`copy`].
pub(crate) unsafe fn copy_exact(dst: *mut u8, src: *const u8, len: usize) -> Progress {
    let done: usize;
    let word: usize;
    // SAFETY: each turn accesses one block or one byte inside both ranges. A fault in a block lands at label 6, where
    // the byte loop takes over from `i`, the start of that block; a fault in the byte loop lands at label 9 with `i`
    // at the byte that faulted (duties 1 and 3). `word` is cleared between the two.
    unsafe {
        asm!(
            "cbz {blocks}, 6f",
            "5:",
            "add {s}, {src}, {i}",
            "add {d}, {dst}, {i}",
            "20: ldp {a:q}, {b:q}, [{s}]",
            "21: ldp {e:q}, {f:q}, [{s}, #32]",
            "22: stp {a:q}, {b:q}, [{d}]",
            "23: stp {e:q}, {f:q}, [{d}, #32]",
            "add {i}, {i}, #64",
            "cmp {i}, {blocks}",
            "b.lo 5b",
            "6:",
            "mov {word}, xzr",
            "cmp {i}, {len}",
            "b.hs 9f",
            "7:",
            "24: ldrb {byte:w}, [{src}, {i}]",
            "25: strb {byte:w}, [{dst}, {i}]",
            "add {i}, {i}, #1",
            "cmp {i}, {len}",
            "b.lo 7b",
            "9:",
            guarded!("20" => "6b", "{word}"),
            guarded!("21" => "6b", "{word}"),
            guarded!("22" => "6b", "{word}"),
            guarded!("23" => "6b", "{word}"),
            guarded!("24" => "9b", "{word}"),
            guarded!("25" => "9b", "{word}"),
            src = in(reg) src,
            dst = in(reg) dst,
            len = in(reg) len,
            blocks = in(reg) len & !63,
            i = inout(reg) 0usize => done,
            word = out(reg) word,
            s = out(reg) _,
            d = out(reg) _,
            byte = out(reg) _,
            a = out(vreg) _,
            b = out(vreg) _,
            e = out(vreg) _,
            f = out(vreg) _,
            options(nostack),
        );
    }
    Progress { done, fault: FaultWord::from_register(word) }
}

/// Asks for the cache lines of `len` bytes at `src`; a byte that would fault is passed over (Arm ARM, C6.2 PRFM).
pub(crate) fn prefetch(src: *const u8, len: usize) {
    for line in (0..len).step_by(CACHE_LINE_BYTES) {
        // SAFETY: a prefetch is a hint: it changes nothing but the cache, and does not fault.
        unsafe {
            asm!("prfm pldl1keep, [{line}]", line = in(reg) src.wrapping_add(line),
                options(nostack, readonly, preserves_flags));
        }
    }
}

/// Stores `byte` to the `len` bytes at `dst`, upwards.
///
/// # Safety
/// 1. `dst..dst + len` lies in an address range reserved for a mapping of ours.
/// 2. `arm` has run.
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Progress {
    let done: usize;
    let word: usize;
    // SAFETY: as in `copy`, with stores only.
    unsafe {
        asm!(
            "dup {pattern}.16b, {byte:w}",
            "cbz {blocks}, 6f",
            "5:",
            "add {d}, {dst}, {i}",
            "20: stp {pattern:q}, {pattern:q}, [{d}]",
            "add {i}, {i}, #32",
            "cmp {i}, {blocks}",
            "b.lo 5b",
            "6:",
            "mov {word}, xzr",
            "cmp {i}, {len}",
            "b.hs 9f",
            "7:",
            "21: strb {byte:w}, [{dst}, {i}]",
            "add {i}, {i}, #1",
            "cmp {i}, {len}",
            "b.lo 7b",
            "9:",
            guarded!("20" => "6b", "{word}"),
            guarded!("21" => "9b", "{word}"),
            dst = in(reg) dst,
            len = in(reg) len,
            blocks = in(reg) len & !31,
            byte = in(reg) u64::from(byte),
            i = inout(reg) 0usize => done,
            word = out(reg) word,
            d = out(reg) _,
            pattern = out(vreg) _,
            options(nostack),
        );
    }
    Progress { done, fault: FaultWord::from_register(word) }
}

/// The program counter of the interrupted code.
///
/// # Safety
/// The context is the one that a signal handler was given.
pub(crate) unsafe fn program_counter(context: *const libc::ucontext_t) -> usize {
    // SAFETY: valid by the duty; no reference is made, since the kernel may keep the siginfo inside the context's
    // range.
    unsafe { (*context).uc_mcontext.pc as usize }
}

/// Makes the interrupted code go on at `landing`, with `word` in the register of that number, if there is one.
///
/// # Safety
/// The context is the one that a signal handler was given, and nobody else uses it.
pub(crate) unsafe fn resume_at(context: *mut libc::ucontext_t, landing: usize, register: usize, word: FaultWord) {
    // SAFETY: valid by the duty; the reference is to the registers alone, not to what the kernel keeps behind them.
    let registers = unsafe { &mut (*context).uc_mcontext.regs };
    if let Some(slot) = registers.get_mut(register) {
        *slot = word.bits() as u64;
    }
    // SAFETY: as above.
    unsafe { (*context).uc_mcontext.pc = landing as u64 };
}
