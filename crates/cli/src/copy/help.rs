//! The help of the copy, and its version.
//!
//! What `--help` prints is also what the manual and the completions of shells are made of, so that there is one
//! description of each option.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ValueHint};

use super::words;

/// How the copy is called, and what it calls itself.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    /// What messages begin with: the name it was called by, as cp has it; `mapio` otherwise.
    pub(super) program: String,
    /// What is to be typed to call it: `cp`, or `mapio copy`.
    pub(super) command: String,
}

/// What is typed to call it as one of mapio's commands.
const SUBCOMMAND: &str = "mapio copy";

impl Called {
    /// As one of mapio's commands.
    pub(crate) fn as_subcommand() -> Self {
        Self { program: "mapio".to_owned(), command: SUBCOMMAND.to_owned() }
    }

    /// As cp, by this name.
    pub(crate) fn as_cp(name: String) -> Self {
        Self { program: name.clone(), command: name }
    }

    pub(super) fn is_subcommand(&self) -> bool {
        self.command == SUBCOMMAND
    }
}

/// All options: what `--help` says.
pub(super) fn text(command: &str) -> String {
    let [one, many, into] = FORMS.map(|form| format!("{command} {form}"));
    format!(
        "\
Usage: {one}
       {many}
       {into}
Copy SOURCE to DEST, or many of them into DIRECTORY: what cp does, with its
options.
{CP}
{OWN_HEADING}:{OWN}
{NOTES}

{EXAMPLE}
"
    )
}

/// What `mapio help copy` says.
pub(crate) fn subcommand_help() -> String {
    text(SUBCOMMAND)
}

/// The same as a command of clap's, which is never asked to read a command line.
pub(crate) fn command() -> clap::Command {
    let path = Arg::new("PATH").num_args(1..).value_hint(ValueHint::AnyPath);
    clap::Command::new("copy")
        .override_usage(FORMS.map(|form| format!("{SUBCOMMAND} {form}")).join("\n"))
        .long_about(format!("{ABOUT}\n\n{}", NOTES.replace('\n', "\n\n")))
        .after_help(EXAMPLE)
        .disable_help_flag(true)
        .args(options(CP).into_iter().map(argument))
        .args(options(OWN).into_iter().map(|option| argument(option).help_heading(OWN_HEADING)))
        .arg(path.help("the sources, and, last of all, the destination"))
}

/// The options of a part of the help: what is typed, and what it does.
fn options(part: &'static str) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    for line in part.lines().filter(|line| !line.is_empty()) {
        let (words, text) = line.split_at(line.len().min(TEXT_COLUMN));
        match (words.trim(), found.last_mut()) {
            ("", Some((_, text_so_far))) => *text_so_far += &format!(" {}", text.trim()),
            (words, _) => found.push((words, text.to_owned())),
        }
    }
    found
}

/// An option as clap has it, of words such as `-b, --backup[=CONTROL]`.
fn argument((words, mut text): (&'static str, String)) -> Arg {
    let (mut short, mut long, mut value) = (None, None, "");
    for word in words.split(", ") {
        if let Some(word) = word.strip_prefix("--") {
            let (name, behind) = word.split_at(word.find(['[', '=']).unwrap_or(word.len()));
            (long, value) = (Some(name), behind);
        } else if short.is_none() {
            short = word.chars().nth(1);
        } else {
            text += &format!("; {word} is the same");
        }
    }
    let known = words::known(long.unwrap_or_default());
    let argument = Arg::new(words).short(short).long(long).help(text);
    let argument = match value.strip_prefix("[=").and_then(|name| name.strip_suffix(']')) {
        Some(name) => argument.value_name(name).num_args(0..=1).require_equals(true),
        None if value.is_empty() => argument.action(ArgAction::SetTrue),
        None => argument.value_name(&value[1..]),
    };
    match (known.is_empty(), value) {
        (false, _) => argument.value_parser(PossibleValuesParser::new(known)).hide_possible_values(true),
        (true, "=DIR") => argument.value_hint(ValueHint::DirPath),
        (true, _) => argument,
    }
}

/// What the program says it is.
pub(super) fn version(called: &Called) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if called.is_subcommand() {
        format!("mapio copy {version}")
    } else {
        format!("cp (mapio) {version}: takes the options of GNU cp 9.5")
    }
}

/// What can be typed behind the name.
const FORMS: [&str; 3] =
    ["[OPTION]... [-T] SOURCE DEST", "[OPTION]... SOURCE... DIRECTORY", "[OPTION]... -t DIRECTORY SOURCE..."];

/// What the manual says of it before it comes to the options.
const ABOUT: &str = "\
Copies SOURCE to DEST, or many of them into DIRECTORY: what cp does, with its options. A file that replaces another is \
written beside it and takes its name when it is whole, so the old one is there until then.";

/// The column of the text of an option.
const TEXT_COLUMN: usize = 31;

