//! The instructions of aarch64, as far as they matter here (Arm Architecture Reference Manual, C4.1 "A64 instruction
//! set encoding"). Each has four bytes.

use super::Step;

/// The stack pointer, where a register is a base.
const STACK: u32 = 31;
const DMB_OSHLD: u32 = 0xd503_31bf;
const DMB_OSHST: u32 = 0xd503_32bf;
const RET: u32 = 0xd65f_03c0;

/// What the instructions do up to the return. The function's first argument points to what it may look at; whatever
/// else is accessed, but for the stack, is the device.
pub(crate) fn follow(code: &[u8]) -> Option<Vec<Step>> {
    let words: Vec<_> = code.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four"))).collect();
    let mut steps = Vec::new();
    let mut place = 0;
    while let Some(&word) = words.get(place) {
        place += 1;
        match word {
            RET => return Some(steps),
            DMB_OSHLD => steps.push(Step::LoadBarrier),
            DMB_OSHST => steps.push(Step::StoreBarrier),
            _ if is_branch_on_condition(word) => steps.push(Step::Branch),
            // B: a distance of 26 bits, in instructions.
            _ if word >> 26 == 0b00_0101 => {
                let distance = i64::from((word << 6).cast_signed() >> 6);
                let target = i64::try_from(place).expect("small") - 1 + distance;
                let Some(target) = usize::try_from(target).ok().filter(|target| *target < words.len()) else { break };
                place = target;
            }
            // BL, and branches to registers.
            _ if word >> 26 == 0b10_0101 || word >> 25 == 0b110_1011 => steps.push(Step::Call),
            _ => steps.extend(accessed(word)),
        }
        assert!(steps.len() < 64, "it does not end: {steps:?}");
    }
    steps.push(Step::Call);
    Some(steps)
}

/// B.cond, CBZ, CBNZ, TBZ, TBNZ.
fn is_branch_on_condition(word: u32) -> bool {
    word >> 24 == 0x54 || matches!((word >> 25) & 0x3f, 0b01_1010 | 0b01_1011)
}

/// The access of the device that an instruction makes: LDR, STR and their like with a base in bits 5 to 9.
fn accessed(word: u32) -> Option<Step> {
    let is_access = (word >> 25) & 0b0101 == 0b0100;
    let base = (word >> 5) & 0x1f;
    if !is_access || base == STACK || base == 0 {
        return None;
    }
    // Of one register: bits 27 to 29 are 111, the size is in bits 30 and 31, and bits 22 and 23 are 0 for a store.
    if (word >> 27) & 0b111 != 0b111 {
        return Some(Step::Call);
    }
    let bytes = 1 << (word >> 30);
    Some(if (word >> 22) & 0b11 == 0 { Step::Store(bytes) } else { Step::Load(bytes) })
}
