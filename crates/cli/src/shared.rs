//! `mapio shared`: objects that processes share, seen and handled from the command line.
//!
//! A file for each verb; what several need is here: names, parts of an object, and how users and ages are told.

mod clean;
mod create;
mod list;
mod read;
mod remove;
mod show;
mod watch;
mod write;

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::{Args, Subcommand};
use mapio_map::MapMode;
use mapio_shared::{Evidence, Lifetime, ObjectInfo, ObjectKind, ObjectName, SharedObject, User, inspect};
use serde::Serialize;

use crate::output::{self, Answer};
use crate::{size, sys};

/// Create, list, show, change, watch and clean up shared memory
///
/// NAME is a POSIX object in /dev/shm, or on Windows a section of the session, and 'Global\NAME' one of all sessions;
/// file:PATH is a file; sysv:KEY and sysv-id:ID are System V segments, which Windows has not. Sizes and offsets are in
/// bytes; k, m and g stand for 1024, 1024^2 and 1024^3. Exit status: 0 done, 1 the answer is no, 2 error.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared create frames --size 1m && mapio shared list")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Create(create::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Read(read::Arguments),
    Write(write::Arguments),
    Watch(watch::Arguments),
    Remove(remove::Arguments),
    Clean(clean::Arguments),
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        match self.verb {
            Verb::Create(arguments) => arguments.run(),
            Verb::List(arguments) => arguments.run(),
            Verb::Show(arguments) => arguments.run(),
            Verb::Read(arguments) => arguments.run(),
            Verb::Write(arguments) => arguments.run(),
            Verb::Watch(arguments) => arguments.run(),
            Verb::Remove(arguments) => arguments.run(),
            Verb::Clean(arguments) => arguments.run(),
        }
    }
}

/// Which bytes of an object.
#[derive(Debug, Args)]
struct Part {
    /// First byte; default: 0
    #[arg(long, value_name = "N", value_parser = size::bytes, default_value = "0", hide_default_value = true, allow_hyphen_values = true)]
    offset: u64,
    /// How many bytes; default: all, as far as they are shown
    #[arg(long, visible_alias = "length", value_name = "N", value_parser = size::bytes, allow_hyphen_values = true)]
    len: Option<u64>,
}

impl Part {
    /// The bytes, which must exist; `most` of them if it was not said how many.
    fn bytes(&self, object: &SharedObject, most: usize) -> anyhow::Result<Vec<u8>> {
        let (start, len) = self.range(object, most)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).with_context(|| format!("setting {len} bytes of memory aside"))?;
        bytes.resize(len, 0);
        object.view().read_exact_at(start, &mut bytes)?;
        Ok(bytes)
    }

    /// First byte and number of bytes.
    fn range(&self, object: &SharedObject, most: usize) -> anyhow::Result<(usize, usize)> {
        let has = || format!("{} has {} bytes", output::printable(object.name()), object.len());
        let start = usize::try_from(self.offset).ok().filter(|start| *start <= object.len());
        let start = start.ok_or_else(|| anyhow::anyhow!("{}, and none at offset {}", has(), self.offset))?;
        let left = object.len() - start;
        let len = match self.len {
            None => left.min(most),
            Some(len) => usize::try_from(len)
                .ok()
                .filter(|len| *len <= left)
                .ok_or_else(|| anyhow::anyhow!("{}, and not {len} from offset {}", has(), self.offset))?,
        };
        Ok((start, len))
    }
}

/// Reads a name, as an argument.
fn name(text: &str) -> Result<ObjectName, String> {
    text.parse().map_err(|error: mapio_shared::Error| error.to_string())
}

/// Opens an object as what it is: with a header or raw.
fn open(name: &ObjectName, mode: MapMode) -> anyhow::Result<SharedObject> {
    let options = SharedObject::options().role("mapio shared").map_mode(mode);
    let info = inspect(name)?;
    if let Some(problem) = info.problem.filter(|_| info.raw) {
        anyhow::bail!("opening {}: {problem}", output::printable(&name.to_string()));
    }
    Ok(if info.raw { options.raw() } else { options }.open(name)?)
}

/// What can be told of an object, as JSON. `age_s` is null where it is not known.
#[derive(Debug, Serialize)]
struct ObjectJson {
    name: String,
    kind: &'static str,
    bytes: u64,
    /// Null, like the next two, where the system has none.
    mode: Option<String>,
    user: Option<u32>,
    group: Option<u32>,
    age_s: Option<f64>,
    raw: bool,
    contents: String,
    layout: String,
    lifetime: &'static str,
    users_known_by: &'static str,
    users: Vec<UserJson>,
    problem: Option<String>,
}