const CP: &str = "
  -a, --archive                -dR --preserve=all
      --attributes-only        copy the attributes, not the contents
  -b, --backup[=CONTROL]       keep what is replaced: CONTROL is none, simple,
                                 numbered or existing (numbered if there is one
                                 already); -b has no CONTROL. Default:
                                 $VERSION_CONTROL, then existing
      --copy-contents          with -r, read pipes and devices instead of making
                                 them
  -d                           --no-dereference --preserve=links
      --debug                  -v, and say how each file was copied
  -f, --force                  remove a destination that can't be opened, and
                                 try again
  -H                           follow symbolic links that are operands
  -i, --interactive            ask before a file is overwritten
      --keep-directory-symlink follow links to folders in the destination
  -l, --link                   make hard links instead of copies
  -L, --dereference            follow all symbolic links
  -n, --no-clobber             leave files that exist alone
  -P, --no-dereference         copy symbolic links as links
  -p                           --preserve=mode,ownership,timestamps
      --preserve[=LIST]        keep mode, ownership, timestamps (these by
                                 default), links, context, xattr, or all
      --no-preserve=LIST       do not keep these
      --parents                make the whole path of each source below
                                 DIRECTORY
  -R, -r, --recursive          copy folders with all that is in them
      --reflink[=WHEN]         share blocks instead of copying: always (if no
                                 WHEN is given), auto (the default) or never
      --remove-destination     remove each destination that exists instead of
                                 opening it
      --sparse=WHEN            make holes: auto (as the source has them, the
                                 default), always (of zeros, too) or never
      --strip-trailing-slashes take slashes off the ends of the sources
  -s, --symbolic-link          make symbolic links instead of copies
  -S, --suffix=SUFFIX          end backups with this; default:
                                 $SIMPLE_BACKUP_SUFFIX, then ~
  -t, --target-directory=DIR   copy into this folder
  -T, --no-target-directory    take DEST as the name of the copy, even if a
                                 folder has it
  -u, --update[=WHICH]         replace WHICH files that exist: all, none,
                                 none-fail (as none, and fail) or older (if no
                                 WHICH is given)
  -v, --verbose                say each name
  -x, --one-file-system        stay on this file system
  -Z, --context[=CTX]          set the SELinux security context, where there is
                                 SELinux
      --help                   print this
      --version                print the version
";

const OWN_HEADING: &str = "What only mapio has";

const OWN: &str = "
      --engine=NAME            move the bytes by: auto (the default),
                                 read-write, mapped, mapped-source,
                                 mapped-destination, copy-file-range, reflink,
                                 splice, uring or direct
      --buffer=BYTES           at a time: 1 to 1g; default: by the size of the
                                 file
      --threads=N              use so many threads; default: by the work and the
                                 processors
      --verify                 read each copy back from the disk and compare,
                                 then tell of it
      --atomic                 give every file its name only when it is whole
      --inplace                write to files that exist, as GNU cp does,
                                 instead of replacing them
      --resume                 go on with a large copy that was interrupted
      --sync[=file|tree]       wait for the disk: after each file (the default),
                                 or at the end
      --io-limit=BYTES         read at most so many bytes a second
      --evict                  leave no new pages in the page cache
      --progress[=WHEN]        show how far it is: auto (on a terminal, after a
                                 second), always or never
      --explain                say why each file is copied the way it is
      --json                   print a line of JSON for each file, and one for
                                 all
";

const NOTES: &str = "\
k, m and g stand for 1024, 1024^2 and 1024^3 bytes.
Exit status: 0 all was copied, 1 something was not.";

const EXAMPLE: &str = "Example: mapio copy -a --verify --sync=tree photos backup";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::arguments::{LETTERS, OPTIONS};
    use crate::copy::getopt::Value;

    #[test]
    fn the_help_has_every_option_and_fits_a_terminal() {
        let text = text("mapio copy");
        // Abolished long ago, and understood all the same.
        for spec in OPTIONS.iter().filter(|spec| spec.long != "path") {
            let is_there = |line: &str| {
                line.trim_start().starts_with('-')
                    && line.contains(&format!("--{}", spec.long))
                    && spec.short.is_none_or(|letter| line.contains(&format!("-{},", char::from(letter))))
            };
            assert!(text.lines().any(is_there), "--{}", spec.long);
        }
        for (letter, _) in LETTERS {
            assert!(text.contains(&format!("  -{}", char::from(letter))) || letter == b'r');
        }
        assert!(text.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn the_manual_has_every_option_with_its_kind_of_value() {
        let command = command();
        command.clone().debug_assert();
        for spec in OPTIONS.iter().filter(|spec| spec.long != "path") {
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(spec.long));
            let argument = argument.unwrap_or_else(|| panic!("--{}", spec.long));
            let (takes, equals) = (argument.get_action().takes_values(), argument.is_require_equals_set());
            assert_eq!((takes, equals), (spec.value != Value::None, spec.value == Value::Optional), "--{}", spec.long);
            assert_eq!(argument.get_short().map(u32::from), spec.short.map(u32::from), "--{}", spec.long);
        }
        for (letter, _) in LETTERS {
            let told = |argument: &Arg| {
                argument.get_short() == Some(char::from(letter))
                    || argument
                        .get_help()
                        .is_some_and(|help| help.to_string().contains(&format!("; -{} is", char::from(letter))))
            };
            assert!(command.get_arguments().any(told), "-{letter}");
        }
        let engine =
            command.get_arguments().find(|argument| argument.get_long() == Some("engine")).expect("the engine");
        assert_eq!(engine.get_possible_values().len(), words::ENGINE.len());
        let help = engine.get_help().expect("a text").to_string();
        assert!(help.starts_with("move the bytes by: auto (the default), read-write, "), "{help}");
    }
}
