//! The beginning of a PCI function's configuration space, for functions that are not bridges.
//!
//! PCI Local Bus Specification 3.0, 6.1 "Configuration Space Organization" and 6.2.

use crate::registers;

registers! {
    /// The header of a PCI function's configuration space.
    pub block Header "pci", 0x40 bytes {
        /// Who made it.
        vendor: Vendor "VENDOR" @ 0x00: u16 { read pure, write none }
        /// Which of the vendor's devices it is.
        device: Device "DEVICE" @ 0x02: u16 { read pure, write none }
        /// What it may do.
        command: Command "COMMAND" @ 0x04: u16 { read pure, write plain } fields {
            /// Whether it answers to ports.
            io with_io "IO" [0],
            /// Whether it answers to memory addresses.
            memory with_memory "MEMORY" [1],
            /// Whether it may access memory and other devices by itself.
            bus_master with_bus_master "BUS_MASTER" [2],
            /// Whether it sees special cycles.
            special_cycles with_special_cycles "SPECIAL_CYCLES" [3],
            /// Whether it may write and invalidate lines of the cache.
            invalidate with_invalidate "INVALIDATE" [4],
            /// Whether it listens to writes to the VGA's palette.
            palette_snoop with_palette_snoop "PALETTE_SNOOP" [5],
            /// Whether it acts on parity errors.
            parity with_parity "PARITY" [6],
            /// Whether it may report system errors.
            system_error with_system_error "SYSTEM_ERROR" [8],
            /// Whether it may send a transaction right behind another.
            fast with_fast "FAST" [9],
            /// Whether its interrupt line is kept down.
            interrupt_disable with_interrupt_disable "INTERRUPT_DISABLE" [10],
        }
        /// What has happened; written ones forget it.
        status: Status "STATUS" @ 0x06: u16 { read pure, write ones_clear } fields {
            /// Whether it would interrupt.
            interrupt with_interrupt "INTERRUPT" [3],
            /// Whether it has a list of capabilities.
            capabilities with_capabilities "CAPABILITIES" [4],
            /// Whether it can run at 66 MHz.
            fast_clock with_fast_clock "66_MHZ" [5],
            /// Whether it takes transactions right behind another.
            fast_back with_fast_back "FAST_BACK" [7],
            /// A parity error of data that it has mastered.
            master_parity with_master_parity "MASTER_PARITY" [8],
            /// How fast it answers when it is selected.
            timing with_timing "TIMING" [9; 2] = { 0 "fast", 1 "medium", 2 "slow" },
            /// It has aborted as a target.
            signaled_target_abort with_signaled_target_abort "SIGNALED_TARGET_ABORT" [11],
            /// A target has aborted its transaction.
            received_target_abort with_received_target_abort "RECEIVED_TARGET_ABORT" [12],
            /// Nobody has answered its transaction.
            received_master_abort with_received_master_abort "RECEIVED_MASTER_ABORT" [13],
            /// It has reported a system error.
            signaled_system_error with_signaled_system_error "SIGNALED_SYSTEM_ERROR" [14],
            /// It has seen a parity error.
            parity_error with_parity_error "PARITY_ERROR" [15],
        }
        /// Which revision of the device it is.
        revision: Revision "REVISION" @ 0x08: u8 { read pure, write none }
        /// Which programming interface of the class it has.
        interface: Interface "INTERFACE" @ 0x09: u8 { read pure, write none }
        /// Which kind of device within the class.
        subclass: Subclass "SUBCLASS" @ 0x0a: u8 { read pure, write none }
        /// Which kind of device.
        class: Class "CLASS" @ 0x0b: u8 { read pure, write none }
        /// The length of a line of the cache, in units of four bytes.
        cache_line: CacheLine "CACHE_LINE" @ 0x0c: u8 { read pure, write plain }
        /// How many clocks it may keep the bus.
        latency: Latency "LATENCY" @ 0x0d: u8 { read pure, write plain }
        /// What the rest of the header is.
        layout: Layout "LAYOUT" @ 0x0e: u8 { read pure, write none } fields {
            /// Whose header it is.
            kind with_kind "KIND" [0; 7] = { 0 "device", 1 "bridge", 2 "CardBus bridge" },
            /// Whether the device has other functions.
            multifunction with_multifunction "MULTIFUNCTION" [7],
        }
        /// The self-test.
        self_test: SelfTest "BIST" @ 0x0f: u8 { read pure, write plain } fields {
            /// How it has ended; 0: well.
            result with_result "RESULT" [0; 4],
            /// Starts it; 0 when it has ended.
            start with_start "START" [6],
            /// Whether there is one.
            capable with_capable "CAPABLE" [7],
        }
        /// Where its registers are.
        base_address: BaseAddress "BAR" @ 0x10 [6; 4]: u32 { read pure, write plain } fields {
            /// Whether at ports, or at memory addresses.
            space with_space "SPACE" [0] = { 0 "memory", 1 "ports" },
        }
        /// Of CardBus cards.
        cardbus: Cardbus "CARDBUS_CIS" @ 0x28: u32 { read pure, write none }
        /// Who made the card that it is on.
        subsystem_vendor: SubsystemVendor "SUBSYSTEM_VENDOR" @ 0x2c: u16 { read pure, write none }
        /// Which of that vendor's cards it is.
        subsystem: Subsystem "SUBSYSTEM" @ 0x2e: u16 { read pure, write none }
        /// Where its read-only memory is.
        rom: Rom "ROM" @ 0x30: u32 { read pure, write plain } fields {
            /// Whether it answers there.
            enable with_enable "ENABLE" [0],
        }
        /// The offset of the first capability.
        capabilities_pointer: CapabilitiesPointer "CAPABILITIES_POINTER" @ 0x34: u8 { read pure, write none }
        /// Which interrupt the firmware has given it.
        interrupt_line: InterruptLine "INTERRUPT_LINE" @ 0x3c: u8 { read pure, write plain }
        /// Which of its lines interrupts.
        interrupt_pin: InterruptPin "INTERRUPT_PIN" @ 0x3d: u8 { read pure, write none } fields {
            /// The line.
            pin with_pin "PIN" [0; 3] = { 0 "none", 1 "INTA", 2 "INTB", 3 "INTC", 4 "INTD" },
        }
        /// How long a burst it wants, in units of 250 ns.
        min_grant: MinGrant "MIN_GRANT" @ 0x3e: u8 { read pure, write none }
        /// How often it wants the bus, in units of 250 ns.
        max_latency: MaxLatency "MAX_LATENCY" @ 0x3f: u8 { read pure, write none }
    }
}
