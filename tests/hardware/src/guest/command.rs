//! The command, as a user runs it.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::edu;
use crate::host::Host;

/// What the command has said, and its exit status.
struct Said {
    status: Option<i32>,
    output: String,
    complaint: String,
}

fn run(words: &[&str]) -> Result<Said> {
    let output = Command::new("/bin/mapio").arg("device").args(words).output().context("running mapio")?;
    Ok(Said {
        status: output.status.code(),
        output: String::from_utf8(output.stdout).context("reading what mapio says")?,
        complaint: String::from_utf8(output.stderr).context("reading what mapio complains about")?,
    })
}

/// Runs a command that has to do well; has its first lines shown.
fn done(host: &mut Host, words: &[&str]) -> Result<String> {
    let said = run(words)?;
    ensure!(said.status == Some(0) && said.complaint.is_empty(), "{words:?}: {:?}: {}", said.status, said.complaint);
    host.note(&format!("$ mapio device {}", words.join(" ")));
    for line in said.output.lines().take(12) {
        host.note(line);
    }
    Ok(said.output)
}

/// The device is in the list, with its range, its driver, and its number.
pub(crate) fn list(_: &mut Host) -> Result<String> {
    let (device, _) = edu::open()?;
    let said = run(&["list", "--json"])?;
    ensure!(said.status == Some(0), "{:?}: {}", said.status, said.complaint);
    let items = said.output.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let target = format!("pci:{}", device.address);
    let found = items.iter().find(|item| item["target"] == target.as_str());
    let found = found.with_context(|| format!("{target} is not among {} devices and blocks", items.len()))?;
    ensure!(found["vendor"] == 0x1234 && found["device"] == 0x11e8, "it is another one: {found}");
    ensure!(found["bars"][0]["bytes"] == device.bar(0)?.len, "its registers are elsewhere: {found}");
    ensure!(found["driver"].as_str().map(str::to_owned) == device.driver(), "it has another driver: {found}");
    let count = |kind: &str| items.iter().filter(|item| item["kind"] == kind).count();
    Ok(format!("{} PCI devices, {} serial ports, {} blocks", count("pci"), count("serial"), count("block")))
}

/// A register by its name, and by the address that its bus has, and one that can't be read.
pub(crate) fn read(host: &mut Host) -> Result<String> {
    let (device, _) = edu::open()?;
    let named = done(host, &["read", "pci:1234:11e8/bar0.ID", "--block", "edu"])?;
    ensure!(named.starts_with("ID = 0x010000ed SIGNATURE=0xed"), "by its name: {named}");
    let addr = format!("{:#x}", device.bar(0)?.addr);
    let plain = done(host, &["read", &addr, "--width", "32"])?;
    ensure!(plain.trim_end().ends_with("= 0x010000ed"), "at {addr}: {plain}");
    let complaint = refused(&["read", &format!("pci:1234:11e8/bar0+{:#x}", device.bar(0)?.len)])?;
    Ok(format!("one that is not there: {complaint}"))
}

/// A command that has to fail, with one line that says why; answers that.
pub(crate) fn refused(words: &[&str]) -> Result<String> {
    let said = run(words)?;
    ensure!(said.status == Some(2) && said.output.is_empty(), "{words:?}: {:?}, {}", said.status, said.output);
    ensure!(said.complaint.lines().count() == 1, "{words:?}: {}", said.complaint);
    Ok(said.complaint.trim_end().to_owned())
}

/// All registers of a serial port by their names, but for the one whose reading takes a byte.
pub(crate) fn dump(host: &mut Host, words: &[&str], registers: &[&str]) -> Result<String> {
    let all = done(host, &[&["dump"], words].concat())?;
    let missing = registers.iter().find(|name| !all.contains(*name));
    ensure!(missing.is_none(), "{missing:?} is not in {all}");
    Ok(format!("{} lines", all.lines().count()))
}
