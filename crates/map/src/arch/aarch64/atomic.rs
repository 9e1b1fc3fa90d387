//! Guarded atomic accesses of aarch64: single instructions for loads and stores, exclusive pairs for the others.
//!
//! | access | `Relaxed` | `Acquire` | `Release` | `AcqRel`, `SeqCst` |
//! |---|---|---|---|---|
//! | load | `ldr` | `ldar` | - | `ldar` |
//! | store | `str` | - | `stlr` | `stlr` |
//! | swap, exchange, add | `ldxr`, `stxr` | `ldaxr`, `stxr` | `ldxr`, `stlxr` | `ldaxr`, `stlxr` |
//!
//! That is how compilers translate the atomics of Rust, C and C++ for the first version of the architecture (`ldapr`
//! and the single instructions of LSE came later), so both may be used on one word.
//!
//! **Whole.** Aligned loads and stores of a general register are single-copy atomic (Arm ARM, B2.2). An exclusive store
//! succeeds only if nobody has written the word since the exclusive load (B2, Synchronization and semaphores), so a
//! pair is one access; a fault of either half means that nothing was stored.
//!
//! **Ordered by the processor** (Arm ARM, B2.3): nothing behind a load-acquire is observed before it, nothing before a
//! store-release is observed after it, and a store-release and a load-acquire behind it are observed in that order,
//! which is what `SeqCst` needs. An exchange whose comparison fails is a load, and `ldaxr` is as good a one as `ldar`;
//! so the ordering for failure counts too when the load is picked.
//!
//! **Ordered by the compiler.** As on x86-64: no access to ordinary memory moves across a block that has neither
//! `nomem` nor `readonly`, and only the relaxed load has the latter.
//!
//! Between the two halves of a pair is no access to memory and no more than a few instructions, as forward progress
//! needs (B2, as above). Every way out but a store that succeeds goes by label 4 and gives up the reservation
//! (`clrex`): a fault of either half, and a comparison that fails.
#![expect(unsafe_code, reason = "inline assembly on foreign memory")]
#![expect(clippy::as_conversions, reason = "registers carry integers of every width")]

use core::arch::asm;
use std::sync::atomic::Ordering;

use crate::arch::FaultWord;
use crate::arch::atomic::{Atomic, answer};

