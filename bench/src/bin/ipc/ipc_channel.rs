//! The crate ipc-channel, as servo uses it: its channels of bytes.

use std::fs;

use anyhow::{Context, ensure};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use serde::{Deserialize, Serialize};

use crate::link::{Link, Side, Task};
use crate::place::wait_for_file;

/// An end of both directions.
pub struct IpcChannel {
    out: IpcBytesSender,
    back: IpcBytesReceiver,
}

/// What the far end makes for the near one, and sends it.
#[derive(Serialize, Deserialize)]
struct Ends {
    out: IpcBytesSender,
    back: IpcBytesReceiver,
}

impl Link for IpcChannel {
    fn open(task: &Task) -> anyhow::Result<Self> {
        let path = task.place.join("name");
        if task.side == Side::Near {
            let (server, name) = IpcOneShotServer::<Ends>::new().context("making a server")?;
            let unfinished = task.place.join("name.new");
            fs::write(&unfinished, name)?;
            fs::rename(&unfinished, &path)?;
            let (_, Ends { out, back }) = server.accept().context("accepting")?;
            return Ok(Self { out, back });
        }
        let name = fs::read_to_string(wait_for_file(path)?)?;
        let (forth, back) = ipc::bytes_channel().context("making a channel")?;
        let (out, theirs) = ipc::bytes_channel().context("making a channel")?;
        let server = IpcSender::<Ends>::connect(name).context("connecting")?;
        server.send(Ends { out: forth, back: theirs }).context("sending the ends")?;
        Ok(Self { out, back })
    }

    fn send(&mut self, message: &[u8]) -> anyhow::Result<()> {
        Ok(self.out.send(message)?)
    }

    fn receive(&mut self, message: &mut [u8]) -> anyhow::Result<()> {
        let received = self.back.recv()?;
        ensure!(received.len() == message.len(), "{} bytes have come of {}", received.len(), message.len());
        message.copy_from_slice(&received);
        Ok(())
    }
}
