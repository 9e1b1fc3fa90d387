//! x86-64.

#[cfg(test)]
mod tests;

pub(crate) use libc::user_regs_struct as Registers;

pub(crate) const IS_SUPPORTED: bool = true;
/// `int3`: AMD64 Architecture Programmer's Manual, volume 3.
pub(crate) const BREAKPOINT: [u8; 1] = [0xcc];
pub(crate) const PASSED_BYTES: u64 = 1;

pub(crate) fn program_counter(registers: &Registers) -> u64 {
    registers.rip
}

pub(crate) fn set_program_counter(registers: &mut Registers, addr: u64) {
    registers.rip = addr;
}
