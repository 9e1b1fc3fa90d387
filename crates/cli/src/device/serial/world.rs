//! The other end of a simulated port: an echo, or a pseudo-terminal for other programs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Context;
use mapio_device::model::serial::{Peer, PeerDescriptor};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::output;

/// What is at the other end.
pub(super) enum World {
    /// Something outside.
    Real,
    /// Sends everything back.
    Echo(Peer, PeerDescriptor),
    /// Whoever opens the pseudo-terminal.
    Pty(Peer, PeerDescriptor, Pty),
}

/// A pseudo-terminal, whose terminal stays open, so that programs may come and go.
pub(super) struct Pty {
    controller: OwnedFd,
    _terminal: OwnedFd,
    /// What it has not taken yet.
    pending: Vec<u8>,
}

impl World {
    pub(super) fn echo(peer: Peer) -> anyhow::Result<Self> {
        let descriptor = peer.descriptor()?;
        Ok(Self::Echo(peer, descriptor))
    }

    pub(super) fn pty(peer: Peer) -> anyhow::Result<Self> {
        let descriptor = peer.descriptor()?;
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("opening a pseudo-terminal")?;
        grantpt(&controller).context("granting the pseudo-terminal")?;
        unlockpt(&controller).context("unlocking the pseudo-terminal")?;
        let name = ptsname(&controller, Vec::new()).context("asking for the pseudo-terminal's name")?;
        let name = name.to_string_lossy().into_owned();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&*name, flags, Mode::empty()).with_context(|| format!("opening {name}"))?;
        let mut settings = tcgetattr(&terminal).with_context(|| format!("asking {name}"))?;
        settings.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &settings).with_context(|| format!("setting {name}"))?;
        rustix::io::ioctl_fionbio(&controller, true).with_context(|| format!("setting {name}"))?;
        output::complain_plain(&format!("pseudo-terminal: {name}"));
        Ok(Self::Pty(peer, descriptor, Pty { controller, _terminal: terminal, pending: Vec::new() }))
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Real => Vec::new(),
            Self::Echo(_, descriptor) => vec![descriptor.as_fd()],
            Self::Pty(_, descriptor, pty) => vec![descriptor.as_fd(), pty.controller.as_fd()],
        }
    }

    /// Does what the other end does, without waiting. Answers whether it is to be asked again soon.
    pub(super) fn serve(&mut self) -> anyhow::Result<bool> {
        match self {
            Self::Real => Ok(false),
            Self::Echo(peer, descriptor) => {
                descriptor.clear();
                peer.send(&peer.take());
                Ok(false)
            }
            Self::Pty(peer, descriptor, pty) => {
                descriptor.clear();
                pty.pending.extend(peer.take());
                pty.write()?;
                // No more than the line carries in a while, so that the program is held up as by a real one.
                if peer.is_idle() {
                    peer.send(&pty.read()?);
                }
                Ok(!pty.pending.is_empty() || !peer.is_idle())
            }
        }
    }
}

impl Pty {
    fn write(&mut self) -> anyhow::Result<()> {
        while !self.pending.is_empty() {
            match rustix::io::write(&self.controller, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("writing to the pseudo-terminal"),
            }
        }
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        let mut buffer = [0; 256];
        loop {
            match rustix::io::read(&self.controller, &mut buffer) {
                Ok(count) => return Ok(buffer[..count].to_vec()),
                Err(Errno::AGAIN) => return Ok(Vec::new()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("reading from the pseudo-terminal"),
            }
        }
    }
}
