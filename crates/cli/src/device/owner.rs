//! Whether a driver of the kernel's has a serial port: it takes bytes out of the same receiver, and sets the chip up as it
//! likes.

use std::fs;
use std::ops::Range;

use mapio_device::System;
use mapio_device::pci::UIO_DRIVER;

use super::target::{Site, Target};

/// Addresses that a port takes at least, of which the kernel tells the first.
const PORT_BYTES: u64 = 8;
/// Drivers that do nothing with a PCI device, but keep it for programs.
const KEEPERS: [&str; 3] = [UIO_DRIVER, "vfio-pci", "pci-stub"];

/// Refuses a port of which the kernel tells that it drives it. `len` is in bytes.
///
/// What the kernel does not tell, as to those who are not the administrator, is not known.
pub(super) fn refuse_driven(target: &Target, system: &System, len: u64) -> anyhow::Result<()> {
    let name = &target.name;
    let (kind, start) = match target.site(system)? {
        Site::Pci(device) => {
            let driver = device.driver().filter(|driver| !KEEPERS.contains(&&**driver));
            let Some(driver) = driver else { return Ok(()) };
            anyhow::bail!("{name} is driven by the kernel's {driver}: unbind it from there, or --force");
        }
        Site::Ports(start) => ("port:", start),
        Site::Memory(start) => ("mmio:0x", start),
        Site::Elsewhere => return Ok(()),
    };
    let addresses = start..start.saturating_add(len);
    let Some(device) = driven(system, kind, &addresses) else { return Ok(()) };
    // Drivers of other chips change no type by setserial(8).
    let freed = if device.starts_with("/dev/ttyS") {
        format!("free it by setserial {device} uart none")
    } else {
        "unbind it from there".to_owned()
    };
    anyhow::bail!("{name} is the kernel's {device}, whose driver takes its bytes: {freed}, or --force")
}

/// The device file of the kernel's port at these addresses.
fn driven(system: &System, kind: &str, addresses: &Range<u64>) -> Option<String> {
    let drivers = fs::read_to_string(system.path("/proc/tty/drivers")).unwrap_or_default();
    let files = fs::read_dir(system.path("/proc/tty/driver")).into_iter().flatten().filter_map(Result::ok);
    files.into_iter().find_map(|file| {
        // Not all who have a terminal have a chip, and tell of it in lines of text.
        let lines = String::from_utf8_lossy(&fs::read(file.path()).ok()?).into_owned();
        let number = number_at(&lines, kind, addresses)?;
        let driver = file.file_name().to_string_lossy().into_owned();
        Some(device_file(&drivers, &driver, number))
    })
}

/// The number of the port at these addresses, by the lines that `uart_line_info` of Linux's
/// drivers/tty/serial/serial_core.c writes: `0: uart:16550A port:000003F8 irq:4`, or `mmio:0x09000000`.
fn number_at(lines: &str, kind: &str, addresses: &Range<u64>) -> Option<u64> {
    lines.lines().find_map(|line| {
        let (number, rest) = line.split_once(": uart:")?;
        let mut words = rest.split_whitespace();
        // A place for a port, behind which nobody has found a chip.
        words.next().filter(|chip| *chip != "unknown")?;
        let start = words.find_map(|word| u64::from_str_radix(word.strip_prefix(kind)?, 16).ok())?;
        let is_it = start < addresses.end && addresses.start < start.saturating_add(PORT_BYTES);
        number.parse().ok().filter(|_| is_it)
    })
}

/// The name of a driver's device, by the lines of /proc/tty/drivers: `serial /dev/ttyS 4 64-67 serial`.
fn device_file(drivers: &str, driver: &str, number: u64) -> String {
    let mut lines = drivers.lines().map(str::split_whitespace);
    let start = lines.find_map(|mut words| words.next().filter(|name| *name == driver).and_then(|_| words.next()));
    start.map_or_else(|| format!("{driver} {number}"), |start| format!("{start}{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_the_kernels_if_their_addresses_meet_and_a_chip_was_found() {
        let lines = "serinfo:1.0 driver revision:\n\
                     0: uart:16550A port:000003F8 irq:4 tx:218 rx:0 RTS|CTS|DTR|DSR|CD\n\
                     1: uart:unknown port:000002F8 irq:3\n\
                     7: uart:8250 mmio:0xFE000000 irq:9 tx:0 rx:0\n";
        for (kind, start, wanted) in [
            ("port:", 0x3f8, Some(0)),
            ("port:", 0x3f1, Some(0)),
            ("port:", 0x3ff, Some(0)),
            ("port:", 0x3f0, None),
            ("port:", 0x400, None),
            ("port:", 0x2f8, None),
            ("mmio:0x", 0x3f8, None),
            ("mmio:0x", 0xfe00_0000, Some(7)),
            ("port:", 0xfe00_0000, None),
        ] {
            assert_eq!(number_at(lines, kind, &(start..start + 8)), wanted, "{kind}{start:#x}");
        }
        for other in ["", "0: uart:", "0: uart:16550A", "x: uart:8250 port:000003F8", "0: uart:8250 port:zz", "0: a\0b"]
        {
            assert_eq!(number_at(other, "port:", &(0x3f8..0x400)), None, "{other}");
        }
    }

    #[test]
    fn devices_have_the_names_of_their_drivers() {
        let drivers = "/dev/tty             /dev/tty        5       0 system:/dev/tty\n\
                       serial               /dev/ttyS       4 64-67 serial\n";
        assert_eq!(device_file(drivers, "serial", 1), "/dev/ttyS1");
        assert_eq!(device_file(drivers, "ttyAMA", 0), "ttyAMA 0");
    }
}
