//! Guarded accesses of x86-64.
//!
//! Every instruction that may fault is named in the exception table (see `table.rs`) by a record that the
//! assembler emits beside it. On a fault the handler moves the program counter to the record's landing and, where the
//! record names a register, puts a [`FaultWord`] there. All code here leaves the direction flag and the stack alone,
//! so a landing needs no repair.
//!
//! Bulk copies keep one invariant: at every landing the bytes before the progress counter are copied. `rep movsb`
//! carries on from there byte by byte (`copy_exact`), so that the count is exact whatever the vector width.
#![expect(unsafe_code, reason = "inline assembly on foreign memory")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a dispatch by length has one proof for all its arms")]

use core::arch::asm;
use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::arch::is_x86_feature_detected;
use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{FaultWord, Progress};
use crate::sys::guard;

/// From this length on `rep movsb` wins over vector loops where the processor has fast string operations (ERMS).
/// Measured by `bench/` on an AMD EPYC (Zen 5).
const STRING_COPY_FROM_BYTES: usize = 16 << 10;

/// Bytes of a cache line, on every x86-64 processor so far.
const CACHE_LINE_BYTES: usize = 64;

/// The vectors that the processor has, and [`FAST_STRINGS`]. Written by [`arm`], always with the same value, and read
/// by [`copy`]; it publishes nothing else, so relaxed accesses do. Before it is written, 0 stands for SSE2, which all
/// have.
static PROCESSOR: AtomicU8 = AtomicU8::new(0);
const AVX2: u8 = 1;
/// AVX-512 F and VL: vectors of 512 bits, and of 256 in the registers from 16 on.
const AVX512: u8 = 2;
const VECTORS: u8 = 3;
/// `rep movsb` is fast (ERMS).
const FAST_STRINGS: u8 = 4;

/// Makes sure that faults are caught, and looks what the processor can do. The second and later calls are cheap.
///
/// # Errors
/// The fault handler could not be installed.
pub(crate) fn arm() -> io::Result<()> {
    let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
    let vectors = match (avx512, is_x86_feature_detected!("avx2")) {
        (true, _) => AVX512,
        (false, true) => AVX2,
        (false, false) => 0,
    };
    let strings = if is_x86_feature_detected!("ermsb") { FAST_STRINGS } else { 0 };
    PROCESSOR.store(vectors | strings, Ordering::Relaxed);
    guard::install()
}

cfg_select! {
    windows => {
        /// What a record stands between: in its section, and with a pointer that keeps it there; see `table.rs`.
        macro_rules! record {
            ($($line:expr),+) => {
                concat!(
                    ".pushsection .mapx, \"dr\"\n",
                    ".balign 4\n",
                    "90: ", $($line,)+
                    ".popsection\n",
                    ".pushsection .xdatamx, \"dr\"\n",
                    ".balign 4\n",
                    ".long 90b - .\n",
                    ".popsection\n",
                )
            };
        }
    }
    _ => {
        /// What a record stands between: in its section, which is kept.
        macro_rules! record {
            ($($line:expr),+) => {
                concat!(
                    ".pushsection mapio_extable_v1, \"aR\", @progbits\n",
                    ".balign 4\n",
                    $($line,)+
                    ".popsection\n",
                )
            };
        }
    }
}

/// Emits a record of the exception table: the instruction at the first label, behind us, may fault; the second
/// label is its landing.
/// The register, where one is given, is stored by the index that Linux's `ucontext_t` has it at (`REG_R8` = 0 and so
/// on), on every system.
macro_rules! guarded {
    ($from:literal => $to:literal) => {
        record!(".long ", $from, "b - ., ", $to, " - ., 255\n")
    };
    ($from:literal => $to:literal, $register:literal) => {
        record!(
            ".long ", $from, "b - ., ", $to, " - .\n",
            ".set .Lmapio_index, 0\n",
            ".irp name, r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx\n",
            ".ifc \\name, ", $register, "\n.long .Lmapio_index\n.endif\n",
            ".set .Lmapio_index, .Lmapio_index + 1\n",
            ".endr\n"
        )
    };
}

