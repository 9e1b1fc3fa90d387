//! `mapio shared create`.

use anyhow::Context;
use clap::{Args, ValueEnum};
use mapio_shared::{Lifetime, ObjectName, SharedObject, SharedOptions, inspect};

use super::ObjectJson;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};
use crate::permissions::{self, Owner};
use crate::{size, sys};

/// The word for a System V segment without a key.
const PRIVATE: &str = "sysv:private";

/// Create an object, of zeros
///
/// It is whole when it gets its name, and its memory is set aside. An object that lives until its last handle closes,
/// as all sections of Windows do, is kept until Ctrl-C or SIGTERM, since this command would have the last one; once it
/// is there, its name is printed. 'sysv:private' makes a segment without a key, and prints its name.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared create frames --size 1m --mode 644 --contents video")]
pub(crate) struct Arguments {
    /// What it is called
    #[arg(value_name = "NAME", value_parser = target)]
    name: Target,
    /// Bytes for the users, at least 1
    #[arg(long, value_name = "N", value_parser = size::bytes)]
    size: u64,
    /// Who may use it, as for chmod, in octal; default: 600
    ///
    /// On Windows the second and the third digit are one: everybody is in the group.
    #[arg(long, value_name = "MODE", value_parser = permissions::mode, default_value = "600", hide_default_value = true)]
    mode: u32,
    /// Whose it is, by numbers: USER, USER:GROUP or :GROUP
    ///
    /// Not on Windows, which has no numbers for users.
    #[arg(long, value_name = "OWNER", value_parser = permissions::owner)]
    owner: Option<Owner>,
    /// How long it lives; default: until-removed
    ///
    /// A section of Windows lives until its last handle closes, and can't do otherwise.
    #[arg(long, value_enum, value_name = "HOW")]
    lifetime: Option<Ends>,
    /// Without a header, as other programs make and see objects
    #[arg(long, conflicts_with_all = ["layout", "contents", "lifetime"])]
    raw: bool,
    /// Number of what it holds, in hexadecimal: Layout::HASH
    #[arg(long, value_name = "HEX", value_parser = layout)]
    layout: Option<u64>,
    /// What stands on it, in up to 16 bytes of text
    #[arg(long, value_name = "TEXT")]
    contents: Option<String>,
    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone)]
enum Target {
    Named(ObjectName),
    Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ends {
    UntilRemoved,
    LastHandle,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        if let Some(reason) = self.owner.and_then(|_| sys::absent_option("--owner")) {
            anyhow::bail!("'--owner': {reason}");
        }
        let options = self.options();
        // From here on, so that a signal finds either nothing or what is given back below.
        let keeps = self.lifetime == Some(Ends::LastHandle) || self.name.ends_with_its_handles();
        let interrupt = keeps.then(|| Interrupt::catch().context("catching signals")).transpose()?;
        let object = match &self.name {
            Target::Named(name) => options.create(name)?,
            Target::Private => options.create_sysv_private()?,
        };
        if self.json {
            output::json(&ObjectJson::from(&inspect(object.name())?))?;
        } else if matches!(self.name, Target::Private) || keeps {
            output::line(&output::printable(object.name()))?;
        }
        if let Some(interrupt) = interrupt {
            interrupt.wait(None).context("waiting for a signal")?;
        }
        drop(object);
        Ok(Answer::Yes)
    }

    fn options(&self) -> SharedOptions {
        let mut options = SharedObject::options().role("mapio shared").len(self.size).permissions(self.mode);
        if let Some(owner) = self.owner {
            options = options.owner(owner.user, owner.group);
        }
        if let Some(layout) = self.layout {
            options = options.layout_hash(layout);
        }
        if let Some(contents) = &self.contents {
            options = options.contents(contents);
        }
        if self.raw {
            options = options.raw();
        }
        match self.lifetime {
            None => options,
            Some(Ends::UntilRemoved) => options.lifetime(Lifetime::UntilRemoved),
            Some(Ends::LastHandle) => options.lifetime(Lifetime::LastHandle),
        }
    }
}

impl Target {
    /// Whether it always ends with its last handle, whatever is asked for.
    fn ends_with_its_handles(&self) -> bool {
        matches!(self, Self::Named(name) if sys::ends_with_its_handles(name))
    }
}

fn target(text: &str) -> Result<Target, String> {
    if text == PRIVATE { Ok(Target::Private) } else { super::name(text).map(Target::Named) }
}

fn layout(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("'{text}' is no number of 64 bits in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_read_in_hexadecimal() {
        assert_eq!((layout("ff"), layout("0xff")), (Ok(255), Ok(255)));
        assert!(layout("g").is_err());
    }
}
