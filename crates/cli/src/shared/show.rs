//! `mapio shared show`.

use clap::Args;
use mapio_map::MapMode;
use mapio_shared::{Evidence, ObjectName, inspect};
use serde::Serialize;

use super::{ObjectJson, Part, access_text, age, age_text, dump, hex, kind_text, lifetime_text, open, user_text};
use crate::output::{self, Answer};

/// Bytes that are shown if it is not said how many.
const SHOWN: usize = 256;

/// Show what an object is, who uses it, and its first bytes
///
/// The first 256 bytes, unless told otherwise, in hexadecimal and as text.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio shared show frames --offset 4k --len 64")]
pub(crate) struct Arguments {
    /// The object
    #[arg(value_name = "NAME", value_parser = super::name)]
    name: ObjectName,
    #[command(flatten)]
    part: Part,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

/// An object and some of its bytes, as JSON.
#[derive(Debug, Serialize)]
struct Json {
    #[serde(flatten)]
    object: ObjectJson,
    offset: u64,
    /// In hexadecimal.
    data: String,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<Answer> {
        let info = inspect(&self.name)?;
        let object = open(&self.name, MapMode::ReadOnly)?;
        let bytes = self.part.bytes(&object, SHOWN)?;
        if self.json {
            let json = Json { object: ObjectJson::from(&info), offset: self.part.offset, data: hex(&bytes) };
            return output::json(&json).map(|()| Answer::Yes);
        }
        let [mode, owner] = access_text(&info);
        let mut lines = vec![
            ("name", info.name.to_string()),
            ("kind", kind_text(info.kind).to_owned()),
            ("bytes", info.len.to_string()),
            ("mode", mode),
            ("owner", owner),
            ("age", age_text(age(&info))),
        ];
        if info.raw {
            lines.push(("header", "none (raw)".to_owned()));
        } else {
            lines.push(("lifetime", lifetime_text(info.lifetime).to_owned()));
            lines.push(("holds", if info.contents.is_empty() { "not said".to_owned() } else { info.contents.clone() }));
            lines.push((
                "layout",
                if info.layout == 0 { "not said".to_owned() } else { format!("{:016x}", info.layout) },
            ));
        }
        let what = if info.evidence == Evidence::Maps { "mapped by" } else { "user" };
        lines.extend(info.users.iter().map(|user| (what, user_text(user))));
        let mut text = String::new();
        for (what, said) in lines {
            text += &format!("{what:<10} {}\n", output::printable(&said));
        }
        text += &dump(usize::try_from(self.part.offset)?, &bytes);
        output::print(&text)?;
        Ok(Answer::Yes)
    }
}
