//! `mapio pages`: which pages of files are in memory, seen and steered.
//!
//! A round looks at every argument once. What is to be done to the files is done in the first round, before they are
//! looked at. A file that cannot be looked at is told of in one line, and the round goes on.

mod part;
mod picture;
mod report;
mod touch;
mod walk;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use mapio_map::{MapMode, Mapping};

use crate::duration;
use crate::interrupt::Interrupt;
use crate::output::{self, Answer};
use crate::size;
use crate::sys;
use part::Part;
use picture::Marks;
use report::{Figures, Folder, Form, Repeats, Report, Totals};
use touch::{Direction, Sharing, Touch, Touched};
use walk::{Rules, Seen, Tree, Ways};

/// Show which pages of files are in memory, with a picture
///
/// Pages are those of the page cache, whoever has brought them there. The kernel tells of them only who owns the file
/// or may write to it. Offsets and lengths are in bytes, any byte; k, m and g stand for 1024, 1024^2 and 1024^3. Of a
/// folder, all regular files count, each once, however many names it has. Exit status: 0 done, 2 something could not be
/// done.
#[derive(Debug, Args)]
#[command(after_help = "Example: mapio pages --warm --range 0..512m disk.img")]
pub(crate) struct Arguments {
    /// Files, and folders to walk through
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Read the pages in first
    #[arg(long, group = "action")]
    warm: bool,
    /// Take the pages out of memory first, unless in use
    ///
    /// Dirty pages are written back before. What somebody has mapped or locked stays, and so does what has no disk, as
    /// on tmpfs.
    #[arg(long, group = "action")]
    evict: bool,
    /// Lock the pages in memory until Ctrl-C or SIGTERM
    #[arg(long, group = "action", conflicts_with = "watch")]
    lock: bool,
    /// Touch each page, 'read' or 'write'; count the faults
    ///
    /// Through a shared mapping, unless '--private' is given. A write there leaves the bytes as they are; the pages get
    /// dirty, the times of the file change, and holes get blocks: of a folder, in all files.
    #[arg(
        long,
        group = "action",
        value_enum,
        value_name = "HOW",
        conflicts_with = "watch",
        hide_possible_values = true
    )]
    touch: Option<Direction>,
    /// With '--touch': copy on write, which spares the file
    #[arg(long, requires = "touch")]
    private: bool,
    /// Look again every second, or this often, until Ctrl-C
    ///
    /// A number of seconds, 0.001 to 86400, or a time such as 100ms; default: 1. On a terminal the picture is drawn again in its place.
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = duration::between_looks)]
    watch: Option<Duration>,
    /// Only these bytes of each file: START..END
    ///
    /// The byte at END is left out. So may START be, for the start of the file, and END, for its end.
    #[arg(long, value_name = "PART", value_parser = size::range, conflicts_with_all = ["offset", "length"], allow_hyphen_values = true)]
    range: Option<Range<u64>>,
    /// Only from this byte on; default: 0
    #[arg(long, value_name = "N", value_parser = size::bytes, allow_hyphen_values = true)]
    offset: Option<u64>,
    /// Only this many bytes; default: all
    #[arg(long, value_name = "N", value_parser = size::bytes, allow_hyphen_values = true)]
    length: Option<u64>,
    /// Follow symbolic links in folders, too
    #[arg(long)]
    follow: bool,
    /// Do not enter folders on other file systems
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// Show each file of a folder, in a line
    #[arg(long, short)]
    verbose: bool,
    /// Draw with ASCII characters
    #[arg(long, conflicts_with = "json")]
    ascii: bool,
    /// Print everything as JSON, with the ranges in memory
    ///
    /// One document for each look. Ranges are pairs of offset and length.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn run(&self) -> anyhow::Result<Answer> {
        let stays = self.lock || self.watch.is_some();
        let interrupt = stays.then(|| Interrupt::catch().context("catching signals")).transpose()?;
        let repeats = if self.watch.is_some() { Repeats::UntilInterrupted } else { Repeats::Never };
        let form = match (self.json, self.ascii) {
            (true, _) => Form::Json,
            (false, true) => Form::Text(Marks::ASCII),
            (false, false) => Form::Text(Marks::BLOCKS),
        };
        let mut report = Report::new(form, self.files.len(), repeats);
        if self.lock {
            // A file that is locked keeps its descriptor.
            sys::allow_all_descriptors();
        }
        let mut round = Round::new(self, interrupt.as_ref());
        let mut rounds = 0u64;
        loop {
            round.run(&mut report)?;
            rounds += 1;
            // With nothing to watch or to keep; later on, a file may be away for a moment.
            let is_needless = rounds == 1 && round.shown == 0;
            let Some(interrupt) = interrupt.as_ref().filter(|_| !is_needless) else { break };
            if self.watch.is_some() && report.is_unread() {
                break;
            }
            interrupt.wait(self.watch).context("waiting for a signal")?;
            if interrupt.is_set() {
                break;
            }
            round = Round { action: Action::None, locked: round.locked, ..Round::new(self, Some(interrupt)) };
        }
        Ok(if round.failures == 0 { Answer::Yes } else { Answer::Partly })
    }

    /// The bytes asked about.
    fn asked(&self) -> Range<u64> {
        let start = self.offset.unwrap_or(0);
        let end = self.length.map_or(u64::MAX, |length| start.saturating_add(length));
        self.range.clone().unwrap_or(start..end)
    }

    fn action(&self) -> Action {
        let sharing = if self.private { Sharing::Private } else { Sharing::Shared };
        match (self.warm, self.evict, self.lock, self.touch) {
            (true, ..) => Action::Warm,
            (_, true, ..) => Action::Evict,
            (_, _, true, _) => Action::Lock,
            (.., Some(direction)) => Action::Touch(Touch { direction, sharing }),
            _ => Action::None,
        }
    }
}

