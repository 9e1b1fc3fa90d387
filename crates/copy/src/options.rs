//! What can be asked of a copy. Every choice is one type here, and [`CopyOptions`] holds them all; the names are those
//! of cp(1), whose meanings they have.

use std::ffi::OsString;
use std::num::NonZero;

use crate::plan::{Engine, Reflink, Request, Sparse};

/// Which symbolic links in a source are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follow {
    /// None: a link is copied as a link (`-P`).
    Never,
    /// Those that were named, but none that is met in a folder (`-H`).
    Operands,
    /// All (`-L`).
    Always,
}

/// What is made of a source that is not a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// A file with the same bytes.
    #[default]
    Contents,
    /// A file with the same attributes; its bytes stay as they are, a new one has none (`--attributes-only`).
    AttributesOnly,
    /// A hard link (`-l`).
    HardLink,
    /// A symbolic link (`-s`).
    SymbolicLink,
}

/// What happens to a destination that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// It gets the new contents.
    #[default]
    Overwrite,
    /// It stays as it is, and that is no error (`-n`, `--update=none`).
    Keep,
    /// It stays as it is, and that is an error (`--update=none-fail`).
    Fail,
    /// It stays as it is unless the source was modified later (`-u`, `--update=older`).
    ReplaceOlder,
}

/// How a destination that exists is backed up (`--backup`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backup {
    /// It is not.
    #[default]
    None,
    /// As `name~`, or with another suffix; an earlier backup is replaced.
    Simple,
    /// As `name.~1~`, `name.~2~` and so on.
    Numbered,
    /// Numbered if there is a numbered one already, else simple.
    Existing,
}

/// How contents reach a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Placement {
    /// A file that is named, and each file that exists already, is replaced in one step; new files of a tree are
    /// written under their names, where the death of the process leaves them incomplete. A destination with other hard
    /// links, or that can't be replaced by a file just like it, is written in place.
    #[default]
    Auto,
    /// Every file gets its name only when it is whole (`--atomic`).
    Atomic,
    /// As cp does: the destination is cut and written (`--inplace`).
    InPlace,
}

/// What waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sync {
    /// Nothing: the kernel writes when it likes.
    #[default]
    No,
    /// Each file before it gets its name, and then the folder that has the name (`--sync=file`).
    File,
    /// The file systems that were written to, once, at the end (`--sync=tree`).
    Tree,
}

/// Whether an attribute is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Attribute {
    /// No.
    #[default]
    Leave,
    /// As far as that is possible and allowed; no word is lost about the rest.
    Try,
    /// Yes; that it can't be is an error.
    Require,
}

impl Attribute {
    pub(crate) fn wanted(self) -> bool {
        self != Self::Leave
    }
}

/// The permission bits of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ModeFrom {
    /// A new file gets the source's permission bits, less the umask; one that exists keeps its own.
    #[default]
    SourceAndUmask,
    /// The source's mode with set-id bits, and its access control list (`--preserve=mode`).
    Source,
    /// What any new file gets (`--no-preserve=mode`).
    Umask,
}

/// Which attributes are copied (`--preserve`).
///
/// # Platforms
/// Windows: attributes, streams beside the contents and the time of the last write of a file are copied whatever is
/// said here, as CopyFileEx does; `mode` is the access control list, and [`ModeFrom::Umask`] leaves out the attributes;
/// `ownership` is owner and group; `timestamps` are also the times of making and of the last access. There is no
/// context, and `xattr` is among the streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Preserve {
    /// Permission bits, set-id bits and the access control list.
    pub mode: ModeFrom,
    /// User and group.
    pub ownership: Attribute,
    /// Times of access and of modification, to the nanosecond.
    pub timestamps: Attribute,
    /// Which names of the sources are hard links to one file.
    pub links: Attribute,
    /// The security context (SELinux).
    pub context: Attribute,
    /// Extended attributes.
    pub xattr: Attribute,
}

/// How files are to be copied. [`copy`](Self::copy) copies one; [`copy_all`](Self::copy_all) does all that cp(1) does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "options copy nothing until they are used"]
pub struct CopyOptions {
    pub(crate) request: Request,
    pub(crate) verify: bool,
    pub(crate) sync: Sync,
    pub(crate) evict: bool,
    pub(crate) resume: bool,
    pub(crate) placement: Placement,
    pub(crate) recursive: bool,
    pub(crate) one_file_system: bool,
    pub(crate) follow: Follow,
    pub(crate) method: Method,
    pub(crate) special_contents: bool,
    pub(crate) existing: Existing,
    pub(crate) ask: bool,
    pub(crate) force: bool,
    pub(crate) remove_destination: bool,
    pub(crate) backup: Backup,
    pub(crate) suffix: OsString,
    pub(crate) keep_directory_symlink: bool,
    pub(crate) write_through_dangling: bool,
    pub(crate) preserve: Preserve,
    pub(crate) parents: bool,
    pub(crate) strip_trailing_slashes: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            request: Request::default(),
            verify: false,
            sync: Sync::No,
            evict: false,
            resume: false,
            placement: Placement::Auto,
            recursive: false,
            one_file_system: false,
            follow: Follow::Always,
            method: Method::Contents,
            special_contents: false,
            existing: Existing::Overwrite,
            ask: false,
            force: false,
            remove_destination: false,
            backup: Backup::None,
            suffix: "~".into(),
            keep_directory_symlink: false,
            write_through_dangling: false,
            preserve: Preserve::default(),
            parents: false,
            strip_trailing_slashes: false,
        }
    }
}

