//! What the kernel has: pipes and sockets.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, ensure};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{accept, bind, connect, listen, recv, send, socket_with};
use rustix::pipe::fcntl_setpipe_size;

use crate::link::{Link, Side, Task};
use crate::place::{wait_for, wait_for_file};

/// What a pipe may hold: the most that is allowed without privileges, pipe(7).
const PIPE_BYTES: usize = 1 << 20;
/// What is asked for a socket to hold; the kernel may give less: socket(7).
const SOCKET_BYTES: usize = 4 << 20;

/// Two pipes, fifo(7).
pub struct Pipe {
    out: File,
    back: File,
}

impl Link for Pipe {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let path = |name| task.place.join(name);
        if task.side == Side::Near {
            for name in ["back", "forth"] {
                mkfifoat(CWD, path(name), Mode::RUSR | Mode::WUSR).context("making a pipe")?;
            }
        }
        // The one that is made last. Opening waits for the other end; so both do it in the same order.
        wait_for_file(path("forth"))?;
        let reader = |name| File::open(path(name)).context("opening a pipe");
        let writer = |name| -> anyhow::Result<File> {
            let file = File::options().write(true).open(path(name)).context("opening a pipe")?;
            fcntl_setpipe_size(&file, PIPE_BYTES).context("making a pipe longer")?;
            Ok(file)
        };
        if task.side == Side::Near {
            let out = writer("forth")?;
            Ok(Self { out, back: reader("back")? })
        } else {
            let back = reader("forth")?;
            Ok(Self { out: writer("back")?, back })
        }
    }

    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.out.write_all(message)?)
    }

    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        Ok(self.back.read_exact(message)?)
    }
}

/// Sockets that keep messages apart, unix(7); one to each far end.
pub struct Seqpacket(Vec<OwnedFd>);

impl Link for Seqpacket {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let path = task.place.join("socket");
        let address = SocketAddrUnix::new(&path)?;
        let sockets = match task.side {
            Side::Near => {
                let listener = socket()?;
                bind(&listener, &address).context("binding a socket")?;
                listen(&listener, 64).context("listening")?;
                (0..task.job.readers).map(|_| accept(&listener)).collect::<Result<_, _>>().context("accepting")?
            }
            Side::Far => vec![connected(&path, &address)?],
        };
        for socket in &sockets {
            set_socket_send_buffer_size(socket, SOCKET_BYTES)?;
            set_socket_recv_buffer_size(socket, SOCKET_BYTES)?;
        }
        Ok(Self(sockets))
    }

    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        for socket in &self.0 {
            let sent = send(socket, message, SendFlags::NOSIGNAL)?;
            ensure!(sent == message.len(), "{sent} bytes were sent of {}", message.len());
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        let socket = self.0.first().context("no socket")?;
        let (received, _) = recv(socket.as_fd(), &mut *message, RecvFlags::empty())?;
        ensure!(received == message.len(), "{received} bytes have come of {}", message.len());
        Ok(())
    }
}

fn socket() -> anyhow::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).context("making a socket")
}

/// A socket that is connected to the near end, once that listens.
fn connected(path: &Path, address: &SocketAddrUnix) -> anyhow::Result<OwnedFd> {
    wait_for(&path.display().to_string(), || {
        let socket = socket()?;
        match connect(&socket, address) {
            Ok(()) => Ok(Some(socket)),
            // Not bound yet, or bound and not listening.
            Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
            Err(error) => Err(error).context("connecting"),
        }
    })
}
