//! Guarded atomic accesses of x86-64: one instruction each.
//!
//! | access | `Relaxed` | `Acquire`, `Release`, `AcqRel` | `SeqCst` |
//! |---|---|---|---|
//! | load | `mov` | `mov` | `mov` |
//! | store | `mov` | `mov` | `xchg` |
//! | swap, exchange, add | `xchg`, `lock cmpxchg`, `lock xadd` | the same | the same |
//!
//! That is how compilers translate the atomics of Rust, C and C++ for this processor, so both may be used on one word.
//!
//! **Whole.** Aligned accesses of up to 8 bytes are atomic, and locked ones are so from their load to their store
//! (Intel SDM vol. 3A, Locked Atomic Operations: 9.1, in older editions 8.1; AMD APM vol. 2, 7.3). An instruction that
//! faults has changed neither memory nor registers (SDM vol. 3A, Exception Classifications: it can be started again).
//!
//! **Ordered by the processor** (SDM vol. 3A, Memory Ordering: 9.2.2, in older editions 8.2.2; APM vol. 2, 7.2):
//! - Loads are not reordered with loads, nor stores with older loads: nothing behind a load overtakes it, so every
//!   load acquires. Stores are not reordered with stores, nor with older loads: every store releases.
//! - A load may overtake an older store to another place, which `SeqCst` forbids between accesses of that order. So the
//!   store is made by a locked instruction (`xchg` is one without the prefix), and the load need not be.
//! - Nothing is reordered with a locked instruction, and all processors see those in one order: they are right for
//!   every ordering, and there is no weaker instruction.
//!
//! **Ordered by the compiler.** A block without `nomem` and `readonly` may read and write all memory that the block
//! could know of, so no access to such memory moves across it, in either direction: enough for every ordering.
//! `readonly` would let loads of ordinary memory move across, from behind an acquire load to before it; only the
//! relaxed load, which orders nothing but itself, has it. It keeps its place among the other blocks and fences even so,
//! as it is not `pure`.
#![expect(unsafe_code, reason = "inline assembly on foreign memory")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]

use core::arch::asm;
use std::sync::atomic::Ordering;

use crate::arch::FaultWord;
use crate::arch::atomic::{Atomic, answer};

/// One `mov` from memory, with the options given.
macro_rules! atomic_load {
    ($int:ty, $instruction:literal, $address:ident, $($option:ident),+) => {{
        let value: u64;
        let word: usize;
        // SAFETY: the instruction only loads, from a range that belongs to no Rust object (duty 1), and changes nothing
        // but its two outputs. If it faults, the record sends it to label 3 with `word` set (duty 3).
        unsafe {
            asm!(
                concat!("2: ", $instruction),
                "3:",
                guarded!("2" => "3b", "{word}"),
                address = in(reg) $address,
                value = lateout(reg) value,
                word = inout(reg) 0usize => word,
                options($($option),+),
            );
        }
        answer(value as $int, word)
    }};
}

/// One instruction that exchanges `{value}` with memory or adds it there, and leaves in it what was there before.
macro_rules! atomic_exchange {
    ($int:ty, $class:ident, $instruction:expr, $address:ident, $value:ident, $($option:ident),+) => {{
        let before: $int;
        let word: usize;
        // SAFETY: the instruction accesses a range that belongs to no Rust object (duty 1), and changes nothing else
        // but its outputs, and the flags unless it preserves them. If it faults, nothing was stored, and the record
        // sends it to label 3 with `word` set (duty 3).
        unsafe {
            asm!(
                concat!("2: ", $instruction),
                "3:",
                guarded!("2" => "3b", "{word}"),
                address = in(reg) $address,
                value = inout($class) $value => before,
                word = inout(reg) 0usize => word,
                options($($option),+),
            );
        }
        answer(before, word)
    }};
}

/// The accesses of one width: its register class, how the value is written in an instruction, what memory is called,
/// the accumulator, and the instruction that loads.
macro_rules! atomic {
    ($int:ty, $class:ident, $value:literal, $memory:literal, $accumulator:tt, $load:literal) => {
        impl Atomic for $int {
            #[inline(always)]
            unsafe fn load(address: *const u8, order: Ordering) -> Result<Self, FaultWord> {
                match order {
                    Ordering::Relaxed => atomic_load!($int, $load, address, nostack, readonly, preserves_flags),
                    _ => atomic_load!($int, $load, address, nostack, preserves_flags),
                }
            }

            #[inline(always)]
            unsafe fn store(address: *mut u8, value: Self, order: Ordering) -> Result<(), FaultWord> {
                if !matches!(order, Ordering::Relaxed | Ordering::Release) {
                    // SAFETY: the same duties. What was there before is of no interest.
                    return unsafe { Self::swap(address, value, order) }.map(drop);
                }
                let word: usize;
                // SAFETY: the instruction only stores, into a range that belongs to no Rust object (duty 1). If it
                // faults, nothing was stored, and the record sends it to label 3 with `word` set (duty 3).
                unsafe {
                    asm!(
                        concat!("2: mov ", $memory, " [{address}], ", $value),
                        "3:",
                        guarded!("2" => "3b", "{word}"),
                        address = in(reg) address,
                        value = in($class) value,
                        word = inout(reg) 0usize => word,
                        options(nostack, preserves_flags),
                    );
                }
                answer((), word)
            }

            #[inline(always)]
            unsafe fn swap(address: *mut u8, value: Self, _: Ordering) -> Result<Self, FaultWord> {
                atomic_exchange!(
                    $int,
                    $class,
                    concat!("xchg ", $memory, " [{address}], ", $value),
                    address,
                    value,
                    nostack,
                    preserves_flags
                )
            }

            #[inline(always)]
            unsafe fn compare_exchange(
                address: *mut u8,
                current: Self,
                new: Self,
                _: Ordering,
                _: Ordering,
            ) -> Result<Self, FaultWord> {
                let found: $int;
                let word: usize;
                // SAFETY: as in `atomic_exchange`. The accumulator gets the value that was found; if it is equal, it
                // stays as it is (Intel SDM vol. 2A, CMPXCHG).
                unsafe {
                    asm!(
                        concat!("2: lock cmpxchg ", $memory, " [{address}], ", $value),
                        "3:",
                        guarded!("2" => "3b", "{word}"),
                        address = in(reg) address,
                        value = in($class) new,
                        inout($accumulator) current => found,
                        word = inout(reg) 0usize => word,
                        options(nostack),
                    );
                }
                answer(found, word)
            }

            #[inline(always)]
            unsafe fn fetch_add(address: *mut u8, value: Self, _: Ordering) -> Result<Self, FaultWord> {
                atomic_exchange!(
                    $int,
                    $class,
                    concat!("lock xadd ", $memory, " [{address}], ", $value),
                    address,
                    value,
                    nostack
                )
            }
        }
    };
}

atomic!(u8, reg_byte, "{value}", "byte ptr", "al", "movzx {value:e}, byte ptr [{address}]");
atomic!(u16, reg, "{value:x}", "word ptr", "ax", "movzx {value:e}, word ptr [{address}]");
atomic!(u32, reg, "{value:e}", "dword ptr", "eax", "mov {value:e}, dword ptr [{address}]");
atomic!(u64, reg, "{value}", "qword ptr", "rax", "mov {value}, qword ptr [{address}]");
