//! The options of the copy: which there are, and what a command line of them says.
//!
//! [`OPTIONS`] is the one definition that both the grammar and the help come from. The words are taken one by one, as
//! cp does, because their order counts: of `-i` and `-n` the last one holds, and `-a --no-preserve=links` is not
//! `--no-preserve=links -a`.

use std::ffi::{OsStr, OsString};
use std::num::NonZero;
use std::path::PathBuf;

use mapio_copy::{Attribute, Engine, Follow, Reflink, Sparse, Sync, path_of_bytes};

use super::getopt::{Order, Part, Spec, Value, Words};
use super::words::{self, Kept, Update, When};
use crate::size;

/// What an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Archive,
    AttributesOnly,
    Backup,
    CopyContents,
    LinksAsLinks,
    Dereference,
    DereferenceOperands,
    Force,
    Interactive,
    Link,
    NoClobber,
    NoDereference,
    NoPreserve,
    NoTargetDirectory,
    OneFileSystem,
    Parents,
    Preserve,
    PreserveUsual,
    Recursive,
    RemoveDestination,
    Sparse,
    Reflink,
    StripTrailingSlashes,
    Suffix,
    SymbolicLink,
    TargetDirectory,
    Update,
    Verbose,
    Context,
    KeepDirectorySymlink,
    Debug,
    Help,
    Version,
    Engine,
    Buffer,
    Threads,
    Verify,
    Explain,
    Json,
    Progress,
    Sync,
    Atomic,
    Inplace,
    Resume,
    IoLimit,
    Evict,
}

/// An option of cp's.
const fn cp(option: Name, short: u8, long: &'static str, value: Value) -> Spec<Name> {
    let short = if short == b'-' { None } else { Some(short) };
    Spec { option, short, long, value, gives_way: false }
}

/// An option of mapio's own: it must not make one of cp's ambiguous.
const fn own(option: Name, long: &'static str, value: Value) -> Spec<Name> {
    Spec { option, short: None, long, value, gives_way: true }
}

/// All options, in the order in which cp has them. Short options that have no long form come last.
pub(super) const OPTIONS: &[Spec<Name>] = &[
    cp(Name::Archive, b'a', "archive", Value::None),
    cp(Name::AttributesOnly, b'-', "attributes-only", Value::None),
    cp(Name::Backup, b'b', "backup", Value::Optional),
    cp(Name::CopyContents, b'-', "copy-contents", Value::None),
    cp(Name::Debug, b'-', "debug", Value::None),
    cp(Name::Dereference, b'L', "dereference", Value::None),
    cp(Name::Force, b'f', "force", Value::None),
    cp(Name::Interactive, b'i', "interactive", Value::None),
    cp(Name::KeepDirectorySymlink, b'-', "keep-directory-symlink", Value::None),
    cp(Name::Link, b'l', "link", Value::None),
    cp(Name::NoClobber, b'n', "no-clobber", Value::None),
    cp(Name::NoDereference, b'P', "no-dereference", Value::None),
    cp(Name::NoPreserve, b'-', "no-preserve", Value::Required),
    cp(Name::NoTargetDirectory, b'T', "no-target-directory", Value::None),
    cp(Name::OneFileSystem, b'x', "one-file-system", Value::None),
    cp(Name::Parents, b'-', "parents", Value::None),
    cp(Name::Parents, b'-', "path", Value::None),
    cp(Name::Preserve, b'-', "preserve", Value::Optional),
    cp(Name::Recursive, b'R', "recursive", Value::None),
    cp(Name::RemoveDestination, b'-', "remove-destination", Value::None),
    cp(Name::Sparse, b'-', "sparse", Value::Required),
    cp(Name::Reflink, b'-', "reflink", Value::Optional),
    cp(Name::StripTrailingSlashes, b'-', "strip-trailing-slashes", Value::None),
    cp(Name::Suffix, b'S', "suffix", Value::Required),
    cp(Name::SymbolicLink, b's', "symbolic-link", Value::None),
    cp(Name::TargetDirectory, b't', "target-directory", Value::Required),
    cp(Name::Update, b'u', "update", Value::Optional),
    cp(Name::Verbose, b'v', "verbose", Value::None),
    cp(Name::Context, b'Z', "context", Value::Optional),
    cp(Name::Help, b'-', "help", Value::None),
    cp(Name::Version, b'-', "version", Value::None),
    own(Name::Engine, "engine", Value::Required),
    own(Name::Buffer, "buffer", Value::Required),
    own(Name::Threads, "threads", Value::Required),
    own(Name::Verify, "verify", Value::None),
    own(Name::Explain, "explain", Value::None),
    own(Name::Json, "json", Value::None),
    own(Name::Progress, "progress", Value::Optional),
    own(Name::Sync, "sync", Value::Optional),
    own(Name::Atomic, "atomic", Value::None),
    own(Name::Inplace, "inplace", Value::None),
    own(Name::Resume, "resume", Value::None),
    own(Name::IoLimit, "io-limit", Value::Required),
    own(Name::Evict, "evict", Value::None),
];

