//! The devices that are simulated: a model for each block.

use std::time::Duration;

use mapio_device::RegisterIo;
use mapio_device::model::edu::{self, Edu};
use mapio_device::model::parallel::Printer;
use mapio_device::model::serial::Timing;
use mapio_device::model::{Memory, Ns16550, Pl011, Simulated};
use mapio_device::register::Block;

/// Bytes that the model of QEMU's educational device takes for the machine's memory.
const DMA_BYTES: usize = 1 << 20;
/// How long a printer is busy with a byte.
const PRINTED_IN: Duration = Duration::from_micros(50);
/// How long the educational device takes for its work.
const COMPUTED_IN: edu::Times = edu::Times { factorial: Duration::from_millis(1), dma: Duration::from_millis(1) };

/// A model of the block's device, as it is after a reset; memory for those that have none.
pub(super) fn open(block: &Block) -> Box<dyn RegisterIo> {
    match block.name {
        "16550" => Box::new(Simulated::new(Ns16550::new(Timing::Instant))),
        "pl011" => Box::new(Simulated::new(Pl011::new(Timing::Instant))),
        "parallel" => Box::new(Simulated::new(Printer::new(PRINTED_IN))),
        "edu" => Box::new(Simulated::new(Edu::new(edu::Memory::new(DMA_BYTES), COMPUTED_IN))),
        _ => Box::new(Simulated::new(Memory::new(vec![0; block.len]))),
    }
}
