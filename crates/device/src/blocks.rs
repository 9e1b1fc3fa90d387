//! Every block of registers that is built in, to be found by its name.

use crate::register::Block;

/// All of them.
#[rustfmt::skip]
pub const BLOCKS: &[Block] = &[
    crate::edu::registers::Registers::BLOCK,
    crate::parallel::registers::Port::BLOCK,
    crate::pci::header::Header::BLOCK,
    crate::screen::bochs::Registers::BLOCK,
    crate::screen::cursor::Controller::BLOCK,
    crate::serial::ns16550::Registers::BLOCK,
    crate::serial::pl011::Registers::BLOCK,
];

/// A block by its name, whatever the case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Block> {
    BLOCKS.iter().find(|block| block.name.eq_ignore_ascii_case(name))
}
