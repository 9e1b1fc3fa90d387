//! A PCI device's interrupt, by the kernel's driver for any of them.

use anyhow::{Context, Result};
use mapio_device::System;
use mapio_device::pci::{PciDevice, UIO_DRIVER};
use mapio_device::uio::{UioDevice, UioInterrupt};

use crate::counted::Counted;

/// Gives the device to the driver, and opens its interrupt.
pub(crate) fn interrupt(device: &PciDevice) -> Result<Counted<UioInterrupt>> {
    device.bind(UIO_DRIVER)?;
    let number = device.uio()?.context("the driver has made no /dev/uio")?;
    let uio = UioDevice::find(&System::default(), number)?.open()?;
    Ok(Counted::new(uio.interrupt()?))
}
