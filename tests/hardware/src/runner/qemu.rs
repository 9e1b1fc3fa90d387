//! A machine that runs: QEMU, with the other ends of its wires in this process.
//!
//! Each wire is a pair of sockets, one of which QEMU inherits, so that nothing has a name and nothing is left behind.
//! The kernel kills QEMU when this process ends, however it ends (prctl(2), `PR_SET_PDEATHSIG`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::io::FdFlags;

use crate::machine::Machine;
use crate::wire::Wire;

/// After so long without a word, the guest is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that runs.
pub(crate) struct Guest {
    /// The machine's name.
    pub(crate) name: &'static str,
    child: Child,
    folder: PathBuf,
    console: BufReader<UnixStream>,
    log: File,
    monitor: UnixStream,
    wires: BTreeMap<&'static str, Wire>,
}

/// The emulator's version, if it is there.
pub(crate) fn version(machine: &Machine) -> Result<String> {
    let output = Command::new(machine.qemu).arg("--version").output();
    let output = output.with_context(|| format!("running {}", machine.qemu))?;
    ensure!(output.status.success(), "{}: {}", machine.qemu, output.status);
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

impl Guest {
    /// Starts a machine; `folder` gets the console's log and pictures.
    pub(crate) fn start(machine: &Machine, folder: &Path, kernel: &Path, initrd: &Path) -> Result<Self> {
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", machine.qemu, "-accel", "tcg", "-nodefaults", "-no-reboot"]);
        qemu.args(["-display", "none", "-monitor", "chardev:monitor"]);
        let mut inherited = Vec::new();
        let mut wire = |name: &str| -> Result<UnixStream> {
            let (here, there) = UnixStream::pair().context("making a wire")?;
            rustix::io::fcntl_setfd(&there, FdFlags::empty()).context("letting a wire be inherited")?;
            qemu.args(["-chardev", &format!("socket,id={name},fd={}", there.as_raw_fd())]);
            inherited.push(there);
            Ok(here)
        };
        let (console, monitor) = (wire("console")?, wire("monitor")?);
        let wires = machine.wires.iter().map(|name| Ok((*name, Wire::new(wire(name)?)?))).collect::<Result<_>>()?;
        console.set_read_timeout(Some(PATIENCE)).context("limiting the console's time")?;
        monitor.set_read_timeout(Some(PATIENCE)).context("limiting the monitor's time")?;
        let errors = File::create(folder.join("qemu.log")).context("making a log")?;
        let child = qemu
            .args(machine.options)
            .args(["-append", &format!("{} loglevel=1 panic=-1 iomem=relaxed", machine.command_line)])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(initrd)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .context("running setpriv")?;
        let log = File::create(folder.join("console.log")).context("making a log")?;
        let console = BufReader::new(console);
        let mut guest = Self { name: machine.name, child, folder: folder.to_owned(), console, log, monitor, wires };
        guest.command(None)?;
        Ok(guest)
    }

    /// The next line of the console; `None` when the machine has switched itself off.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        match self.console.read_until(b'\n', &mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            // A machine that ends in the middle of something.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!("the guest has not said a word for {PATIENCE:?}{}", self.end_of_logs())
            }
            Err(error) => return Err(error).context("reading the console"),
        }
        self.log.write_all(&line).context("writing the console's log")?;
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    /// Answers the guest.
    pub(crate) fn answer(&mut self, answer: &str) -> Result<()> {
        self.console.get_mut().write_all(format!("{answer}\n").as_bytes()).context("answering the guest")
    }

    /// The other end of a device's wire.
    pub(crate) fn wire(&mut self, name: &str) -> Result<&mut Wire> {
        self.wires.get_mut(name).with_context(|| format!("there is no wire {name}"))
    }

    /// Bytes that have come through wires and that nobody has asked about, when the machine has ended.
    pub(crate) fn left_over(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        // Else the threads would wait for its end.
        self.stop();
        let all = std::mem::take(&mut self.wires).into_iter().map(|(name, wire)| (name, wire.finish()));
        all.filter(|(_, bytes)| !bytes.is_empty()).collect()
    }

    fn stop(&mut self) {
        // It may have ended by itself; there is nobody to tell if not even this works.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Takes a picture of the screen: the file, in the form `ppm`, and if wanted another one as PNG.
    pub(crate) fn photograph(&mut self, png: Option<&Path>) -> Result<PathBuf> {
        let path = self.folder.join("screen.ppm");
        self.command(Some(&format!("screendump \"{}\"", path.display())))?;
        if let Some(png) = png {
            self.command(Some(&format!("screendump \"{}\" -f png", png.display())))?;
        }
        Ok(path)
    }

    /// Gives the monitor a command, and waits until it asks for the next; answers what it has said.
    fn command(&mut self, command: Option<&str>) -> Result<String> {
        if let Some(command) = command {
            self.monitor.write_all(format!("{command}\n").as_bytes()).context("asking the monitor")?;
        }
        let mut said = Vec::new();
        while !said.ends_with(b"(qemu) ") {
            let mut byte = [0];
            let read = self.monitor.read(&mut byte);
            ensure!(read.with_context(|| format!("asking the monitor{}", self.end_of_logs()))? == 1, "{}", {
                format!("QEMU has ended{}", self.end_of_logs())
            });
            said.extend(byte);
        }
        let said = String::from_utf8_lossy(&said).into_owned();
        match said.lines().find(|line| line.starts_with("Error: ")) {
            Some(error) => bail!("the monitor: {}: {error}", command.unwrap_or_default()),
            None => Ok(said),
        }
    }

    /// The last lines of what QEMU and the guest have said, for an error.
    pub(crate) fn end_of_logs(&self) -> String {
        let mut end = String::new();
        for name in ["qemu.log", "console.log"] {
            let path = self.folder.join(name);
            let text = fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().collect::<Vec<_>>();
            for line in &lines[lines.len().saturating_sub(15)..] {
                end.push_str(&format!("\n    {name}: {:.200}", line.trim_end()));
            }
        }
        end
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.stop();
    }
}
