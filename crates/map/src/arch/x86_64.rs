//! Guarded accesses of x86-64.
//!
//! Every instruction that may fault is named in the exception table (see `sys/linux/guard.rs`) by a record that the
//! assembler emits beside it. On a fault the handler moves the program counter to the record's landing and, where the
//! record names a register, puts a [`FaultWord`] there. All code here leaves the direction flag and the stack alone,
//! so a landing needs no repair.
//!
//! Bulk copies keep one invariant: at every landing the bytes before the progress counter are copied, and
//! `rep movsb` then carries on from there byte by byte, so that the count is exact whatever the vector width.
#![expect(unsafe_code, reason = "inline assembly on foreign memory")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a dispatch by length has one proof for all its arms")]

use core::arch::asm;
use std::arch::is_x86_feature_detected;

use super::{FaultWord, Progress};
pub(crate) use crate::sys::guard::install as arm;

/// From this length on `rep movsb` wins over vector loops where the processor has fast string operations (ERMS).
/// Measured by `bench/` on an AMD EPYC (Zen 5).
const STRING_COPY_FROM_BYTES: usize = 16 << 10;

/// Emits a record of the exception table: the instruction at the first label, behind us, may fault; the second
/// label is its landing.
/// The register, where one is given, is stored by the index that `ucontext_t` has it at (`REG_R8` = 0 and so on).
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
            ".set .Lmapio_index, 0\n",
            ".irp name, r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx\n",
            ".ifc \\name, ", $register, "\n.long .Lmapio_index\n.endif\n",
            ".set .Lmapio_index, .Lmapio_index + 1\n",
            ".endr\n",
            ".popsection\n",
        )
    };
}

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

load!(load_u8, u8, "movzx {value:e}, byte ptr [{base} + {offset}]");
load!(load_u16, u16, "movzx {value:e}, word ptr [{base} + {offset}]");
load!(load_u32, u32, "mov {value:e}, dword ptr [{base} + {offset}]");
load!(load_u64, u64, "mov {value}, qword ptr [{base} + {offset}]");

macro_rules! store {
    ($name:ident, $int:ty, $class:ident, $instruction:literal) => {
        /// Stores to `base + offset` with one instruction. The failing path is a jump that costs nothing otherwise.
        ///
        /// # Safety
        /// 1. `base + offset` and the bytes behind it lie in an address range reserved for a mapping of ours.
        /// 2. `arm` has run.
        #[inline(always)]
        pub(crate) unsafe fn $name(base: *mut u8, offset: usize, value: $int) -> Result<(), ()> {
            // SAFETY: the instruction only stores, into a range that belongs to no Rust object (duty 1). If it faults,
            // nothing was stored and the record sends it to the label block (duty 2).
            unsafe {
                asm!(
                    concat!("2: ", $instruction),
                    guarded!("2" => "{faulted}"),
                    base = in(reg) base,
                    offset = in(reg) offset,
                    value = in($class) value,
                    faulted = label { return Err(()) },
                    options(nostack, preserves_flags),
                );
            }
            Ok(())
        }
    };
}

store!(store_u8, u8, reg_byte, "mov byte ptr [{base} + {offset}], {value}");
store!(store_u16, u16, reg, "mov word ptr [{base} + {offset}], {value:x}");
store!(store_u32, u32, reg, "mov dword ptr [{base} + {offset}], {value:e}");
store!(store_u64, u64, reg, "mov qword ptr [{base} + {offset}], {value}");

/// Copies `len` bytes from `src` to `dst`, upwards.
///
/// Short copies use two overlapping accesses of one width, longer ones the widest vectors that the processor has, and
/// long ones `rep movsb`. Bytes in an overlap are stored twice.
///
/// # Safety
/// 1. Each of the two ranges is either in an address range reserved for a mapping of ours, or a Rust object valid for
///    the access (of initialised or uninitialised bytes for `dst`).
/// 2. The ranges do not overlap.
/// 3. `arm` has run.
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> Progress {
    // SAFETY: the duties of `copy` are those of each callee; the lengths passed on match the widths' needs.
    let mut done = unsafe {
        match len {
            0 => return Progress { done: 0, fault: None },
            1 => 0,
            2..4 => both_ends_2(dst, src, len),
            4..8 => both_ends_4(dst, src, len),
            8..16 => both_ends_8(dst, src, len),
            16..=32 => both_ends_16(dst, src, len),
            33..=64 => both_ends_32(dst, src, len),
            65..=128 => both_ends_64(dst, src, len),
            _ => copy_long(dst, src, len),
        }
    };
    if done == len {
        return Progress { done, fault: None };
    }
    // SAFETY: `done` is at most `len`, so both pointers stay in their ranges.
    let (dst, src) = unsafe { (dst.add(done), src.add(done)) };
    // SAFETY: the rest of the same ranges, under the same duties.
    let rest = unsafe { copy_string(dst, src, len - done) };
    done += rest.done;
    Progress { done, fault: rest.fault }
}