/// The load instruction, with the options given; `$acquire` is `"a"` or nothing.
macro_rules! atomic_load {
    ($int:ty, $ending:literal, $half:literal, $acquire:literal, $address:ident, $($option:ident),+) => {{
        let value: u64;
        let word: usize;
        // SAFETY: the instruction only loads, from a range that belongs to no Rust object (duty 1), and changes nothing
        // but its two outputs. If it faults, the record sends it to label 3 with `word` set (duty 3).
        unsafe {
            asm!(
                concat!("2: ld", $acquire, "r", $ending, " {value:", $half, "}, [{address}]"),
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

/// The store instruction; `$release` is `"l"` or nothing.
macro_rules! atomic_store {
    ($ending:literal, $half:literal, $release:literal, $address:ident, $value:ident) => {{
        let word: usize;
        // SAFETY: the instruction only stores, into a range that belongs to no Rust object (duty 1). If it faults,
        // nothing was stored, and the record sends it to label 3 with `word` set (duty 3).
        unsafe {
            asm!(
                concat!("2: st", $release, "r", $ending, " {value:", $half, "}, [{address}]"),
                "3:",
                guarded!("2" => "3b", "{word}"),
                address = in(reg) $address,
                value = in(reg) u64::from($value),
                word = inout(reg) 0usize => word,
                options(nostack, preserves_flags),
            );
        }
        answer((), word)
    }};
}

/// An exclusive pair that stores `{new}`, which `$change` has made of `{before}` and `{value}`.
macro_rules! atomic_change {
    (
        $int:ty, $ending:literal, $half:literal, $acquire:literal $release:literal,
        $change:expr, $address:ident, $value:ident
    ) => {{
        let before: u64;
        let word: usize;
        // SAFETY: both instructions access a range that belongs to no Rust object (duty 1). All registers that change
        // are outputs, and no two of them and of the inputs are the same, as the exclusive store demands. If either
        // faults, nothing was stored, and its record sends it to label 4 with `word` set (duty 3).
        unsafe {
            asm!(
                concat!("2: ld", $acquire, "xr", $ending, " {before:", $half, "}, [{address}]"),
                $change,
                concat!("3: st", $release, "xr", $ending, " {status:w}, {new:", $half, "}, [{address}]"),
                "cbz {status:w}, 5f",
                "b 2b",
                "4: clrex",
                "5:",
                guarded!("2" => "4b", "{word}"),
                guarded!("3" => "4b", "{word}"),
                address = in(reg) $address,
                value = in(reg) u64::from($value),
                before = out(reg) before,
                new = out(reg) _,
                status = out(reg) _,
                word = inout(reg) 0usize => word,
                options(nostack, preserves_flags),
            );
        }
        answer(before as $int, word)
    }};
}

/// An exclusive pair that stores `{new}` if the value is `{current}`.
macro_rules! atomic_compare_exchange {
    (
        $int:ty, $ending:literal, $half:literal, $acquire:literal $release:literal,
        $address:ident, $current:ident, $new:ident
    ) => {{
        let before: u64;
        let word: usize;
        // SAFETY: as in `atomic_change`. The exclusive load clears the upper bits of a narrow value, as `u64::from`
        // does, so that only the value is compared. The flags change, and are not preserved.
        unsafe {
            asm!(
                concat!("2: ld", $acquire, "xr", $ending, " {before:", $half, "}, [{address}]"),
                "cmp {before}, {current}",
                "b.ne 4f",
                concat!("3: st", $release, "xr", $ending, " {status:w}, {new:", $half, "}, [{address}]"),
                "cbz {status:w}, 5f",
                "b 2b",
                "4: clrex",
                "5:",
                guarded!("2" => "4b", "{word}"),
                guarded!("3" => "4b", "{word}"),
                address = in(reg) $address,
                current = in(reg) u64::from($current),
                new = in(reg) u64::from($new),
                before = out(reg) before,
                status = out(reg) _,
                word = inout(reg) 0usize => word,
                options(nostack),
            );
        }
        answer(before as $int, word)
    }};
}

/// Hands the halves of an exclusive pair, by what the ordering asks of its load and of its store, to a macro above.
macro_rules! ordered {
    ($acquire:expr, $release:expr, $pair:ident!($int:ty, $ending:literal, $half:literal, $($operand:tt),+)) => {
        match ($acquire, $release) {
            (false, false) => $pair!($int, $ending, $half, "" "", $($operand),+),
            (true, false) => $pair!($int, $ending, $half, "a" "", $($operand),+),
            (false, true) => $pair!($int, $ending, $half, "" "l", $($operand),+),
            (true, true) => $pair!($int, $ending, $half, "a" "l", $($operand),+),
        }
    };
}

/// The accesses of one width: the ending of its instructions, and which form of a register they take.
macro_rules! atomic {
    ($int:ty, $ending:literal, $half:literal) => {
        impl Atomic for $int {
            #[inline(always)]
            unsafe fn load(address: *const u8, order: Ordering) -> Result<Self, FaultWord> {
                match order {
                    Ordering::Relaxed => {
                        atomic_load!($int, $ending, $half, "", address, nostack, readonly, preserves_flags)
                    }
                    _ => atomic_load!($int, $ending, $half, "a", address, nostack, preserves_flags),
                }
            }

            #[inline(always)]
            unsafe fn store(address: *mut u8, value: Self, order: Ordering) -> Result<(), FaultWord> {
                match order {
                    Ordering::Relaxed => atomic_store!($ending, $half, "", address, value),
                    _ => atomic_store!($ending, $half, "l", address, value),
                }
            }

            #[inline(always)]
            unsafe fn swap(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                ordered!(
                    acquires(order),
                    releases(order),
                    atomic_change!($int, $ending, $half, "mov {new}, {value}", address, value)
                )
            }

            #[inline(always)]
            unsafe fn compare_exchange(
                address: *mut u8,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, FaultWord> {
                ordered!(
                    acquires(success) || acquires(failure),
                    releases(success),
                    atomic_compare_exchange!($int, $ending, $half, address, current, new)
                )
            }

            #[inline(always)]
            unsafe fn fetch_add(address: *mut u8, value: Self, order: Ordering) -> Result<Self, FaultWord> {
                ordered!(
                    acquires(order),
                    releases(order),
                    atomic_change!($int, $ending, $half, "add {new}, {before}, {value}", address, value)
                )
            }
        }
    };
}

atomic!(u8, "b", "w");
atomic!(u16, "h", "w");
atomic!(u32, "", "w");
atomic!(u64, "", "x");

/// Whether an ordering asks for a load that acquires.
#[inline(always)]
fn acquires(order: Ordering) -> bool {
    !matches!(order, Ordering::Relaxed | Ordering::Release)
}

/// Whether an ordering asks for a store that releases.
#[inline(always)]
fn releases(order: Ordering) -> bool {
    !matches!(order, Ordering::Relaxed | Ordering::Acquire)
}
