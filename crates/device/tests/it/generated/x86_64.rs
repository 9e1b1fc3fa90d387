//! The instructions of x86-64.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::Step;

/// What the instructions do up to the return. The function's first argument points to what it may look at; whatever
/// else is accessed, but for the stack, is the device.
pub(crate) fn follow(code: &[u8]) -> Option<Vec<Step>> {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut steps = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        match instruction.flow_control() {
            FlowControl::Return => return Some(steps),
            FlowControl::Next => steps.extend(accessed(&instruction)),
            FlowControl::ConditionalBranch => steps.push(Step::Branch),
            FlowControl::UnconditionalBranch => {
                let target = instruction.near_branch_target();
                let place = usize::try_from(target).ok().filter(|place| *place < code.len());
                // Elsewhere is another function.
                let Some(place) = place else { break };
                decoder.set_position(place).expect("it is inside");
                decoder.set_ip(target);
            }
            _ => steps.push(Step::Call),
        }
        assert!(steps.len() < 64, "it does not end: {steps:?}");
    }
    steps.push(Step::Call);
    Some(steps)
}

/// The access of the device that an instruction makes.
fn accessed(instruction: &Instruction) -> Option<Step> {
    let is_access = (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
    let own = [Register::RSP, Register::RDI, Register::RIP];
    if !is_access || own.contains(&instruction.memory_base()) || matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop) {
        return None;
    }
    let bytes = u32::try_from(instruction.memory_size().size()).expect("a few");
    Some(if instruction.op_kind(0) == OpKind::Memory { Step::Store(bytes) } else { Step::Load(bytes) })
}