macro_rules! both_ends_int {
    ($name:ident, $width:literal, $load:ident, $store:ident) => {
        /// Copies `width..=2 * width` bytes by the first and the last `width`; answers `len`, or 0 after a fault.
        ///
        /// # Safety
        /// The duties of [`copy`], and `len` is in that range.
        #[inline(always)]
        unsafe fn $name(dst: *mut u8, src: *const u8, len: usize) -> usize {
            // SAFETY: both loads lie inside `src..src + len`, because `len` is at least the width.
            let (Ok(head), Ok(tail)) = (unsafe { $load(src, 0) }, unsafe { $load(src, len - $width) }) else {
                return 0;
            };
            // SAFETY: both stores lie inside `dst..dst + len`, likewise.
            if unsafe { $store(dst, 0, head) }.is_err() || unsafe { $store(dst, len - $width, tail) }.is_err() {
                return 0;
            }
            len
        }
    };
}

both_ends_int!(both_ends_2, 2, load_u16, store_u16);
both_ends_int!(both_ends_4, 4, load_u32, store_u32);
both_ends_int!(both_ends_8, 8, load_u64, store_u64);

/// The instructions that move the listed vectors from `src` to `dst`, each at its own offset: all loads, then all
/// stores, and a record for each that lands at label 30 with `word` set.
macro_rules! vectors {
    ($move:literal: $($load:literal $store:literal $vector:ident at $at:literal),+) => {
        concat!(
            $($load, ": ", $move, " {", stringify!($vector), "}, [{src} + ", $at, "]\n",)+
            $($store, ": ", $move, " [{dst} + ", $at, "], {", stringify!($vector), "}\n",)+
            $(guarded!($load => "30f", "{word}"), guarded!($store => "30f", "{word}"),)+
        )
    };
}

macro_rules! both_ends_vector {
    ($name:ident, $half:literal, $moves:expr, [$($vector:ident),+]) => {
        /// Copies `half..=2 * half` bytes by the first and the last half; answers `len`, or 0 after a fault.
        ///
        /// # Safety
        /// The duties of [`copy`], and `len` is in that range.
        #[inline(always)]
        unsafe fn $name(dst: *mut u8, src: *const u8, len: usize) -> usize {
            let word: usize;
            // SAFETY: every access lies inside the two ranges, because `len` is at least the half. A fault at any of
            // them lands at label 30 with `word` set (duty 3 of `copy`).
            unsafe {
                asm!(
                    $moves,
                    "30:",
                    src = in(reg) src,
                    dst = in(reg) dst,
                    tail = in(reg) len - $half,
                    word = inout(reg) 0usize => word,
                    $($vector = out(xmm_reg) _,)+
                    options(nostack, preserves_flags),
                );
            }
            if word == 0 { len } else { 0 }
        }
    };
}

both_ends_vector!(both_ends_16, 16, vectors!("movdqu": "2" "3" a at "0", "4" "5" b at "{tail}"), [a, b]);
both_ends_vector!(
    both_ends_32,
    32,
    vectors!("movdqu": "2" "3" a at "0", "4" "5" b at "16", "6" "7" c at "{tail}", "8" "9" d at "{tail} + 16"),
    [a, b, c, d]
);
both_ends_vector!(
    both_ends_64,
    64,
    vectors!(
        "movdqu": "2" "3" a at "0", "4" "5" b at "16", "6" "7" c at "32", "8" "9" d at "48",
        "22" "23" e at "{tail}", "24" "25" f at "{tail} + 16", "26" "27" g at "{tail} + 32", "28" "29" h at "{tail} + 48"
    ),
    [a, b, c, d, e, f, g, h]
);

