//! `mapio shared list`.

use clap::Args;
use mapio_shared::{Evidence, ObjectInfo, ObjectName, inspect, list_all};

use super::{ObjectJson, access_text, age, age_text, kind_text, lifetime_text};
use crate::output::{self, Answer, Reader};

/// List all objects, and who uses them
///
/// All of /dev/shm and all System V segments, on Windows all named sections, or only those that are named. Users of
/// raw objects are told by /proc/PID/maps, as far as that may be read, and marked by '~': there may be others. Windows
/// tells of none of them ('?'), and has no numbers for permissions and owners ('-').
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared list --json")]
pub(crate) struct Arguments {
    /// Only these
    #[arg(value_name = "NAME", value_parser = super::name)]
    names: Vec<ObjectName>,
    /// Print everything as JSON, an object a line
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let mut answer = Answer::Yes;
        let objects = if self.names.is_empty() {
            list_all()?
        } else {
            let mut objects = Vec::new();
            for name in &self.names {
                match inspect(name) {
                    Ok(info) => objects.push(info),
                    Err(error) => {
                        output::complain(&error.into());
                        answer = Answer::Partly;
                    }
                }
            }
            objects
        };
        if self.json {
            for object in &objects {
                output::json(&ObjectJson::from(object))?;
            }
            return Ok(answer);
        }
        let mut rows =
            vec![["NAME", "KIND", "BYTES", "MODE", "OWNER", "AGE", "LIFETIME", "USERS", "HOLDS"].map(str::to_owned)];
        rows.extend(objects.iter().map(row));
        table(&rows)?;
        Ok(answer)
    }
}

fn row(info: &ObjectInfo) -> [String; 9] {
    let alive = info.users.iter().filter(|user| user.alive).count();
    let dead = info.users.len() - alive;
    let users = match info.evidence {
        Evidence::Locks if dead > 0 => format!("{alive} ({dead} dead)"),
        Evidence::Locks => alive.to_string(),
        Evidence::Maps => format!("~{alive}"),
        _ => "?".to_owned(),
    };
    let holds = match &info.problem {
        Some(problem) => output::without_number(problem).to_owned(),
        None if info.raw => "raw".to_owned(),
        None if info.contents.is_empty() => "-".to_owned(),
        None => info.contents.clone(),
    };
    let [mode, owner] = access_text(info);
    [
        output::printable(&info.name.to_string()),
        kind_text(info.kind).to_owned(),
        info.len.to_string(),
        mode,
        owner,
        age_text(age(info)),
        if info.raw { "-" } else { lifetime_text(info.lifetime) }.to_owned(),
        users,
        output::printable(&holds),
    ]
}

/// Prints rows in columns; numbers of bytes to the right.
fn table(rows: &[[String; 9]]) -> anyhow::Result<()> {
    let mut widths = [0; 9];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padded = if column == 2 { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line += &padded;
            line += "  ";
        }
        if output::print(&format!("{}\n", line.trim_end()))? == Reader::Gone {
            break;
        }
    }
    Ok(())
}
