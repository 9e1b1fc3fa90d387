//! `mapio shared watch`.

use std::num::NonZero;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mapio_map::MapMode;
use mapio_shared::{ObjectName, User};
use serde::Serialize;

use super::{Part, UserJson, dump, hex, open, user_text};
use crate::duration;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer, Reader};

/// Bytes that are watched if it is not said how many.
const WATCHED: usize = 4096;

/// Print changes of an object's bytes and users until Ctrl-C
///
/// First what there is, then what has changed since the last look. Changes that are undone between two looks are not
/// seen. Exit status: 0 after Ctrl-C, SIGTERM or the last look, 1 when the object was removed meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared watch frames --len 64 --interval 0.1 --count 3")]
pub(crate) struct Arguments {
    /// The object
    #[arg(value_name = "NAME", value_parser = super::name)]
    name: ObjectName,
    #[command(flatten)]
    part: Part,
    /// Time between two looks, in seconds or such as 100ms; default: 0.5
    #[arg(long, value_name = "TIME", value_parser = duration::between_looks, default_value = "0.5", hide_default_value = true)]
    interval: Duration,
    /// Look so many times only
    #[arg(long, value_name = "N")]
    count: Option<NonZero<u64>>,
    /// Print each change as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A change, as JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Bytes {
        offset: usize,
        /// In hexadecimal.
        data: String,
    },
    Joined(UserJson),
    Left(UserJson),
    Died(UserJson),
    Removed,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let interrupt = Interrupt::catch().context("catching signals")?;
        let object = open(&self.name, MapMode::ReadOnly)?;
        let (start, _) = self.part.range(&object, WATCHED)?;
        let (mut bytes, mut users) = (Vec::new(), Vec::new());
        let mut looks = 0;
        loop {
            let new_bytes = self.part.bytes(&object, WATCHED)?;
            if self.tell_bytes(start, &bytes, &new_bytes)? == Reader::Gone {
                return Ok(Answer::Yes);
            }
            bytes = new_bytes;
            let new_users = object.users()?;
            if self.tell_users(&users, &new_users)? == Reader::Gone {
                return Ok(Answer::Yes);
            }
            users = new_users;
            looks += 1;
            if object.is_removed()? {
                self.tell(&Event::Removed, "removed\n")?;
                return Ok(Answer::No);
            }
            if self.count.is_some_and(|count| looks >= count.get()) {
                return Ok(Answer::Yes);
            }
            interrupt.wait(Some(self.interval)).context("waiting for a signal")?;
            if interrupt.is_set() {
                return Ok(Answer::Yes);
            }
        }
    }

    /// Tells of each run of bytes that has changed; at first of all.
    fn tell_bytes(&self, start: usize, old: &[u8], new: &[u8]) -> anyhow::Result<Reader> {
        for (at, run) in changes(old, new) {
            let event = Event::Bytes { offset: start + at, data: hex(run) };
            if self.tell(&event, &dump(start + at, run))? == Reader::Gone {
                return Ok(Reader::Gone);
            }
        }
        Ok(Reader::Listening)
    }

    fn tell_users(&self, old: &[User], new: &[User]) -> anyhow::Result<Reader> {
        let mut reader = Reader::Listening;
        for user in new.iter().filter(|user| !old.contains(user)) {
            let (event, text) = if user.alive {
                (Event::Joined(user.into()), format!("joined: {}\n", user_text(user)))
            } else {
                (Event::Died(user.into()), format!("died: {}\n", user_text(user)))
            };
            reader = self.tell(&event, &text)?;
        }
        // Of one who has died, another entry tells, unless his card was used again.
        let is_known = |user: &&User| new.iter().any(|other| (other.number, other.pid) == (user.number, user.pid));
        for user in old.iter().filter(|user| user.alive && !is_known(user)) {
            reader = self.tell(&Event::Left(user.into()), &format!("left: {}\n", user_text(user)))?;
        }
        Ok(reader)
    }

    fn tell(&self, event: &Event, text: &str) -> anyhow::Result<Reader> {
        if self.json {
            return output::print(&format!("{}\n", serde_json::to_string(event)?));
        }
        output::print(text)
    }
}

/// Runs of bytes that differ, and where each begins; all of the new ones if there is nothing to compare with.
fn changes<'a>(old: &[u8], new: &'a [u8]) -> Vec<(usize, &'a [u8])> {
    let differs = |at: usize| old.get(at) != new.get(at);
    let mut runs = Vec::new();
    let mut at = 0;
    while at < new.len() {
        let len = (at..new.len()).take_while(|&at| differs(at)).count();
        if len > 0 {
            runs.push((at, &new[at..at + len]));
        }
        at += len.max(1);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_runs_of_bytes_that_differ() {
        assert_eq!(changes(b"", b"abc"), [(0, &b"abc"[..])]);
        assert_eq!(changes(b"abcdef", b"abXdYZ"), [(2, &b"X"[..]), (4, &b"YZ"[..])]);
        assert_eq!(changes(b"same", b"same"), []);
        assert_eq!(changes(b"", b""), []);
    }
}
