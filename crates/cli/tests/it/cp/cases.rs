//! The table of commands.

use std::fs;
use std::path::Path;

/// A command, and who runs it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) user: User,
    /// For a shell that is in the scene.
    pub(super) command: String,
    /// Why our cp does something else.
    pub(super) differs: Option<&'static str>,
}

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum User {
    /// Whoever runs the tests; root has more to see.
    Caller,
    /// User 65534, who owns the scene.
    Nobody,
}

impl Case {
    /// Whether the times of folders are to be kept.
    pub(super) fn keeps_times(&self) -> bool {
        ["-a", " -p", "-rp", "--preserve", "--parents"].iter().any(|option| self.command.contains(option))
    }

    /// Whether only root can run it, or would see what it is about.
    pub(super) fn needs_root(&self) -> bool {
        self.user == User::Nobody || self.command.contains("null") || self.command.contains("mount")
    }
}

/// Files of commands that stand for themselves, one a line. Lines that begin with `#` say what they are about.
const FILES: [(&str, User); 2] = [("plain.txt", User::Caller), ("nobody.txt", User::Nobody)];

/// Ways to copy a file to itself, by whatever name.
const SAME_FILE_OPTIONS: [&str; 14] =
    ["", "-f", "-b", "-bf", "-l", "-lf", "-s", "-sf", "--remove-destination", "-d", "-df", "-db", "-a", "-u"];
const SAME_FILE_OPERANDS: [&str; 9] =
    ["a a", "a ./a", "a link", "link a", "link link", "link link2", "hard1 hard2", "dir/up a", "dirlink/f dir/f"];

/// What meets what.
const MEETING_OPTIONS: [&str; 8] = ["", "-r", "-rP", "-rL", "-rT", "-rf", "-rb", "-rn"];
const SOURCES: [&str; 6] = ["a", "dir", "link", "dirlink", "dangling", "pipe"];
const DESTINATIONS: [&str; 8] = ["b", "new", "into", "full", "dangling", "link", "dirlink", "clash/a"];

/// Everything that is compared.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |user, command: String| cases.push(Case { user, command, differs: None });
    for (file, user) in FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cp").join(file);
        let text = fs::read_to_string(path).expect("it is part of the tests");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            add(user, line.to_owned());
        }
    }
    for options in SAME_FILE_OPTIONS {
        for operands in SAME_FILE_OPERANDS {
            add(User::Caller, format!("cp {options} {operands}"));
        }
    }
    for options in MEETING_OPTIONS {
        for source in SOURCES {
            // Without -r it would wait for somebody to write to it.
            if source == "pipe" && options.is_empty() {
                continue;
            }
            for destination in DESTINATIONS {
                add(User::Caller, format!("cp {options} {source} {destination}"));
            }
        }
    }
    for case in &mut cases {
        case.differs = DIFFERENT.iter().find(|(command, _)| *command == case.command).map(|(_, why)| *why);
    }
    cases
}

/// Why a clone that failed differs.
const CLONE: &str = "cp leaves an empty file, and empties one that was there";
/// Why a file that is copied to itself with a backup differs.
const SELF_BACKUP: &str = "cp moves its own source away, and fails; nothing is moved here";

/// Why a folder that is copied into itself differs.
const SELF: &str =
    "cp stops when it meets the copy, or copies what it has copied so far; only the copy is left out here";
/// Why an update of files that are up to date differs.
const UPDATE: &str = "cp makes hard links of what it is not to touch, unasked";

/// Deliberate differences: the command, and the reason.
const DIFFERENT: [(&str, &str); 27] = [
    ("cd dir && cp -r .. ../into", SELF),
    ("cp -a . into 2> /dev/null; true", SELF),
    ("cp -a . into/all; true", SELF),
    ("cp -r . into", SELF),
    ("cp -r dir dir/sub", SELF),
    ("cp -r dir dirlink/new", SELF),
    ("cp -r dir/f dir/sub into into", SELF),
    ("cp -rL dirlink dirlink", SELF),
    ("cp -rT dir dir/sub", SELF),
    ("cp -rv dir dir/sub/new/", SELF),
    ("cp -rT dir new && cp -rTu dir new", UPDATE),
    ("cp -ru dir full; cp -ru dir full", UPDATE),
    ("cp -r --strip-trailing-slashes dirlink/ new", "as for a file, below"),
    ("cp --reflink large b", CLONE),
    ("cp --reflink=always empty new", CLONE),
    ("cp --reflink=always large into/large", CLONE),
    ("cp --reflink=always large new", CLONE),
    ("cp --reflink=always a new", CLONE),
    ("cp -b dirlink/f dir/f", SELF_BACKUP),
    ("cp -bf dirlink/f dir/f", SELF_BACKUP),
    ("cp -db dirlink/f dir/f", SELF_BACKUP),
    ("cp -b link link", SELF_BACKUP),
    ("cp -bf link link", SELF_BACKUP),
    ("cp --remove-destination link link", "cp removes the link, and fails"),
    ("cp --strip-trailing-slashes a/ new", "cp 9.1 forgets to strip them when the destination is no folder"),
    ("cp --strip-trailing-slashes link/ new", "as before"),
    ("cp -P --strip-trailing-slashes link/ new", "as before"),
];
