//! The machines: what QEMU is to make, and what the guest needs for it.

/// A machine, its devices and its wires.
pub(crate) struct Machine {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it has.
    pub(crate) text: &'static str,
    /// The target of programs for it, linked statically.
    pub(crate) triple: &'static str,
    /// What Debian calls its processor.
    pub(crate) debian: &'static str,
    /// The package that depends on the kernel's.
    pub(crate) kernel_package: &'static str,
    /// The emulator.
    pub(crate) qemu: &'static str,
    /// The package that has it.
    pub(crate) qemu_package: &'static str,
    /// The machine's options; wires are added as character devices of the same names, and `console` and `monitor`.
    pub(crate) options: &'static [&'static str],
    /// What the devices' other ends are called.
    pub(crate) wires: &'static [&'static str],
    /// The kernel's command line.
    pub(crate) command_line: &'static str,
    /// Kernel modules and their parameters; what they depend on is loaded before them.
    pub(crate) modules: &'static [(&'static str, &'static str)],
}

// An option and its value stand in one line.
#[rustfmt::skip]
pub(crate) const MACHINES: [Machine; 2] = [
    Machine {
        name: "x86_64",
        text: "a PC: edu, VGA, 16550 at 0x2f8, parallel port at 0x378, pci-serial",
        triple: "x86_64-unknown-linux-musl",
        debian: "amd64",
        // The one for clouds has neither /dev/port nor a parallel port.
        kernel_package: "linux-image-amd64",
        qemu: "qemu-system-x86_64",
        qemu_package: "qemu-system-x86",
        options: &[
            "-machine", "q35", "-cpu", "max", "-m", "256",
            "-device", "isa-serial,chardev=console,iobase=0x3f8,irq=4",
            "-device", "isa-serial,chardev=com2,iobase=0x2f8,irq=3",
            "-device", "isa-parallel,chardev=lpt1,iobase=0x378,irq=7",
            "-device", "pci-serial,chardev=pci",
            // What it can reach by DMA is all memory.
            "-device", "edu,dma_mask=0xffffffff",
            "-device", "VGA",
        ],
        wires: &["com2", "lpt1", "pci"],
        command_line: "console=ttyS0",
        modules: &[("uio_pci_generic", ""), ("parport_pc", "io=0x378 irq=7"), ("ppdev", "")],
    },
    Machine {
        name: "aarch64",
        text: "an Arm `virt`: edu, VGA, PL011 at 0x9000000, pci-serial",
        triple: "aarch64-unknown-linux-musl",
        debian: "arm64",
        kernel_package: "linux-image-cloud-arm64",
        qemu: "qemu-system-aarch64",
        qemu_package: "qemu-system-arm",
        options: &[
            "-machine", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "256",
            "-serial", "chardev:pl011",
            "-device", "pci-serial,chardev=pci,addr=0x4",
            "-device", "pci-serial,chardev=console,addr=0x8",
            "-device", "edu,dma_mask=0xffffffff,addr=0x5",
            "-device", "VGA,addr=0x6",
        ],
        wires: &["pl011", "pci"],
        command_line: "console=ttyS1",
        modules: &[("uio_pci_generic", "")],
    },
];
