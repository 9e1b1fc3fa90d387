//! The instructions of x86-64.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::{Most, Path, Size, Step};

/// The view is loaded through the argument: what it is of, its address, and its length, which is for the message of a
/// fault.
pub(crate) const MOST: Most = Most {
    read_status: Size { instructions: 13, looks: 3 },
    write_holding: Size { instructions: 11, looks: 3 },
    read_number: Size { instructions: 14, looks: 3 },
    write_number: Size { instructions: 11, looks: 3 },
};

/// What the instructions do up to the return. The function's first argument points to what it may look at; whatever
/// else is accessed, but for the stack, is the device.
pub(crate) fn follow(code: &[u8]) -> Option<Path> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut path = Path::default();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        path.size.instructions += 1;
        match instruction.flow_control() {
            FlowControl::Return => return Some(path),
            FlowControl::Next => match accessed(&instruction) {
                Some(Access::Own) => path.size.looks += 1,
                Some(Access::Device(step)) => path.steps.push(step),
                None => {}
            },
            FlowControl::ConditionalBranch => path.steps.push(Step::Branch),
            FlowControl::UnconditionalBranch => {
                let target = instruction.near_branch_target();
                let place = usize::try_from(target).ok().filter(|place| *place < code.len());
                // Elsewhere is another function.
                let Some(place) = place else { break };
                decoder.set_position(place).expect("it is inside");
                decoder.set_ip(target);
            }
            _ => path.steps.push(Step::Call),
        }
        assert!(path.size.instructions < 256, "it does not end: {path:?}");
    }
    path.steps.push(Step::Call);
    Some(path)
}

/// What an instruction accesses.
enum Access {
    /// What the argument points to, or a constant, by a load.
    Own,
    /// The device.
    Device(Step),
}

/// The access of memory that an instruction makes, but for that of the function's frame.
fn accessed(instruction: &Instruction) -> Option<Access> {
    let is_access = (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
    let base = instruction.memory_base();
    if !is_access || base == Register::RSP || matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop) {
        return None;
    }
    let is_compared = matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
    let is_store = instruction.op_kind(0) == OpKind::Memory && !is_compared;
    if !is_store && matches!(base, Register::RDI | Register::RIP) {
        return Some(Access::Own);
    }
    let bytes = u32::try_from(instruction.memory_size().size()).expect("a few");
    Some(Access::Device(if is_store { Step::Store(bytes) } else { Step::Load(bytes) }))
}
