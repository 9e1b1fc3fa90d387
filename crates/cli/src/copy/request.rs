//! From what a command line says to what is to be done: the choices that follow from others, and the combinations that
//! make no sense.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use mapio_copy::{
    Attribute, Backup, CopyOptions, Existing, Follow, Method, ModeFrom, Placement, Preserve, Reflink, Sparse,
};

use super::arguments::{Arguments, Asking, Stop};
use super::words::{self, Update};
use crate::sys;

/// What a simple backup's name ends with unless told.
const SUFFIX: &str = "~";

/// The operands, and what they are to each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operands {
    pub(super) sources: Vec<PathBuf>,
    pub(super) target: PathBuf,
    pub(super) kind: TargetKind,
}

/// What the destination's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetKind {
    Any,
    Folder,
    Name,
}

/// A method of the options that has no argument.
type Switch = fn(CopyOptions) -> CopyOptions;

/// Says how to copy.
pub(super) fn options(arguments: &Arguments) -> Result<CopyOptions, Stop> {
    refuse_nonsense(arguments)?;
    refuse_absent(arguments)?;
    let follow = match arguments.follow {
        Some(follow) => follow,
        None if arguments.recursive && !arguments.hard_link => Follow::Never,
        None => Follow::Always,
    };
    let mut options = CopyOptions::new()
        .follow(follow)
        .method(method(arguments))
        .existing(existing(arguments))
        .backup(backup(arguments)?)
        .suffix(suffix(arguments.suffix.as_deref()))
        .preserve(preserve(arguments)?)
        .sparse(arguments.sparse)
        .reflink(arguments.reflink)
        .sync(arguments.sync)
        .placement(placement(arguments));
    let switches: [(bool, Switch); 13] = [
        (arguments.asking == Asking::Ask, CopyOptions::ask),
        (arguments.recursive, CopyOptions::recursive),
        (arguments.one_file_system, CopyOptions::one_file_system),
        (arguments.copy_contents, CopyOptions::special_contents),
        (arguments.force, CopyOptions::force),
        (arguments.remove_destination, CopyOptions::remove_destination),
        (arguments.keep_directory_symlink, CopyOptions::keep_directory_symlink),
        (is_posix(), CopyOptions::write_through_dangling),
        (arguments.parents, CopyOptions::parents),
        (arguments.strip_trailing_slashes, CopyOptions::strip_trailing_slashes),
        (arguments.verify, CopyOptions::verify),
        (arguments.evict, CopyOptions::evict),
        (arguments.resume, CopyOptions::resume),
    ];
    for (is_set, set) in switches {
        if is_set {
            options = set(options);
        }
    }
    if let Some(engine) = arguments.engine {
        options = options.engine(engine);
    }
    if let Some(bytes) = arguments.buffer {
        options = options.buffer_bytes(bytes);
    }
    if let Some(threads) = arguments.threads {
        options = options.threads(threads);
    }
    Ok(options)
}

/// Whether cp is to be what POSIX says, and not what its authors think is better.
pub(super) fn is_posix() -> bool {
    env::var_os("POSIXLY_CORRECT").is_some()
}

fn refuse_nonsense(arguments: &Arguments) -> Result<(), Stop> {
    let refuse = |text: &str| Err(Stop::Words(text.to_owned()));
    if arguments.hard_link && arguments.symbolic_link {
        return refuse("cannot make both hard and symbolic links");
    }
    if arguments.backup.is_some() && arguments.asking == Asking::Never {
        return refuse("options --backup and --no-clobber are mutually exclusive");
    }
    if arguments.backup.is_some() && matches!(arguments.update, Update::None | Update::NoneFail) {
        return refuse("--backup is mutually exclusive with -n or --update=none-fail");
    }
    if arguments.reflink == Reflink::Always && arguments.sparse != Sparse::Auto {
        return refuse("--reflink can be used only with --sparse=auto");
    }
    refuse_own_nonsense(arguments)
}