/// Short options that have no long form.
pub(super) const LETTERS: [(u8, Name); 4] = [
    (b'd', Name::LinksAsLinks),
    (b'H', Name::DereferenceOperands),
    (b'p', Name::PreserveUsual),
    (b'r', Name::Recursive),
];

/// What a command line says.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) operands: Vec<PathBuf>,
    pub(super) recursive: bool,
    pub(super) follow: Option<Follow>,
    pub(super) hard_link: bool,
    pub(super) symbolic_link: bool,
    pub(super) attributes_only: bool,
    pub(super) copy_contents: bool,
    pub(super) force: bool,
    pub(super) remove_destination: bool,
    pub(super) asking: Asking,
    pub(super) update: Update,
    /// Whether there are to be backups, and what was said of their kind.
    pub(super) backup: Option<Option<OsString>>,
    pub(super) suffix: Option<OsString>,
    pub(super) kept: KeptAttributes,
    pub(super) parents: bool,
    pub(super) sparse: Sparse,
    pub(super) reflink: Reflink,
    pub(super) strip_trailing_slashes: bool,
    pub(super) target_directory: Option<PathBuf>,
    pub(super) no_target_directory: bool,
    pub(super) one_file_system: bool,
    pub(super) keep_directory_symlink: bool,
    /// Whether a security context was named, which only SELinux has.
    pub(super) context: bool,
    pub(super) verbose: bool,
    pub(super) debug: bool,
    pub(super) engine: Option<Engine>,
    pub(super) buffer: Option<NonZero<usize>>,
    pub(super) threads: Option<NonZero<usize>>,
    pub(super) verify: bool,
    pub(super) explain: bool,
    pub(super) json: bool,
    pub(super) progress: When,
    pub(super) sync: Sync,
    pub(super) atomic: bool,
    pub(super) inplace: bool,
    pub(super) resume: bool,
    /// Bytes a second.
    pub(super) io_limit: Option<NonZero<u64>>,
    pub(super) evict: bool,
}

/// What `-i` and `-n` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asking {
    #[default]
    Unsaid,
    Ask,
    Never,
}

/// The attributes that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct KeptAttributes {
    pub(super) mode: bool,
    /// Whether the mode was named as one that is not kept.
    pub(super) no_mode: bool,
    pub(super) ownership: bool,
    pub(super) timestamps: bool,
    pub(super) links: bool,
    pub(super) context: bool,
    pub(super) xattr: Attribute,
}

/// Why a command line is not carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The help was asked for.
    Help,
    /// The version was asked for.
    Version,
    /// Its words make no sense; the help may help.
    Words(String),
    /// It asks for what can't be.
    Plain(String),
    /// It asks for what this system has nothing for.
    Absent(String),
}

impl Arguments {
    /// Reads the words of a command line.
    pub(super) fn read(words: impl Iterator<Item = OsString>, order: Order) -> Result<Self, Stop> {
        let mut arguments = Self::default();
        let mut words = Words::new(OPTIONS, &LETTERS, order, words);
        while let Some(part) = words.next_part().map_err(Stop::Words)? {
            match part {
                Part::Operand(operand) => arguments.operands.push(operand.into()),
                Part::Option(Name::Help, _) => return Err(Stop::Help),
                Part::Option(Name::Version, _) => return Err(Stop::Version),
                Part::Option(name, value) if is_own(name) => {
                    arguments.take_own(name, &value.unwrap_or_default()).map_err(Stop::Words)?;
                }
                Part::Option(name, value) => arguments.take(name, value)?,
            }
        }
        Ok(arguments)
    }

