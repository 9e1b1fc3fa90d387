//! The table of commands.

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
    /// Whether only root can run it, or would see what it is about.
    pub(super) fn needs_root(&self) -> bool {
        self.user == User::Nobody || self.command.contains("null") || self.command.contains("mount")
    }
}

/// Commands that stand for themselves, one a line. Lines that begin with `#` say what they are about.
const PLAIN: &str = include_str!("plain.txt");
/// The same, for user 65534.
const NOBODY: &str = include_str!("nobody.txt");

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
    for (text, user) in [(PLAIN, User::Caller), (NOBODY, User::Nobody)] {
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

/// Deliberate differences: the command, and the reason.
const DIFFERENT: [(&str, &str); 0] = [];
