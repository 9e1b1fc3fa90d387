//! Instructions of this processor alone.
#![expect(unsafe_code, reason = "an instruction with a prefix, for a test")]

use std::arch::asm;
use std::fs::{self, File};

use crate::stepper::tests::{BYTES, cells, path_of, zeros};
use crate::stepper::{Cut, Stepper};

#[test]
fn a_repeated_instruction_is_cut_between_repetitions() {
    const TEST: &str = "stepper::arch::x86_64::tests::a_repeated_instruction_is_cut_between_repetitions";
    let mut stepper = Stepper::start(TEST, |case, region| {
        let start = cells(&File::options().read(true).write(true).open(case).expect("a file")).as_ptr();
        region.run(|| {
            // SAFETY: it stores BYTES bytes from the start of a mapping that has them; the direction flag is clear, as
            // it is in all of Rust, and both registers that change are outputs.
            unsafe {
                asm!("rep stosb", inout("rdi") start => _, inout("rcx") BYTES => _, in("al") 1_u8,
                    options(nostack, preserves_flags));
            }
        });
    });
    let file = zeros();
    let Some(count) = stepper.count_or_skip(TEST, &path_of(&file)) else { return };
    let seen: Vec<usize> = (0..=count)
        .map(|instructions| {
            let file = zeros();
            assert_eq!(stepper.kill_after(&path_of(&file), instructions).expect("traced"), Cut::Killed);
            let bytes = fs::read(file.path()).expect("a file");
            let stored = bytes.iter().take_while(|&&byte| byte == 1).count();
            assert!(bytes[stored..].iter().all(|&byte| byte == 0), "{bytes:?}");
            stored
        })
        .collect();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&BYTES)), "{seen:?}");
    assert!(seen.iter().any(|stored| (1..BYTES).contains(stored)), "{seen:?}");
}
