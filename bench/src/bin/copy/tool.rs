//! The tools that copy: where they are, and how each is told to do the same.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::case::{Before, Case, End, How};
use crate::material::Shape;

/// How to get what Debian does not have.
pub const HOW_TO_GET_PEERS: &str =
    "cargo install --root DIR xcp fcp cpz uu_cp, then --peers DIR; apt-get install rsync";

/// What the tables call mapio.
pub const OURS: &str = "mapio copy";
/// All tools that there may be.
pub const MOST: usize = 7;

/// Whose tool it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// GNU coreutils; the others' times are compared with its.
    Gnu,
    /// What this bench is for.
    Mapio,
    Uutils,
    Xcp,
    Fcp,
    Cpz,
    Rsync,
}

/// A tool that was found.
#[derive(Debug, Clone)]
pub struct Tool {
    pub maker: Maker,
    /// What the tables call it.
    pub name: &'static str,
    program: PathBuf,
    /// The first line of what it says of its version.
    pub version: String,
}

/// How a tool is called for a case.
#[derive(Debug, Clone)]
pub struct Call {
    pub options: Vec<&'static str>,
    /// Whether it does not wait for the disk itself though the case wants that.
    pub needs_sync: bool,
}

impl Tool {
    fn new(maker: Maker, name: &'static str, program: PathBuf) -> Option<Self> {
        let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output().ok()?;
        // One of them says it where complaints go.
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let words: Vec<&str> = said.lines().next()?.split_whitespace().take_while(|&word| word != "protocol").collect();
        let version = words.join(" ");
        Some(Self { maker, name, program, version })
    }

    /// Its name and version.
    pub fn text(&self) -> String {
        if self.version.starts_with(self.name) {
            self.version.clone()
        } else {
            format!("{}: {}", self.name, self.version)
        }
    }

    /// The command that copies `source` into the folder `into`.
    pub fn command(&self, call: &Call, source: &Path, into: &Path) -> Command {
        let mut command = Command::new(&self.program);
        // Without the slash it would make the folder itself the copy, and refuse since it is there.
        let into = if self.maker == Maker::Cpz { into.join("") } else { into.to_owned() };
        command.args(&call.options).arg(source).arg(into);
        command
    }
}

impl Maker {
    /// How a case is put to it, or why it can't be.
    pub fn call(self, case: &Case) -> Result<Call, &'static str> {
        let mut options = match (self, case.how) {
            (Self::Gnu | Self::Mapio | Self::Uutils, How::File) => vec![],
            (Self::Gnu | Self::Mapio | Self::Uutils, How::Recursive) => vec!["-r"],
            (Self::Gnu | Self::Mapio | Self::Uutils, How::Archive) => vec!["-a"],
            (Self::Xcp, How::File) => vec!["--no-progress", "--no-timestamps"],
            (Self::Xcp, How::Recursive) => vec!["--no-progress", "--no-timestamps", "-r"],
            (Self::Xcp, How::Archive) => vec!["--no-progress", "-r", "--ownership"],
            (Self::Rsync, How::File) => vec!["--whole-file"],
            (Self::Rsync, How::Recursive) => vec!["--whole-file", "-r"],
            (Self::Rsync, How::Archive) => vec!["--whole-file", "-aHAX"],
            (Self::Fcp | Self::Cpz, How::File | How::Recursive) => vec![],
            (Self::Fcp | Self::Cpz, How::Archive) => return Err("it has no option to keep attributes"),
        };
        match (self, case.before) {
            (Self::Cpz, Before::SameTree) => options.push("-f"),
            // It would leave files of the same size and time alone.
            (Self::Rsync, Before::SameTree) => options.push("--ignore-times"),
            _ => {}
        }
        if self == Self::Rsync && matches!(case.shape, Shape::Sparse { .. }) {
            options.push("--sparse");
        }
        let mut needs_sync = false;
        if case.end == End::OnDisk {
            match self {
                Self::Mapio => options.push("--sync=file"),
                Self::Xcp | Self::Rsync => options.push("--fsync"),
                Self::Gnu | Self::Uutils | Self::Fcp | Self::Cpz => needs_sync = true,
            }
        }
        Ok(Call { options, needs_sync })
    }
}

/// Finds the tools: GNU's first, then ours, then what is there of the others.
///
/// `ours` is mapio by the name `cp`; peers are looked for in `peers`, in its folder `bin`, and on the path.
pub fn find(ours: PathBuf, peers: Option<&Path>) -> anyhow::Result<Vec<Tool>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = env::split_paths(&path).collect();
    let installed: Vec<PathBuf> =
        peers.map(|folder| vec![folder.to_owned(), folder.join("bin")]).into_iter().flatten().collect();
    let everywhere = || installed.iter().chain(&path);
    let gnu = path.iter().flat_map(|folder| [folder.join("cp"), folder.join("gnucp")]);
    let gnu =
        first(gnu, Maker::Gnu, "cp", "GNU coreutils").context("no GNU cp on the path: nothing to compare with")?;
    let Some(ours) = Tool::new(Maker::Mapio, OURS, ours) else { bail!("mapio does not say its version") };
    let mut tools = vec![gnu, ours];
    let uutils = everywhere().flat_map(|folder| [folder.join("cp"), folder.join("uu_cp")]);
    tools.extend(first(uutils, Maker::Uutils, "uutils cp", "uutils"));
    for (maker, name) in [(Maker::Xcp, "xcp"), (Maker::Fcp, "fcp"), (Maker::Cpz, "cpz"), (Maker::Rsync, "rsync")] {
        tools.extend(first(everywhere().map(|folder| folder.join(name)), maker, name, ""));
    }
    Ok(tools)
}

/// The first of these programs whose version has the mark.
fn first(programs: impl Iterator<Item = PathBuf>, maker: Maker, name: &'static str, mark: &str) -> Option<Tool> {
    programs
        .filter(|program| program.is_file())
        .filter_map(|program| Tool::new(maker, name, program))
        .find(|tool| tool.version.contains(mark))
}
