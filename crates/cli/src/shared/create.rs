//! `mapio shared create`.

use anyhow::Context;
use clap::{Args, ValueEnum};
use mapio_shared::{Lifetime, ObjectName, SharedObject, SharedOptions, inspect};

use super::ObjectJson;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};
use crate::size;

/// The word for a System V segment without a key.
const PRIVATE: &str = "sysv:private";

/// Create an object, of zeros
///
/// It is whole when it gets its name, and its memory is set aside. An object that lives until its last handle closes is
/// kept until Ctrl-C or SIGTERM, since this command would have the last one. 'sysv:private' makes a segment without a
/// key, and prints its name.
///
/// Example: mapio shared create frames --size 1m --mode 660 --contents frames
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What it is called
    #[arg(value_name = "NAME", value_parser = target)]
    name: Target,
    /// Bytes for the users, at least 1
    #[arg(long, value_name = "N", value_parser = size::bytes)]
    size: u64,
    /// Who may use it, as for chmod, in octal; default: 600
    #[arg(long, value_name = "MODE", value_parser = mode, default_value = "600", hide_default_value = true)]
    mode: u32,
    /// Whose it is, by numbers: USER, USER:GROUP or :GROUP
    #[arg(long, value_name = "OWNER", value_parser = owner)]
    owner: Option<Owner>,
    /// How long it lives; default: until-removed
    #[arg(long, value_enum, value_name = "HOW", default_value = "until-removed", hide_default_value = true)]
    lifetime: Ends,
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

#[derive(Debug, Clone, Copy)]
struct Owner {
    user: Option<u32>,
    group: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ends {
    UntilRemoved,
    LastHandle,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let options = self.options();
        // From here on, so that a signal finds either nothing or what is given back below.
        let keeps = self.lifetime == Ends::LastHandle;
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
            Ends::UntilRemoved => options,
            Ends::LastHandle => options.lifetime(Lifetime::LastHandle),
        }
    }
}

fn target(text: &str) -> Result<Target, String> {
    if text == PRIVATE { Ok(Target::Private) } else { super::name(text).map(Target::Named) }
}

/// Reads permissions: one to four octal digits, of which the first three bits are none that an object has.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| format!("'{text}' is not 000 to 777, in octal"))
}

fn owner(text: &str) -> Result<Owner, String> {
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str| {
        let number = (!text.is_empty()).then(|| text.parse::<u32>()).transpose();
        // The highest one is "no change" to chown(2).
        number.ok().filter(|number| *number != Some(u32::MAX))
    };
    match (number(user), number(group)) {
        (Some(user), Some(group)) if user.is_some() || group.is_some() => Ok(Owner { user, group }),
        _ => Err(format!("'{text}' is not USER, USER:GROUP or :GROUP, by numbers")),
    }
}

fn layout(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| format!("'{text}' is no number of 64 bits in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_and_owners_are_read_or_refused() {
        assert_eq!((mode("600"), mode("0644"), mode("0"), mode("777")), (Ok(0o600), Ok(0o644), Ok(0), Ok(0o777)));
        for bad in ["", "8", "1000", "-1", "+7", "u+w"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
        let read = |text| owner(text).map(|owner| (owner.user, owner.group));
        assert_eq!(read("7"), Ok((Some(7), None)));
        assert_eq!(read("7:8"), Ok((Some(7), Some(8))));
        assert_eq!(read(":8"), Ok((None, Some(8))));
        for bad in ["", ":", "root", "7:8:9", "4294967295", "-1"] {
            assert!(owner(bad).is_err(), "{bad}");
        }
        assert_eq!((layout("ff"), layout("0xff")), (Ok(255), Ok(255)));
        assert!(layout("g").is_err());
    }
}
