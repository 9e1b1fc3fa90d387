//! `mapio channel create`.

use anyhow::Context;
use clap::Args;
use mapio_shared::ObjectName;
use mapio_shared::channel::Channel;

use super::shape::Shape;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};
use crate::sys;

/// Make a channel
///
/// 'send' and 'receive' make one as well, if there is none: this is for one that is to be there before. One that ends
/// with the last who uses it, as all sections of Windows do, is kept until Ctrl-C or SIGTERM; once it is there, its name
/// is printed. Sizes are in bytes; k, m and g stand for 1024, 1024^2 and 1024^3.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio channel create numbers --broadcast --full drop-oldest")]
pub(crate) struct Arguments {
    /// The name of the channel
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    shape: Shape,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let name: ObjectName = self.name.parse()?;
        let keeps = self.shape.ends_when_unused() || sys::ends_with_its_handles(&name);
        // From here on, so that a signal finds either nothing or what is given back below.
        let interrupt = keeps.then(|| Interrupt::catch().context("catching signals")).transpose()?;
        let channel: Channel<[u8]> = self.shape.options("creator").create(&name)?;
        if let Some(interrupt) = interrupt {
            output::line(&output::printable(channel.object().name()))?;
            interrupt.wait(None).context("waiting for a signal")?;
        }
        Ok(Answer::Yes)
    }
}
