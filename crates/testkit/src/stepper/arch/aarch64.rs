//! aarch64.

pub(crate) use libc::user_regs_struct as Registers;

pub(crate) const IS_SUPPORTED: bool = true;
/// `brk #0`: Arm Architecture Reference Manual, C6.2.
pub(crate) const BREAKPOINT: [u8; 4] = 0xd420_0000_u32.to_le_bytes();
pub(crate) const PASSED_BYTES: u64 = 0;

pub(crate) fn program_counter(registers: &Registers) -> u64 {
    registers.pc
}

pub(crate) fn set_program_counter(registers: &mut Registers, addr: u64) {
    registers.pc = addr;
}
