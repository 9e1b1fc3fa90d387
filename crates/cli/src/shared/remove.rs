//! `mapio shared remove`.

use clap::Args;
use mapio_shared::{ObjectName, SharedObject};

use crate::output::{self, Answer};

/// Remove objects, by taking their names
///
/// Who has one open goes on using it; its memory is given back when the last closes it. The name of a section of
/// Windows is taken until then, and is opened by nobody; a raw one can't be removed. Exit status: 0 all are removed, 2
/// something could not be removed.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared remove frames")]
pub(crate) struct Arguments {
    /// The objects
    #[arg(value_name = "NAME", value_parser = super::name, required = true)]
    names: Vec<ObjectName>,
    /// Say nothing of what does not exist
    #[arg(long, short)]
    force: bool,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut answer = Answer::Yes;
        for name in &self.names {
            match SharedObject::remove(name) {
                Ok(()) => {}
                Err(mapio_shared::Error::NotFound { .. }) if self.force => {}
                Err(error) => {
                    output::complain(&error.into());
                    answer = Answer::Partly;
                }
            }
        }
        Ok(answer)
    }
}