/// Copies the bytes `from..to` of two ranges, `(dst, src, from, to)`, and answers the offset up to which it came.
type Blocks = unsafe fn(*mut u8, *const u8, usize, usize) -> usize;

/// Copies more than 128 bytes; answers how many were copied before a fault, or 0 to leave it all to `rep movsb`.
///
/// # Safety
/// The duties of [`copy`], and `len` is above 128.
unsafe fn copy_long(dst: *mut u8, src: *const u8, len: usize) -> usize {
    if len >= STRING_COPY_FROM_BYTES && is_x86_feature_detected!("ermsb") {
        return 0;
    }
    let (block_bytes, blocks): (usize, Blocks) = if len >= 256 && is_x86_feature_detected!("avx512f") {
        (256, blocks_avx512)
    } else if is_x86_feature_detected!("avx2") {
        (128, blocks_avx2)
    } else {
        (64, blocks_sse2)
    };
    let whole = len - len % block_bytes;
    // SAFETY: the processor has the feature, as was just checked, and `whole` is at most `len`.
    let done = unsafe { blocks(dst, src, 0, whole) };
    if done < whole || done == len {
        return done;
    }
    // The last block overlaps what is already copied, so that the tail needs no smaller steps.
    // SAFETY: `len` is at least a block, so the block lies inside both ranges.
    if unsafe { blocks(dst, src, len - block_bytes, len) } == len { len } else { done }
}

