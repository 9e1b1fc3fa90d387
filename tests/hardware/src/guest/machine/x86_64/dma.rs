//! DMA: the educational device copies from memory into its buffer, and back to another place.
//!
//! The address is the page's physical one: this machine has no IOMMU. All of its memory is within the device's 28 address
//! lines, which an Arm's is not.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mapio_device::edu::{BUFFER_LEN, Edu};
use mapio_device::pci::Caching;
use mapio_device::{Driven, Mmio, Polled, Waiting};
use mapio_map::{MapOptions, Mapping};

use crate::host::Host;
use crate::{edu, uio};

/// Bytes that are copied: QEMU 7.2 takes a transfer to the end of the buffer for one behind it, and ends.
const LEN: usize = BUFFER_LEN - 1;

/// Copies there and back, polled and by interrupt.
pub(crate) fn copies(_: &mut Host) -> Result<String> {
    let (device, _) = edu::open()?;
    device.set_bus_master(true)?;
    let bus = device.map_bar(0, Caching::Uncached)?;
    let polled = there_and_back(&mut Edu::new(bus.clone(), Polled)?)?;
    let mut interrupt = uio::interrupt(&device)?;
    let driven = there_and_back(&mut Edu::new(bus, Driven::new(&mut interrupt))?)?;
    let count = interrupt.count;
    ensure!(count > 0, "all bytes were copied, but no interrupt has come");
    Ok(format!("{LEN} bytes there and back in {polled:.1?} polled, {driven:.1?} by {count} interrupts"))
}

/// Copies a page; answers how long it took.
fn there_and_back(edu: &mut Edu<Mmio, impl Waiting>) -> Result<Duration> {
    let mapping = MapOptions::read_write().len(2 * BUFFER_LEN).populate().memfd("dma")?;
    let view = mapping.view();
    view.lock()?;
    let bytes = (0..=u8::MAX).cycle().map(|byte| byte.wrapping_mul(37)).take(LEN).collect::<Vec<_>>();
    view.write_all_at(0, &bytes)?;
    let start = Instant::now();
    edu.load(physical(&mapping, 0)?, 0..LEN)?;
    edu.store(0..LEN, physical(&mapping, BUFFER_LEN)?)?;
    let took = start.elapsed();
    let mut copied = vec![0; LEN];
    view.read_exact_at(BUFFER_LEN, &mut copied)?;
    ensure!(copied == bytes, "other bytes came back");
    Ok(took)
}

/// The physical address of a byte at the start of a page: Documentation/admin-guide/mm/pagemap.rst.
fn physical(mapping: &Mapping, offset: usize) -> Result<u64> {
    let addr = u64::try_from(mapping.view().as_ptr().addr() + offset)?;
    let mut entry = [0; 8];
    let pagemap = File::open("/proc/self/pagemap").context("opening the page map")?;
    pagemap.read_exact_at(&mut entry, addr / 4096 * 8).context("reading the page map")?;
    let entry = u64::from_le_bytes(entry);
    ensure!(entry >> 63 == 1, "the page is not in memory");
    Ok((entry & ((1 << 55) - 1)) * 4096)
}