/// As [`refuse_nonsense`], for what cp does not have.
fn refuse_own_nonsense(arguments: &Arguments) -> Result<(), Stop> {
    let makes_no_contents = arguments.hard_link || arguments.symbolic_link || arguments.attributes_only;
    let is_about_contents = [
        (arguments.engine.is_some(), "--engine"),
        (arguments.buffer.is_some(), "--buffer"),
        (arguments.verify, "--verify"),
        (arguments.atomic, "--atomic"),
        (arguments.inplace, "--inplace"),
        (arguments.resume, "--resume"),
        (arguments.io_limit.is_some(), "--io-limit"),
        (arguments.evict, "--evict"),
    ];
    if makes_no_contents && let Some((_, option)) = is_about_contents.iter().find(|(is_set, _)| *is_set) {
        let other = match (arguments.hard_link, arguments.symbolic_link) {
            (true, _) => "--link",
            (_, true) => "--symbolic-link",
            _ => "--attributes-only",
        };
        return Err(Stop::Words(format!("'{option}' is about contents, and '{other}' copies none")));
    }
    if let (Some(engine), Some(_)) = (arguments.engine, arguments.buffer)
        && !engine.has_buffer()
    {
        return Err(Stop::Words(format!("'--buffer' is for engines that have a buffer, and '{engine}' has none")));
    }
    let pairs = [
        (arguments.atomic && arguments.inplace, "'--atomic' and '--inplace' are opposites"),
        (
            arguments.inplace && arguments.remove_destination,
            "'--inplace' writes to the file that '--remove-destination' removes",
        ),
        (arguments.resume && arguments.inplace, "'--resume' keeps what '--inplace' cuts off"),
        (
            arguments.reflink == Reflink::Always && arguments.engine.is_some_and(|e| e != mapio_copy::Engine::Reflink),
            "'--reflink=always' moves no bytes, and '--engine' says how to",
        ),
        (
            arguments.json && (arguments.verbose || arguments.debug || arguments.explain),
            "'--json' is for programs, and '--verbose', '--debug' and '--explain' are for people",
        ),
    ];
    match pairs.iter().find(|(both, _)| *both) {
        Some((_, why)) => Err(Stop::Words((*why).to_owned())),
        None => Ok(()),
    }
}

/// Refuses what this system has nothing for.
fn refuse_absent(arguments: &Arguments) -> Result<(), Stop> {
    if let Some(engine) = arguments.engine
        && let Some(why) = sys::absent_engine(engine)
    {
        return Err(Stop::Absent(format!("'--engine={engine}': {why}")));
    }
    let options = [(arguments.evict, "--evict"), (arguments.sync == mapio_copy::Sync::Tree, "--sync=tree")];
    let absent = options.iter().filter(|(is_set, _)| *is_set);
    match absent.filter_map(|(_, option)| sys::absent_option(option).map(|why| (option, why))).next() {
        Some((option, why)) => Err(Stop::Absent(format!("'{option}': {why}"))),
        None => Ok(()),
    }
}

fn method(arguments: &Arguments) -> Method {
    match (arguments.hard_link, arguments.symbolic_link, arguments.attributes_only) {
        (true, _, _) => Method::HardLink,
        (_, true, _) => Method::SymbolicLink,
        (_, _, true) => Method::AttributesOnly,
        _ => Method::Contents,
    }
}

fn existing(arguments: &Arguments) -> Existing {
    match (arguments.asking, arguments.update) {
        (Asking::Never, _) | (_, Update::None) => Existing::Keep,
        (_, Update::NoneFail) => Existing::Fail,
        (_, Update::Older) => Existing::ReplaceOlder,
        (_, Update::All) => Existing::Overwrite,
    }
}

fn placement(arguments: &Arguments) -> Placement {
    match (arguments.atomic, arguments.inplace) {
        (true, _) => Placement::Atomic,
        (_, true) => Placement::InPlace,
        _ => Placement::Auto,
    }
}

