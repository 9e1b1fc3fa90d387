//! The registers of QEMU's educational device: docs/specs/edu.rst of QEMU, and hw/misc/edu.c.

use crate::registers;

registers! {
    /// QEMU's educational device: factorials, interrupts and DMA.
    pub block Registers "edu", 0xa0 bytes {
        /// What it is.
        id: Id "ID" @ 0x00: u32 { read pure, write none } fields {
            /// Always 0xed.
            signature with_signature "SIGNATURE" [0; 8] = { 0xed SIGNATURE_EDU "edu" },
            /// Of its version.
            minor with_minor "MINOR" [16; 8],
            /// Of its version.
            major with_major "MAJOR" [24; 8],
        }
        /// Answers the opposite of what was written.
        liveness: Liveness "LIVE" @ 0x04: u32 { read pure, write plain }
        /// A number, and later its factorial.
        factorial: Factorial "FACT" @ 0x08: u32 { read pure, write plain }
        /// What it does, and whether it says so.
        status: Status "STATUS" @ 0x20: u32 { read pure, write plain } fields {
            /// It computes a factorial.
            computing with_computing "COMPUTING" [0],
            /// A factorial that is ready interrupts.
            interrupt with_interrupt "IRQFACT" [7],
        }
        /// Why it interrupts; zero: it does not.
        interrupt_status: InterruptStatus "IRQSTATUS" @ 0x24: u32 { read pure, write none } fields {
            /// A factorial is ready.
            factorial with_factorial "FACT" [0],
            /// A transfer is done.
            dma with_dma "DMA" [8],
        }
        /// Interrupts for the reasons that are ones.
        raise: Raise "IRQRAISE" @ 0x60: u32 { read none, write ones_set }
        /// Takes back the reasons that are ones.
        acknowledge: Acknowledge "IRQACK" @ 0x64: u32 { read none, write ones_clear }
        /// Where the transfer reads: an address in memory, or of its buffer.
        dma_source: DmaSource "DMASRC" @ 0x80: u64 { read pure, write plain }
        /// Where the transfer writes.
        dma_destination: DmaDestination "DMADST" @ 0x88: u64 { read pure, write plain }
        /// Bytes to transfer.
        dma_count: DmaCount "DMACNT" @ 0x90: u64 { read pure, write plain }
        /// Starts a transfer.
        dma_command: DmaCommand "DMACMD" @ 0x98: u32 { read pure, write plain } fields {
            /// Starts it; one until it is done.
            run with_run "RUN" [0],
            /// Which way.
            direction with_direction "DIR" [1] = { 0 TO_DEVICE "memory to device", 1 TO_MEMORY "device to memory" },
            /// The end interrupts.
            interrupt with_interrupt "IRQ" [2],
        }
    }
}