// Behind `guarded!`, which it uses.
mod atomic;
cfg_select! {
    windows => {
        mod win_context;
        pub(crate) use win_context::{program_counter, resume_at};
    }
    _ => {
        mod ucontext;
        pub(crate) use ucontext::{program_counter, resume_at};
    }
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

/// Copies `len` bytes from `src` to `dst`, upwards; answers how many were certainly copied, `len` unless there was a
/// fault.
///
/// Short copies use two overlapping accesses of one width, longer ones the widest vectors that the processor has, and
/// long ones `rep movsb`. Bytes in an overlap are stored twice. Inlined into the few functions that call it, because a
/// call more is a cycle more, which a copy of 256 bytes shows; where the length is a constant, only one way is left of
/// it.
///
/// # Safety
/// 1. Each of the two ranges is either in an address range reserved for a mapping of ours, or a Rust object valid for
///    the access (of initialised or uninitialised bytes for `dst`).
/// 2. The ranges do not overlap.
/// 3. `arm` has run.
#[inline(always)]
pub(crate) unsafe fn copy(dst: *mut u8, src: *const u8, len: usize) -> usize {
    // SAFETY: the duties of `copy` are those of each callee; the lengths passed on match the widths' needs.
    unsafe {
        match len {
            129.. => copy_long(dst, src, len),
            33.. => copy_medium(dst, src, len),
            16.. => both_ends_16(dst, src, len),
            8.. => both_ends_8(dst, src, len),
            4.. => both_ends_4(dst, src, len),
            2.. => both_ends_2(dst, src, len),
            1 => copy_byte(dst, src),
            _ => 0,
        }
    }
}

/// Copies 33 to 128 bytes by both ends; answers how many were certainly copied.
///
/// # Safety
/// The duties of [`copy`], and `len` is in that range.
#[inline(always)]
unsafe fn copy_medium(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let wide = PROCESSOR.load(Ordering::Relaxed) & VECTORS == AVX512;
    // SAFETY: the duties are passed on; the lengths match the widths' needs, and the processor has the vectors.
    unsafe {
        match (wide, len) {
            (true, 65..) => both_ends_64_wide(dst, src, len),
            (true, _) => both_ends_32_wide(dst, src, len),
            (false, 65..) => both_ends_64(dst, src, len),
            (false, _) => both_ends_32(dst, src, len),
        }
    }
}

/// Copies more than 128 bytes; answers how many were certainly copied.
///
/// # Safety
/// The duties of [`copy`], and `len` is above 128.
#[inline(always)]
unsafe fn copy_long(dst: *mut u8, src: *const u8, len: usize) -> usize {
    let processor = PROCESSOR.load(Ordering::Relaxed);
    // SAFETY: the duties are passed on; `len` is at least the block or in the range, and the processor has the vectors.
    unsafe {
        match processor & VECTORS {
            AVX512 if len <= 256 => both_ends_128_wide(dst, src, len),
            _ if len >= STRING_COPY_FROM_BYTES && processor & FAST_STRINGS != 0 => copy_exact(dst, src, len).done,
            AVX512 => copy_blocks_avx512(dst, src, len),
            AVX2 => copy_blocks_avx2(dst, src, len),
            _ => copy_blocks_sse2(dst, src, len),
        }
    }
}

/// Copies one byte; answers 1, or 0 after a fault.
///
/// # Safety
/// The duties of [`copy`] for a length of 1.
#[inline(always)]
unsafe fn copy_byte(dst: *mut u8, src: *const u8) -> usize {
    // SAFETY: a byte of the source.
    let Ok(byte) = (unsafe { load_u8(src, 0) }) else { return 0 };
    // SAFETY: a byte of the destination.
    unsafe { store_u8(dst, 0, byte) }.map_or(0, |()| 1)
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
/// stores, and a record for each that lands at label 30.
macro_rules! vectors {
    ($move:literal: $($load:literal $store:literal $vector:literal at $at:literal),+) => {
        concat!(
            $($load, ": ", $move, " ", $vector, ", [{src} + ", $at, "]\n",)+
            $($store, ": ", $move, " [{dst} + ", $at, "], ", $vector, "\n",)+
            $(guarded!($load => "30f"), guarded!($store => "30f"),)+
        )
    };
}

macro_rules! both_ends_vector {
    ($name:ident, $half:literal, $moves:expr, [$($vector:tt),+]) => {
        /// Copies `half..=2 * half` bytes by the first and the last half; answers `len`, or 0 after a fault.
        ///
        /// # Safety
        /// The duties of [`copy`], and `len` is in that range.
        #[inline(always)]
        unsafe fn $name(dst: *mut u8, src: *const u8, len: usize) -> usize {
            let done: usize;
            // SAFETY: every access lies inside the two ranges, because `len` is at least the half. A fault at any of
            // them lands at label 30 with `done` still 0 (duty 3 of `copy`).
            unsafe {
                asm!(
                    "xor {done:e}, {done:e}",
                    $moves,
                    concat!("lea {done}, [{tail} + ", $half, "]"),
                    "30:",
                    src = in(reg) src,
                    dst = in(reg) dst,
                    tail = in(reg) len - $half,
                    done = out(reg) done,
                    $(out($vector) _,)+
                    options(nostack),
                );
            }
            done
        }
    };
}

both_ends_vector!(
    both_ends_16,
    16,
    vectors!("movdqu": "2" "3" "xmm0" at "0", "4" "5" "xmm1" at "{tail}"),
    ["xmm0", "xmm1"]
);
both_ends_vector!(
    both_ends_32,
    32,
    vectors!(
        "movdqu": "2" "3" "xmm0" at "0", "4" "5" "xmm1" at "16",
        "6" "7" "xmm2" at "{tail}", "8" "9" "xmm3" at "{tail} + 16"
    ),
    ["xmm0", "xmm1", "xmm2", "xmm3"]
);
both_ends_vector!(
    both_ends_64,
    64,
    vectors!(
        "movdqu": "2" "3" "xmm0" at "0", "4" "5" "xmm1" at "16", "6" "7" "xmm2" at "32", "8" "9" "xmm3" at "48",
        "22" "23" "xmm4" at "{tail}", "24" "25" "xmm5" at "{tail} + 16",
        "26" "27" "xmm6" at "{tail} + 32", "28" "29" "xmm7" at "{tail} + 48"
    ),
    ["xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"]
);

both_ends_vector!(
    both_ends_32_wide,
    32,
    vectors!("vmovdqu64": "2" "3" "ymm16" at "0", "4" "5" "ymm17" at "{tail}"),
    ["ymm16", "ymm17"]
);
both_ends_vector!(
    both_ends_64_wide,
    64,
    vectors!(
        "vmovdqu64": "2" "3" "ymm16" at "0", "4" "5" "ymm17" at "32",
        "6" "7" "ymm18" at "{tail}", "8" "9" "ymm19" at "{tail} + 32"
    ),
    ["ymm16", "ymm17", "ymm18", "ymm19"]
);
both_ends_vector!(
    both_ends_128_wide,
    128,
    vectors!(
        "vmovdqu64": "2" "3" "ymm16" at "0", "4" "5" "ymm17" at "32", "6" "7" "ymm18" at "64", "8" "9" "ymm19" at "96",
        "22" "23" "ymm20" at "{tail}", "24" "25" "ymm21" at "{tail} + 32",
        "26" "27" "ymm22" at "{tail} + 64", "28" "29" "ymm23" at "{tail} + 96"
    ),
    ["ymm16", "ymm17", "ymm18", "ymm19", "ymm20", "ymm21", "ymm22", "ymm23"]
);

/// Copies blocks of four vectors, and at the end the last block of the ranges, which overlaps what is already copied,
/// so that a tail needs no smaller steps.
macro_rules! copy_blocks {
    ($name:ident, $block:literal, $moves:expr, $end:literal, [$($vector:tt),+]) => {
        /// Copies at least a block of bytes by vectors; answers how many were certainly copied.
        ///
        /// # Safety
        /// The duties of [`copy`]; `len` is at least the block; the processor has the vectors.
        #[inline(always)]
        unsafe fn $name(dst: *mut u8, src: *const u8, len: usize) -> usize {
            let done: usize;
            // SAFETY: each turn accesses one block inside both ranges, since `i` is at most `last`. A fault lands at
            // label 30, with all bytes below `i` copied (duty 3 of `copy`). All vector registers that change are
            // named as outputs, which needs no feature of the function.
            unsafe {
                asm!(
                    "xor {i:e}, {i:e}",
                    "21:",
                    $moves,
                    concat!("add {i}, ", $block),
                    "cmp {i}, {last}",
                    "jbe 21b",
                    "cmp {i}, {len}",
                    "je 30f",
                    "mov {i}, {last}",
                    "jmp 21b",
                    "30:",
                    $end,
                    src = in(reg) src,
                    dst = in(reg) dst,
                    len = in(reg) len,
                    last = in(reg) len - $block,
                    i = out(reg) done,
                    $(out($vector) _,)+
                    options(nostack),
                );
            }
            done
        }
    };
}

copy_blocks!(
    copy_blocks_sse2,
    64,
    vectors!(
        "movdqu": "2" "3" "xmm0" at "{i}", "4" "5" "xmm1" at "{i} + 16",
        "6" "7" "xmm2" at "{i} + 32", "8" "9" "xmm3" at "{i} + 48"
    ),
    "",
    ["xmm0", "xmm1", "xmm2", "xmm3"]
);
copy_blocks!(
    copy_blocks_avx2,
    128,
    vectors!(
        "vmovdqu": "2" "3" "ymm0" at "{i}", "4" "5" "ymm1" at "{i} + 32",
        "6" "7" "ymm2" at "{i} + 64", "8" "9" "ymm3" at "{i} + 96"
    ),
    // Clears the upper halves of all sixteen, or every later SSE instruction would pay for them (Intel SDM vol. 2C,
    // VZEROUPPER).
    "vzeroupper",
    [
        "ymm0", "ymm1", "ymm2", "ymm3", "ymm4", "ymm5", "ymm6", "ymm7", "ymm8", "ymm9", "ymm10", "ymm11", "ymm12",
        "ymm13", "ymm14", "ymm15"
    ]
);
copy_blocks!(
    copy_blocks_avx512,
    256,
    vectors!(
        "vmovdqu64": "2" "3" "zmm16" at "{i}", "4" "5" "zmm17" at "{i} + 64",
        "6" "7" "zmm18" at "{i} + 128", "8" "9" "zmm19" at "{i} + 192"
    ),
    // The registers from 16 on leave no upper halves behind that SSE would pay for.
    "",
    ["zmm16", "zmm17", "zmm18", "zmm19"]
);

/// Copies byte by byte, as the architecture sees it; the count is exact (Intel SDM vol. 2B, REP: after a fault the
/// registers point at the element that was not moved).
///
/// # Safety
/// The duties of [`copy`].
pub(crate) unsafe fn copy_exact(dst: *mut u8, src: *const u8, len: usize) -> Progress {
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

/// Asks for the cache lines of `len` bytes at `src`; a byte that would fault is passed over (Intel SDM vol. 2B,
/// PREFETCHh).
pub(crate) fn prefetch(src: *const u8, len: usize) {
    for line in (0..len).step_by(CACHE_LINE_BYTES) {
        // SAFETY: a prefetch is a hint: it changes nothing but the cache, and does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(src.wrapping_add(line).cast()) };
    }
}

/// Stores `byte` to the `len` bytes at `dst`, upwards.
///
/// # Safety
/// 1. `dst..dst + len` lies in an address range reserved for a mapping of ours.
/// 2. `arm` has run.
pub(crate) unsafe fn fill(dst: *mut u8, byte: u8, len: usize) -> Progress {
    let rest: usize;
    let word: usize;
    // SAFETY: stores at most `len` bytes inside the range (duty 1); as in `copy_exact`.
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

#[cfg(test)]
#[expect(clippy::as_conversions, reason = "small numbers")]
mod tests {
    use mapio_testkit::FileAt;

    use super::*;
    use crate::MapOptions;

    type CopyBlocks = unsafe fn(*mut u8, *const u8, usize) -> usize;

    /// Each way of copying blocks that this processor has, whichever `copy` would pick.
    fn every_width() -> Vec<(&'static str, usize, CopyBlocks)> {
        arm().unwrap();
        let mut widths: Vec<(&'static str, usize, CopyBlocks)> = vec![("sse2", 64, copy_blocks_sse2)];
        if is_x86_feature_detected!("avx2") {
            widths.push(("avx2", 128, copy_blocks_avx2));
        }
        if PROCESSOR.load(Ordering::Relaxed) & VECTORS == AVX512 {
            widths.push(("avx512f", 256, copy_blocks_avx512));
        }
        widths
    }

    #[test]
    fn every_vector_width_claims_only_bytes_before_the_one_that_faults() {
        const CUT: usize = 8192;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; CUT], 0).unwrap();
        // What is behind the file's end faults.
        let mapping = MapOptions::read_write().len(2 * CUT).map(&file).unwrap();
        for (name, block, copy_blocks) in every_width() {
            for len in [block, block + 1, 3 * block - 1, 3 * block, 4 * block] {
                for start in CUT - 3 * block..=CUT {
                    let (left, mut buf) = (CUT - start, vec![0; len]);
                    // The blocks that fit are copied, and the last one is started from the end of the range.
                    let expected = if left >= len { len } else { (left / block * block).min(len - block) };
                    // SAFETY: `start + len` is inside the mapping; the buffer has `len` bytes, at least a block.
                    let done = unsafe { copy_blocks(buf.as_mut_ptr(), mapping.base().add(start), len) };
                    assert_eq!(done, expected, "{name}, read of {len} from {start}");
                    assert!(buf[..done].iter().all(|&byte| byte == 7));
                    buf.fill(7);
                    // SAFETY: the same ranges, the other way round.
                    let done = unsafe { copy_blocks(mapping.base().add(start), buf.as_ptr(), len) };
                    assert_eq!(done, expected, "{name}, write of {len} to {start}");
                }
            }
        }
    }

    #[test]
    fn both_ends_of_every_width_copy_all_or_claim_nothing() {
        const CUT: usize = 4096;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; CUT], 0).unwrap();
        // What is behind the file's end faults.
        let mapping = MapOptions::read_write().len(2 * CUT).map(&file).unwrap();
        let mut widths: Vec<(usize, CopyBlocks)> = vec![
            (2, both_ends_2),
            (4, both_ends_4),
            (8, both_ends_8),
            (16, both_ends_16),
            (32, both_ends_32),
            (64, both_ends_64),
        ];
        if PROCESSOR.load(Ordering::Relaxed) & VECTORS == AVX512 {
            widths.extend([
                (32, both_ends_32_wide as CopyBlocks),
                (64, both_ends_64_wide),
                (128, both_ends_128_wide),
            ]);
        }
        for (half, both_ends) in widths {
            for len in half..=2 * half {
                for left in 0..=len {
                    let mut buf = vec![0; len + 1];
                    // SAFETY: `len` bytes from there are inside the mapping, and inside the buffer.
                    let done = unsafe { both_ends(buf.as_mut_ptr(), mapping.base().add(CUT - left), len) };
                    assert_eq!(done, if left == len { len } else { 0 }, "read of {len}, {left} before the cut");
                    assert!(buf[..done].iter().all(|&byte| byte == 7) && buf[len] == 0);
                    // SAFETY: as above; the bytes are the same ones.
                    let done = unsafe { both_ends(mapping.base().add(CUT - left), [7; 256].as_ptr(), len) };
                    assert_eq!(done, if left == len { len } else { 0 }, "write of {len}, {left} before the cut");
                }
            }
        }
    }

    #[test]
    fn every_vector_width_copies_every_length_at_every_alignment() {
        for (name, block, copy_blocks) in every_width() {
            let source: Vec<u8> = (0..5 * block + 64).map(|i| (i % 251) as u8).collect();
            for (from, to) in [(0, 0), (1, 0), (0, 1), (3, 60)] {
                for len in block..4 * block {
                    let mut target = vec![0; source.len()];
                    // SAFETY: both buffers have `len` bytes behind these offsets.
                    let done = unsafe { copy_blocks(target.as_mut_ptr().add(to), source.as_ptr().add(from), len) };
                    assert_eq!(done, len, "{name}");
                    assert_eq!(target[to..to + len], source[from..from + len], "{name}");
                    assert!(target[to + len..].iter().all(|&byte| byte == 0), "{name}");
                }
            }
        }
    }
}
