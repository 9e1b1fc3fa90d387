//! The devices that are simulated: a model for each block.

use mapio_device::RegisterIo;
use mapio_device::model::{Memory, Simulated};
use mapio_device::register::Block;

/// A model of the block's device, as it is after a reset; memory for those that have none.
pub(super) fn open(block: &Block) -> Box<dyn RegisterIo> {
    Box::new(Simulated::new(Memory::new(vec![0; block.len])))
}