macro_rules! blocks {
    ($name:ident, $(#[$feature:meta])? $block:literal, $moves:expr, [$($vector:tt)+]) => {
        /// Copies the bytes `from..to` of the two ranges by blocks; answers the offset up to which it came.
        ///
        /// # Safety
        /// The duties of [`copy`]; `to - from` is a multiple of the block and not zero; the processor has the feature.
        $(#[$feature])?
        unsafe fn $name(dst: *mut u8, src: *const u8, from: usize, to: usize) -> usize {
            let done: usize;
            // SAFETY: each turn accesses one block inside both ranges, up to `to`. A fault lands at label 30 with
            // `i` still at the start of the block that was not finished (duty 3 of `copy`).
            unsafe {
                asm!(
                    "21:",
                    $moves,
                    concat!("add {i}, ", $block),
                    "cmp {i}, {to}",
                    "jb 21b",
                    "30:",
                    src = in(reg) src,
                    dst = in(reg) dst,
                    to = in(reg) to,
                    i = inout(reg) from => done,
                    word = inout(reg) 0usize => _,
                    $($vector)+
                    options(nostack),
                );
            }
            done
        }
    };
}

blocks!(
    blocks_sse2,
    64,
    vectors!(
        "movdqu": "2" "3" a at "{i}", "4" "5" b at "{i} + 16", "6" "7" c at "{i} + 32", "8" "9" d at "{i} + 48"
    ),
    [a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,]
);
blocks!(
    blocks_avx2,
    #[target_feature(enable = "avx2")]
    128,
    vectors!(
        "vmovdqu": "2" "3" a at "{i}", "4" "5" b at "{i} + 32", "6" "7" c at "{i} + 64", "8" "9" d at "{i} + 96"
    ),
    [a = out(ymm_reg) _, b = out(ymm_reg) _, c = out(ymm_reg) _, d = out(ymm_reg) _,]
);
blocks!(
    blocks_avx512,
    #[target_feature(enable = "avx512f")]
    256,
    vectors!(
        "vmovdqu64": "2" "3" a at "{i}", "4" "5" b at "{i} + 64", "6" "7" c at "{i} + 128", "8" "9" d at "{i} + 192"
    ),
    [a = out(zmm_reg) _, b = out(zmm_reg) _, c = out(zmm_reg) _, d = out(zmm_reg) _,]
);

/// Copies byte by byte, as the architecture sees it; the count is exact (Intel SDM vol. 2B, REP: after a fault the
/// registers point at the element that was not moved).
///
/// # Safety
/// The duties of [`copy`].
unsafe fn copy_string(dst: *mut u8, src: *const u8, len: usize) -> Progress {
    let rest: usize;
    let word: usize;
    // SAFETY: moves at most `len` bytes inside the two ranges; the direction flag is clear on entry (System V ABI
    // 3.2.1). A fault lands at label 3 with `word` set and the registers at the byte that faulted.
    unsafe {
        asm!(
            "2: rep movsb",
            "3:",
            guarded!("2" => "3b", "{word}"),
            inout("rdi") dst => _,
            inout("rsi") src => _,
            inout("rcx") len => rest,
            word = inout(reg) 0usize => word,
            options(nostack, preserves_flags),
        );
    }
    Progress { done: len - rest, fault: FaultWord::from_register(word) }
}

/// Stores `byte` to the `len` bytes at `dst`, upwards.
///
/// # Safety
/// 1. `dst..dst + len` lies in an address range reserved for a mapping of ours.
/// 2. `arm` has run.
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Progress {
    let rest: usize;
    let word: usize;
    // SAFETY: stores at most `len` bytes inside the range (duty 1); as in `copy_string`.
    unsafe {
        asm!(
            "2: rep stosb",
            "3:",
            guarded!("2" => "3b", "{word}"),
            inout("rdi") dst => _,
            inout("rcx") len => rest,
            in("al") byte,
            word = inout(reg) 0usize => word,
            options(nostack, preserves_flags),
        );
    }
    Progress { done: len - rest, fault: FaultWord::from_register(word) }
}

/// The program counter of the interrupted code.
pub(crate) fn program_counter(context: &libc::ucontext_t) -> usize {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
}

/// Makes the interrupted code go on at `landing`, with `word` in the register of that index, if there is one.
pub(crate) fn resume_at(context: &mut libc::ucontext_t, landing: usize, register: usize, word: FaultWord) {
    let registers = &mut context.uc_mcontext.gregs;
    // Indices 0 to 14 are the general registers without the stack pointer (REG_R8 to REG_RCX); 255 stands for none.
    if register <= libc::REG_RCX as usize {
        registers[register] = word.bits() as i64;
    }
    registers[libc::REG_RIP as usize] = landing as i64;
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::MapOptions;

    /// Each way of copying blocks that this processor has, whichever `copy` would pick.
    fn every_width() -> Vec<(&'static str, usize, Blocks)> {
        let mut widths: Vec<(&'static str, usize, Blocks)> = vec![("sse2", 64, blocks_sse2)];
        if is_x86_feature_detected!("avx2") {
            widths.push(("avx2", 128, blocks_avx2));
        }
        if is_x86_feature_detected!("avx512f") {
            widths.push(("avx512f", 256, blocks_avx512));
        }
        widths
    }

    #[test]
    fn every_vector_width_stops_at_the_block_that_faults() {
        const CUT: usize = 8192;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 2 * CUT], 0).unwrap();
        let mapping = MapOptions::read_write().map(&file).unwrap();
        file.set_len(CUT as u64).unwrap();
        for (name, block, blocks) in every_width() {
            for start in CUT - 3 * block..=CUT {
                let (to, whole) = (4 * block, (CUT - start) / block * block);
                let mut buf = vec![0; to];
                // SAFETY: `start + to` is inside the mapping; the buffer has `to` bytes, a multiple of the block.
                let done = unsafe { blocks(buf.as_mut_ptr(), mapping.base().add(start), 0, to) };
                assert_eq!(done, whole, "{name}, read from {start}");
                assert_eq!(buf[..whole], vec![7; whole]);
                buf.fill(7);
                // SAFETY: the same ranges, the other way round.
                let done = unsafe { blocks(mapping.base().add(start), buf.as_ptr(), 0, to) };
                assert_eq!(done, whole, "{name}, write to {start}");
            }
        }
    }

    #[test]
    fn every_vector_width_copies_all_blocks_at_every_alignment() {
        for (name, block, blocks) in every_width() {
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 60)] {
                let source: Vec<u8> = (0..5 * block + 64).map(|i| (i % 251) as u8).collect();
                let mut target = vec![0; source.len()];
                // SAFETY: both buffers have `4 * block` bytes behind these offsets.
                let done = unsafe { blocks(target.as_mut_ptr().add(to), source.as_ptr().add(from), 0, 4 * block) };
                assert_eq!(done, 4 * block, "{name}");
                assert_eq!(target[to..to + done], source[from..from + done], "{name}");
                assert!(target[to + done..].iter().all(|&byte| byte == 0), "{name}");
            }
        }
    }
}