    /// Takes an option of cp's.
    fn take(&mut self, name: Name, value: Option<OsString>) -> Result<(), Stop> {
        match (name, value) {
            (Name::Archive, _) => {
                self.recursive = true;
                self.follow = Some(Follow::Never);
                self.kept.keep_all();
            }
            (Name::Recursive, _) => self.recursive = true,
            (Name::Dereference, _) => self.follow = Some(Follow::Always),
            (Name::DereferenceOperands, _) => self.follow = Some(Follow::Operands),
            (Name::NoDereference, _) => self.follow = Some(Follow::Never),
            (Name::LinksAsLinks, _) => {
                self.follow = Some(Follow::Never);
                self.kept.links = true;
            }
            (Name::PreserveUsual, _) | (Name::Preserve, None) => self.kept.keep_usual(),
            (Name::Preserve, Some(list)) => self.kept.take("--preserve", &list, true)?,
            (Name::NoPreserve, list) => self.kept.take("--no-preserve", &list.unwrap_or_default(), false)?,
            (Name::Backup, control) => {
                // `-b` after `--backup=simple` changes nothing.
                let said = self.backup.take().flatten();
                self.backup = Some(control.or(said));
            }
            (Name::Suffix, suffix) => {
                self.backup.get_or_insert_default();
                self.suffix = suffix;
            }
            (Name::Interactive, _) => self.asking = Asking::Ask,
            (Name::NoClobber, _) => self.asking = Asking::Never,
            (Name::Update, None) => self.update = Update::Older,
            (Name::Update, Some(word)) => self.update = find("--update", &word, words::UPDATE)?,
            (Name::Sparse, word) => self.sparse = find("--sparse", &word.unwrap_or_default(), words::SPARSE)?,
            (Name::Reflink, None) => self.reflink = Reflink::Always,
            (Name::Reflink, Some(word)) => self.reflink = find("--reflink", &word, words::REFLINK)?,
            (Name::TargetDirectory, folder) => {
                let earlier = self.target_directory.replace(folder.unwrap_or_default().into());
                if earlier.is_some() {
                    return Err(Stop::Plain("multiple target directories specified".to_owned()));
                }
            }
            (Name::Context, context) => self.context |= context.is_some(),
            (name, _) => self.take_switch(name),
        }
        Ok(())
    }

    /// Takes an option of cp's that is on or off.
    fn take_switch(&mut self, name: Name) {
        let switch = match name {
            Name::AttributesOnly => &mut self.attributes_only,
            Name::CopyContents => &mut self.copy_contents,
            Name::Force => &mut self.force,
            Name::Link => &mut self.hard_link,
            Name::NoTargetDirectory => &mut self.no_target_directory,
            Name::OneFileSystem => &mut self.one_file_system,
            Name::Parents => &mut self.parents,
            Name::RemoveDestination => &mut self.remove_destination,
            Name::StripTrailingSlashes => &mut self.strip_trailing_slashes,
            Name::SymbolicLink => &mut self.symbolic_link,
            Name::KeepDirectorySymlink => &mut self.keep_directory_symlink,
            Name::Debug => &mut self.debug,
            Name::Verbose => &mut self.verbose,
            other => unreachable!("{other:?} is no switch of cp's"),
        };
        *switch = true;
    }

    /// Takes an option of mapio's own; `value` is empty where it has none.
    fn take_own(&mut self, name: Name, value: &OsStr) -> Result<(), String> {
        match name {
            Name::Engine => self.engine = words::find("--engine", value, words::ENGINE)?,
            Name::Buffer => self.buffer = Some(number("--buffer", value, size::buffer)?),
            Name::Threads => self.threads = Some(number("--threads", value, threads)?),
            Name::IoLimit => self.io_limit = Some(number("--io-limit", value, rate)?),
            Name::Progress if value.is_empty() => self.progress = When::Always,
            Name::Progress => self.progress = words::find("--progress", value, words::PROGRESS)?,
            Name::Sync if value.is_empty() => self.sync = Sync::File,
            Name::Sync => self.sync = words::find("--sync", value, words::SYNC)?,
            Name::Verify => self.verify = true,
            Name::Explain => self.explain = true,
            Name::Json => self.json = true,
            Name::Atomic => self.atomic = true,
            Name::Inplace => self.inplace = true,
            Name::Resume => self.resume = true,
            Name::Evict => self.evict = true,
            other => unreachable!("{other:?} is not mapio's own"),
        }
        Ok(())
    }
}

impl KeptAttributes {
    /// What `-p` keeps.
    fn keep_usual(&mut self) {
        self.mode = true;
        self.ownership = true;
        self.timestamps = true;
    }

    /// What `-a` and `--preserve=all` keep.
    fn keep_all(&mut self) {
        self.keep_usual();
        self.links = true;
        if self.xattr == Attribute::Leave {
            self.xattr = Attribute::Try;
        }
    }