/// What is done to a file before it is looked at.
#[derive(Debug, Clone, Copy)]
enum Action {
    None,
    Warm,
    Evict,
    Lock,
    Touch(Touch),
}

impl Action {
    fn mode(self) -> MapMode {
        match self {
            Self::Touch(touch) => touch.mode(),
            _ => MapMode::ReadOnly,
        }
    }
}

/// One look at all the arguments.
struct Round<'a> {
    arguments: &'a Arguments,
    interrupt: Option<&'a Interrupt>,
    action: Action,
    seen: Seen,
    totals: Totals,
    /// Files and folders that could be looked at.
    shown: u64,
    /// Files and folders that could not.
    failures: u64,
    /// What keeps pages locked; dropped at the very end.
    locked: Vec<Mapping>,
}

impl<'a> Round<'a> {
    fn new(arguments: &'a Arguments, interrupt: Option<&'a Interrupt>) -> Self {
        let (seen, totals, action) = (Seen::default(), Totals::NONE, arguments.action());
        Self { arguments, interrupt, action, seen, totals, shown: 0, failures: 0, locked: Vec::new() }
    }

    /// Looks at all the arguments. An error is one of telling.
    fn run(&mut self, report: &mut Report) -> anyhow::Result<()> {
        report.begin()?;
        for path in &self.arguments.files {
            if self.is_stopped() {
                break;
            }
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    self.folder(Tree::new(path, &metadata, self.rules()), path, report)?;
                }
                Ok(_) => self.file(path, report)?,
                Err(error) => {
                    let asking = format!("reading the status of '{}'", output::name(path));
                    self.fail(&anyhow::Error::new(error).context(asking));
                }
            }
        }
        let locked_bytes = self.locked.iter().filter_map(|mapping| u64::try_from(mapping.len()).ok()).sum();
        report.end(&self.totals, (self.arguments.lock && self.shown > 0).then_some(locked_bytes))
    }

    /// A file that was named.
    fn file(&mut self, path: &Path, report: &mut Report) -> anyhow::Result<()> {
        match self.look_at(path, Origin::Named) {
            Ok(Some(figures)) => {
                self.shown += 1;
                if !figures.counted_before {
                    self.totals.add(&figures);
                }
                report.file(&figures)
            }
            Ok(None) => Ok(()),
            Err(error) => {
                self.fail(&error);
                Ok(())
            }
        }
    }

    /// A folder that was named.
    fn folder(&mut self, tree: Tree, path: &Path, report: &mut Report) -> anyhow::Result<()> {
        let mut folder = Folder::new(path);
        let failures = self.failures;
        for found in tree {
            if self.is_stopped() {
                break;
            }
            match found.and_then(|path| self.look_at(&path, Origin::Found)) {
                Ok(Some(figures)) => {
                    folder.add(&figures);
                    if self.arguments.verbose {
                        report.row(&figures)?;
                    }
                }
                Ok(None) => {}
                Err(error) => self.fail(&error),
            }
        }
        if folder.is_empty() && self.failures > failures {
            return Ok(());
        }
        self.shown += 1;
        self.totals.add_all(&folder.totals);
        report.folder(folder)
    }

    /// Does to a file what is to be done, and looks at its pages. `None` for one that was found again.
    fn look_at(&mut self, path: &Path, origin: Origin) -> anyhow::Result<Option<Figures>> {
        let asked = self.arguments.asked();
        let part = Part::open(path, &asked, self.action.mode())?;
        let len = part.metadata.len();
        anyhow::ensure!(
            origin == Origin::Found || asked.start <= len,
            "'{}' has {len} bytes, and none at offset {}",
            output::name(path),
            asked.start
        );
        let ways = if self.arguments.files.len() > 1 || self.arguments.follow { Ways::Several } else { Ways::One };
        let is_new = self.seen.is_new(sys::identity(path, &part.metadata), ways);
        if !is_new && origin == Origin::Found {
            return Ok(None);
        }
        let touched = if is_new { self.act(&part)? } else { None };
        let mut figures = Figures::new(&part, part.residency()?, touched);
        figures.counted_before = !is_new;
        Ok(Some(figures))
    }

    /// Does to a file what is to be done.
    fn act(&mut self, part: &Part<'_>) -> anyhow::Result<Option<Touched>> {
        let is_stopped = || self.interrupt.is_some_and(Interrupt::is_set);
        match self.action {
            Action::None => {}
            Action::Warm => part.warm(is_stopped)?,
            Action::Evict => part.evict()?,
            Action::Lock => {
                let locked = part.lock(is_stopped).map_err(|error| {
                    let refusal = lock_refusal(part.path, &error);
                    error.context(refusal)
                })?;
                self.locked.extend(locked);
            }
            Action::Touch(touch) => return touch.run(part, is_stopped).map(Some),
        }
        Ok(None)
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failures += 1;
        output::complain(error);
    }

    fn is_stopped(&self) -> bool {
        self.interrupt.is_some_and(Interrupt::is_set)
    }

    fn rules(&self) -> Rules {
        Rules { follow: self.arguments.follow, one_file_system: self.arguments.one_file_system }
    }
}

/// How a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// On the command line: it is shown in any case.
    Named,
    /// In a folder.
    Found,
}

/// What to say before the kernel's reason why pages cannot be locked; with the limit, if that may be the reason.
fn lock_refusal(path: &Path, error: &anyhow::Error) -> String {
    let is_limit = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(sys::is_locking_limit);
    let limit = sys::locking_limit().filter(|_| is_limit);
    let limit =
        limit.map_or_else(String::new, |bytes| format!(", of which {} may be locked", output::bytes_text(bytes)));
    format!("keeping '{}' in memory{limit}", output::name(path))
}
