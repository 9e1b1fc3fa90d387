//! The instructions of aarch64, as far as they matter here (Arm Architecture Reference Manual, C4.1 "A64 instruction
//! set encoding"). Each has four bytes.

use super::{Most, Path, Size, Step};

/// The view is loaded as on x86-64. The frame, with the caller's in it, takes seven instructions of a read and five of
/// a write.
pub(crate) const MOST: Most = Most {
    read_status: Size { instructions: 16, looks: 3 },
    write_holding: Size { instructions: 13, looks: 3 },
    read_number: Size { instructions: 16, looks: 3 },
    write_number: Size { instructions: 13, looks: 3 },
};

/// The stack pointer, where a register is a base.
const STACK: u32 = 31;
const DMB_OSHLD: u32 = 0xd503_31bf;
const DMB_OSHST: u32 = 0xd503_32bf;
const RET: u32 = 0xd65f_03c0;

/// What the instructions do up to the return. The function's first argument points to what it may look at; whatever
/// else is accessed, but for the stack, is the device.
pub(crate) fn follow(code: &[u8]) -> Option<Path> {
    let words: Vec<_> = code.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four"))).collect();
    let mut path = Path::default();
    let mut place = 0;
    while let Some(&word) = words.get(place) {
        place += 1;
        path.size.instructions += 1;
        match word {
            RET => return Some(path),
            DMB_OSHLD => path.steps.push(Step::LoadBarrier),
            DMB_OSHST => path.steps.push(Step::StoreBarrier),
            _ if is_branch_on_condition(word) => path.steps.push(Step::Branch),
            // B: a distance of 26 bits, in instructions.
            _ if word >> 26 == 0b00_0101 => {
                let distance = i64::from((word << 6).cast_signed() >> 6);
                let target = i64::try_from(place).expect("small") - 1 + distance;
                let Some(target) = usize::try_from(target).ok().filter(|target| *target < words.len()) else { break };
                place = target;
            }
            // BL, and branches to registers.
            _ if word >> 26 == 0b10_0101 || word >> 25 == 0b110_1011 => path.steps.push(Step::Call),
            _ => match accessed(word) {
                Some(Access::Own(words)) => path.size.looks += words,
                Some(Access::Device(step)) => path.steps.push(step),
                None => {}
            },
        }
        assert!(path.size.instructions < 256, "it does not end: {path:?}");
    }
    path.steps.push(Step::Call);
    Some(path)
}

/// B.cond, CBZ, CBNZ, TBZ, TBNZ.
fn is_branch_on_condition(word: u32) -> bool {
    word >> 24 == 0x54 || matches!((word >> 25) & 0x3f, 0b01_1010 | 0b01_1011)
}

/// What an instruction accesses.
enum Access {
    /// So many words of what the argument points to, or a constant, by a load.
    Own(usize),
    /// The device.
    Device(Step),
}

/// The access of memory that an instruction makes, but for that of the function's frame: LDR, STR and their like with a
/// base in bits 5 to 9.
fn accessed(word: u32) -> Option<Access> {
    if (word >> 25) & 0b0101 != 0b0100 {
        return None;
    }
    // Bits 27 to 29 are 011 for a load of a constant behind or before the instruction, 101 for pairs, of which a load
    // has bit 22, and 111 for one register, of which a store has zeros in bits 22 and 23.
    let (group, base) = ((word >> 27) & 0b111, (word >> 5) & 0x1f);
    let is_store = match group {
        0b101 => word & 1 << 22 == 0,
        _ => (word >> 22) & 0b11 == 0,
    };
    match (group, base) {
        (0b011, _) if word & 1 << 24 == 0 => Some(Access::Own(1)),
        (0b101 | 0b111, STACK) => None,
        (0b101, 0) if !is_store => Some(Access::Own(2)),
        (0b111, 0) if !is_store => Some(Access::Own(1)),
        (0b111, _) if is_store => Some(Access::Device(Step::Store(1 << (word >> 30)))),
        (0b111, _) => Some(Access::Device(Step::Load(1 << (word >> 30)))),
        // Nothing else is an access of a device: a pair would be two at once.
        _ => Some(Access::Device(Step::Call)),
    }
}