/// The kind of backups: as told, else as `VERSION_CONTROL` says.
fn backup(arguments: &Arguments) -> Result<Backup, Stop> {
    let Some(control) = &arguments.backup else { return Ok(Backup::None) };
    let find = |context: &str, word: &OsStr| words::find(context, word, words::BACKUP).map_err(Stop::Words);
    if let Some(word) = control.as_deref().filter(|word| !word.is_empty()) {
        return find("backup type", word);
    }
    match env::var_os("VERSION_CONTROL").filter(|word| !word.is_empty()) {
        Some(word) => find("$VERSION_CONTROL", &word),
        None => Ok(Backup::Existing),
    }
}

/// What simple backups end with: as told, else as `SIMPLE_BACKUP_SUFFIX` says; but never another folder.
fn suffix(told: Option<&OsStr>) -> OsString {
    let suffix = told.map(OsStr::to_owned).or_else(|| env::var_os("SIMPLE_BACKUP_SUFFIX"));
    let usable = suffix.filter(|suffix| {
        !suffix.is_empty() && !suffix.as_encoded_bytes().iter().any(|&byte| std::path::is_separator(byte.into()))
    });
    usable.unwrap_or_else(|| SUFFIX.into())
}

fn preserve(arguments: &Arguments) -> Result<Preserve, Stop> {
    let kept = arguments.kept;
    if kept.context && !Path::new("/sys/fs/selinux/enforce").exists() {
        let why = "cannot preserve security context without an SELinux-enabled kernel";
        return Err(Stop::Plain(why.to_owned()));
    }
    let mode = match (kept.mode, kept.no_mode) {
        (true, _) => ModeFrom::Source,
        (_, true) => ModeFrom::Umask,
        _ => ModeFrom::SourceAndUmask,
    };
    let required = |is_kept| if is_kept { Attribute::Require } else { Attribute::Leave };
    Ok(Preserve {
        mode,
        ownership: required(kept.ownership),
        timestamps: required(kept.timestamps),
        links: required(kept.links),
        context: required(kept.context),
        xattr: kept.xattr,
    })
}

/// Sorts the operands into sources and the destination.
pub(super) fn operands(arguments: &mut Arguments) -> Result<Operands, Stop> {
    let mut sources = std::mem::take(&mut arguments.operands);
    let folder = arguments.target_directory.take();
    let quoted = |path: &Path| mapio_copy::Quoted(path).to_string();
    match &sources[..] {
        [] => return Err(Stop::Words("missing file operand".to_owned())),
        [only] if folder.is_none() => {
            return Err(Stop::Words(format!("missing destination file operand after {}", quoted(only))));
        }
        _ => {}
    }
    if let Some(target) = folder {
        if arguments.no_target_directory {
            let why = "cannot combine --target-directory (-t) and --no-target-directory (-T)";
            return Err(Stop::Plain(why.to_owned()));
        }
        let failed =
            |error: io::Error| Stop::Plain(format!("target directory {}: {}", quoted(&target), reason(&error)));
        sys::open_folder(&target).map_err(failed)?;
        return Ok(Operands { sources, target, kind: TargetKind::Folder });
    }
    if arguments.no_target_directory
        && let Some(extra) = sources.get(2)
    {
        return Err(Stop::Words(format!("extra operand {}", quoted(extra))));
    }
    let Some(target) = sources.pop() else { unreachable!("there are two at least") };
    if !arguments.no_target_directory && (sources.len() > 1 || arguments.parents) {
        return match sys::open_folder(&target) {
            Ok(()) => Ok(Operands { sources, target, kind: TargetKind::Folder }),
            Err(error) if sources.len() > 1 => {
                Err(Stop::Plain(format!("target {}: {}", quoted(&target), reason(&error))))
            }
            Err(_) => Err(parents_need_folder()),
        };
    }
    if arguments.parents {
        return Err(parents_need_folder());
    }
    let kind = if arguments.no_target_directory { TargetKind::Name } else { TargetKind::Any };
    Ok(Operands { sources, target, kind })
}

fn parents_need_folder() -> Stop {
    Stop::Words("with --parents, the destination must be a directory".to_owned())
}

/// What the system calls an error.
pub(super) fn reason(error: &io::Error) -> String {
    crate::output::without_number(&error.to_string()).to_owned()
}