impl CopyOptions {
    /// What happens to a destination that was not there when it was looked at: nobody was asked about it, and it has no
    /// backup.
    pub(crate) fn existing_meanwhile(&self) -> Existing {
        if self.ask || self.backup != Backup::None { Existing::Fail } else { self.existing }
    }

    /// Copies in the way that is fastest for the case, follows links, keeps no attributes and does not verify.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the bytes by this engine.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.request.engine = Some(engine);
        self
    }

    /// Reads and writes this many bytes at a time, for engines that do; at most 1 GiB is sensible.
    pub fn buffer_bytes(mut self, bytes: NonZero<usize>) -> Self {
        self.request.buffer_bytes = Some(bytes);
        self
    }

    /// Uses this many threads for a tree, and for a large file.
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.request.threads = Some(threads);
        self
    }

    /// Says what becomes of holes.
    pub fn sparse(mut self, sparse: Sparse) -> Self {
        self.request.sparse = sparse;
        self
    }

    /// Says whether blocks may be shared instead of copied.
    pub fn reflink(mut self, reflink: Reflink) -> Self {
        self.request.reflink = reflink;
        self
    }

    /// Reads both files back and compares them before the destination gets its name.
    ///
    /// The copy is flushed to the disk and dropped from the page cache first, so that what is compared is what the
    /// disk holds; on a file system in memory there is no disk to ask. The source may come from the page cache.
    pub fn verify(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Waits for the disk.
    pub fn sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// Leaves the page cache as it was: what the copy has brought into it is dropped.
    pub fn evict(mut self) -> Self {
        self.evict = true;
        self
    }

    /// Goes on with a large copy that was interrupted, after what is there already was compared.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// Says how contents reach a destination.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Copies folders with all that is in them.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Leaves out folders on other file systems, but makes them.
    pub fn one_file_system(mut self) -> Self {
        self.one_file_system = true;
        self
    }

    /// Says which symbolic links in the sources are followed.
    pub fn follow(mut self, follow: Follow) -> Self {
        self.follow = follow;
        self
    }

    /// Says what is made of a source.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Reads pipes and devices that are met in folders, instead of making pipes and devices (`--copy-contents`).
    pub fn special_contents(mut self) -> Self {
        self.special_contents = true;
        self
    }

    /// Says what happens to a destination that exists.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// Asks the observer before a destination that exists is overwritten (`-i`).
    pub fn ask(mut self) -> Self {
        self.ask = true;
        self
    }

    /// Removes a destination that can't be written to (`-f`).
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Replaces a destination by a new file with a new identity (`--remove-destination`).
    pub fn remove_destination(mut self) -> Self {
        self.remove_destination = true;
        self
    }

    /// Backs up destinations that exist.
    pub fn backup(mut self, backup: Backup) -> Self {
        self.backup = backup;
        self
    }

    /// Sets what simple backups add to the name; `~` unless told.
    pub fn suffix(mut self, suffix: impl Into<OsString>) -> Self {
        self.suffix = suffix.into();
        self
    }

    /// Follows a symbolic link to a folder where a folder is to be made.
    pub fn keep_directory_symlink(mut self) -> Self {
        self.keep_directory_symlink = true;
        self
    }

    /// Makes the file that a dangling symbolic link names, as POSIX wants it; cp and this refuse otherwise.
    pub fn write_through_dangling(mut self) -> Self {
        self.write_through_dangling = true;
        self
    }

    /// Says which attributes are copied.
    pub fn preserve(mut self, preserve: Preserve) -> Self {
        self.preserve = preserve;
        self
    }

    /// Makes the whole path of each source below the destination (`--parents`).
    pub fn parents(mut self) -> Self {
        self.parents = true;
        self
    }

    /// Takes trailing slashes off the sources, so that a link to a folder is a link.
    pub fn strip_trailing_slashes(mut self) -> Self {
        self.strip_trailing_slashes = true;
        self
    }
}