/// A user of an object, as JSON.
#[derive(Debug, Serialize)]
struct UserJson {
    number: u32,
    pid: Option<u32>,
    name: String,
    role: String,
    alive: bool,
    /// Whether `pid` means something in this PID namespace.
    here: bool,
}

impl From<&ObjectInfo> for ObjectJson {
    fn from(info: &ObjectInfo) -> Self {
        let access = sys::access(info);
        Self {
            name: info.name.to_string(),
            kind: kind_text(info.kind),
            bytes: info.len,
            mode: access.map(|(mode, ..)| format!("{mode:03o}")),
            user: access.map(|(_, user, _)| user),
            group: access.map(|(.., group)| group),
            age_s: age(info).map(|age| age.as_secs_f64()),
            raw: info.raw,
            contents: info.contents.clone(),
            layout: format!("{:016x}", info.layout),
            lifetime: lifetime_text(info.lifetime),
            users_known_by: match info.evidence {
                Evidence::Locks => "locks",
                Evidence::Maps => "maps",
                _ => "nothing",
            },
            users: info.users.iter().map(UserJson::from).collect(),
            problem: info.problem.clone(),
        }
    }
}

impl From<&User> for UserJson {
    fn from(user: &User) -> Self {
        let User { number, pid, name, role, alive, here, .. } = user.clone();
        Self { number, pid, name, role, alive, here }
    }
}

fn kind_text(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Posix => "posix",
        ObjectKind::File => "file",
        ObjectKind::SysV => "sysv",
        ObjectKind::Memfd => "memfd",
        ObjectKind::Section => "section",
        _ => "other",
    }
}

/// Permissions and owner in words.
fn access_text(info: &ObjectInfo) -> [String; 2] {
    match sys::access(info) {
        Some((mode, user, group)) => [format!("{mode:03o}"), format!("{user}:{group}")],
        None => ["-".to_owned(), "-".to_owned()],
    }
}

fn lifetime_text(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::LastHandle => "last-handle",
        _ => "until-removed",
    }
}

/// A user in words.
fn user_text(user: &User) -> String {
    let mut text = match user.pid {
        Some(pid) => format!("pid {pid}"),
        None => format!("number {}", user.number),
    };
    for (word, mark) in [(&user.name, ""), (&user.role, "as ")] {
        if !word.is_empty() {
            let _ = write!(text, " {mark}{}", output::printable(word));
        }
    }
    if !user.here {
        text += ", in another PID namespace";
    }
    if !user.alive {
        text += ", dead";
    }
    text
}

fn age(info: &ObjectInfo) -> Option<Duration> {
    SystemTime::now().duration_since(info.created?).ok()
}

/// An age in the largest unit of which there are two.
fn age_text(age: Option<Duration>) -> String {
    let Some(seconds) = age.map(|age| age.as_secs()) else { return "-".to_owned() };
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, text)) => format!("{} {text}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

/// Bytes in lines of sixteen, with their offsets, in hexadecimal and as text.
fn dump(start: usize, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (i, line) in bytes.chunks(16).enumerate() {
        let hex = line.iter().enumerate().fold(String::new(), |mut hex, (at, byte)| {
            let _ = write!(hex, "{}{byte:02x}", if at == 8 { "  " } else { " " });
            hex
        });
        let shown: String = line.iter().map(|&byte| printable_byte(byte)).collect();
        let _ = writeln!(text, "{:08x} {hex:<49}  |{shown}|", start + 16 * i);
    }
    text
}

fn printable_byte(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '.' }
}

/// Bytes as one row of hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_sixteen_bytes_a_line_in_columns() {
        let bytes: Vec<u8> = (60..79).collect();
        let expected = "00000100  3c 3d 3e 3f 40 41 42 43  44 45 46 47 48 49 4a 4b  |<=>?@ABCDEFGHIJK|\n\
                        00000110  4c 4d 4e                                          |LMN|\n";
        assert_eq!(dump(256, &bytes), expected);
        assert_eq!(dump(0, &[]), "");
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }

    #[test]
    fn an_age_is_told_in_the_unit_that_fits() {
        let text = |seconds| age_text(Some(Duration::from_secs(seconds)));
        assert_eq!([text(0), text(119), text(120), text(7200), text(400_000)], ["0 s", "119 s", "2 min", "2 h", "4 d"]);
        assert_eq!(age_text(None), "-");
    }
}