    /// Takes a list of attributes, which are kept from now on or not.
    fn take(&mut self, option: &str, list: &OsStr, is_kept: bool) -> Result<(), Stop> {
        for word in list.as_encoded_bytes().split(|&byte| byte == b',') {
            match find(option, path_of_bytes(word).as_os_str(), words::PRESERVE)? {
                Kept::Mode => (self.mode, self.no_mode) = (is_kept, !is_kept),
                Kept::Timestamps => self.timestamps = is_kept,
                Kept::Ownership => self.ownership = is_kept,
                Kept::Links => self.links = is_kept,
                Kept::Context => self.context = is_kept,
                Kept::Xattr if is_kept => self.xattr = Attribute::Require,
                Kept::Xattr => self.xattr = Attribute::Leave,
                Kept::All if is_kept => {
                    self.keep_all();
                    self.no_mode = false;
                }
                Kept::All => *self = Self { no_mode: true, context: self.context, ..Self::default() },
            }
        }
        Ok(())
    }
}

fn is_own(name: Name) -> bool {
    OPTIONS.iter().any(|spec| spec.option == name && spec.gives_way)
}

fn find<T: Copy + PartialEq>(option: &str, word: &OsStr, words: &words::Words<T>) -> Result<T, Stop> {
    words::find(option, word, words).map_err(Stop::Words)
}

/// Reads the value of an option that is a number.
fn number<T>(option: &str, value: &OsStr, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    let text = value.to_string_lossy();
    read(&text).map_err(|why| crate::output::printable(&format!("invalid value '{text}' for '{option}': {why}")))
}

fn threads(text: &str) -> Result<NonZero<usize>, String> {
    const MOST: usize = 1024;
    let number = text.parse().ok().filter(|threads: &NonZero<usize>| threads.get() <= MOST);
    number.ok_or_else(|| format!("a copy has 1 to {MOST} threads"))
}

/// Reads bytes a second.
fn rate(text: &str) -> Result<NonZero<u64>, String> {
    NonZero::new(size::bytes(text)?).ok_or_else(|| "a rate is at least 1 byte a second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Arguments {
        Arguments::read(words.split(' ').map(OsString::from), Order::Any).unwrap()
    }

    #[test]
    fn later_options_change_what_earlier_ones_have_said() {
        assert_eq!(read("-i -n").asking, Asking::Never);
        assert_eq!(read("-ni").asking, Asking::Ask);
        assert_eq!(read("-HLP").follow, Some(Follow::Never));
        assert_eq!(read("-aL").follow, Some(Follow::Always));
        assert_eq!(read("-La").follow, Some(Follow::Never));
        assert!(!read("-a --no-preserve=links").kept.links);
        assert!(read("--no-preserve=links -a").kept.links);
        assert_eq!(read("--sparse=always --sparse=auto").sparse, Sparse::Auto);
        assert_eq!(read("--update=none -u").update, Update::Older);
        assert_eq!(read("--backup=t -b").backup, Some(Some("t".into())));
        assert_eq!(read("-S .x").backup, Some(None));
        assert_eq!(read("--sync=tree --sync").sync, Sync::File);
    }

    #[test]
    fn archive_keeps_all_and_tries_extended_attributes() {
        let all = read("-a");
        assert!(all.recursive && all.kept.mode && all.kept.ownership && all.kept.timestamps && all.kept.links);
        assert_eq!(all.kept.xattr, Attribute::Try);
        assert_eq!(read("-a --preserve=xattr").kept.xattr, Attribute::Require);
        assert_eq!(read("--preserve=xattr -a").kept.xattr, Attribute::Require);
        let usual = read("--preserve").kept;
        assert_eq!(usual, read("-p").kept);
        assert_eq!(usual, read("--preserve=mode,ownership,timestamps").kept);
        assert!(read("--no-preserve=mode").kept.no_mode && !read("--no-preserve=mode --preserve=mode").kept.no_mode);
    }

    #[test]
    fn words_that_make_no_sense_stop_it_where_they_are_met() {
        let stop = |words: &str| Arguments::read(words.split(' ').map(OsString::from), Order::Any).unwrap_err();
        assert_eq!(stop("--help --foo"), Stop::Help);
        assert_eq!(stop("-r --version"), Stop::Version);
        assert_eq!(stop("--foo --help"), Stop::Words("unrecognized option '--foo'".to_owned()));
        assert_eq!(stop("-t a -t b"), Stop::Plain("multiple target directories specified".to_owned()));
    }
}
