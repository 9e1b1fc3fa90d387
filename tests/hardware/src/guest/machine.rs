//! What is checked on which machine.

use anyhow::{Result, ensure};
use mapio_device::{Mmio, RegisterIo, Width};

use crate::Check;
use crate::host::Host;

pub(crate) const CHECKS: &[(&str, Check)] = &[("edu.id", edu), ("host", said)];

fn edu(_: &mut Host) -> Result<String> {
    for entry in std::fs::read_dir("/sys/bus/pci/devices")? {
        let path = entry?.path();
        if std::fs::read_to_string(path.join("device"))?.trim() == "0x11e8" {
            std::fs::write(path.join("enable"), "1")?;
            let bus = Mmio::open(path.join("resource0"), 0..0x1000)?;
            let id = bus.read(0, Width::U32)?;
            ensure!(id & 0xff == 0xed, "{id:#x}");
            return Ok(format!("{id:#x} {:?}", bus.read(0, Width::U8)));
        }
    }
    anyhow::bail!("no edu")
}

fn said(host: &mut Host) -> Result<String> {
    host.ask(mapio_hardware::protocol::Request::Photograph { name: "boot".into() })?;
    host.note("a note");
    Ok(String::new())
}
