//! `mapio channel create`.

use clap::Args;
use mapio_shared::channel::Channel;

use super::shape::Shape;
use crate::output::Answer;

/// Make a channel
///
/// 'send' and 'receive' make one as well, if there is none: this is for one that is to be there before. Sizes are in
/// bytes; k, m and g stand for 1024, 1024^2 and 1024^3.
///
/// Example: mapio channel create --broadcast --full drop-oldest --capacity 1k NAME
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The name of the channel
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    shape: Shape,
}

impl Arguments {
    pub(super) fn run(&self) -> anyhow::Result<Answer> {
        let _: Channel<[u8]> = self.shape.options("creator").create(&self.name)?;
        Ok(Answer::Yes)
    }
}
