//! A copy from start to end.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Advice;

use crate::compare::{Comparison, compare_open};
use crate::destination::Target;
use crate::engine::{NamedFile, Workspace, transfer};
use crate::error::Error;
use crate::file_system::FileSystem;
use crate::meter::Meter;
use crate::plan::{Engine, Facts, Plan, Request};
use crate::source::Source;

/// How a file is to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "options copy nothing until `copy` is called"]
pub struct CopyOptions {
    request: Request,
    verify: bool,
}

/// What a copy has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The file that was written, as far as links and folders were followed.
    pub destination: PathBuf,
    /// What was decided, and done.
    pub plan: Plan,
    /// Bytes copied.
    pub bytes: u64,
    /// System calls that moved them; see [`Meter::calls`].
    pub calls: u64,
    /// Time from opening the source to naming the destination, without the verification.
    pub elapsed: Duration,
    /// The verification, if one was asked for; it found no difference.
    pub verified: Option<Verified>,
}

/// A verification that has found no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Time that it took, flushing included.
    pub elapsed: Duration,
    /// Where the copy was read from.
    pub from: VerifiedFrom,
}

/// Where the copy was read from for its verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedFrom {
    /// What holds the file system: the copy was flushed and dropped from the page cache before.
    Disk,
    /// Memory, because the file system is there.
    Memory,
}

impl CopyOptions {
    /// Copies in the way that is fastest for the case, and does not verify.
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

    /// Reads both files back and compares them before the destination gets its name.
    ///
    /// The copy is flushed to the disk and dropped from the page cache first, so that what is compared is what the
    /// disk holds; on a file system in memory there is no disk to ask. The source may come from the page cache.
    pub fn verify(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Copies `source` to `destination`, or into it if it is a folder. Blocks until that is done.
    ///
    /// A destination that exists is replaced in one step when the copy is whole, and keeps its mode and owner; a link
    /// is followed. A new one gets the source's permission bits, less the umask.
    ///
    /// Like cp, this does not wait for the disk. If the machine dies within seconds of a copy, the destination may be
    /// there and have zeros for bytes, and what it replaced is gone; [`verify`](Self::verify) flushes before that.
    ///
    /// # Errors
    /// Any [`Error`]. The destination is then as it was, and no temporary file is left.
    pub fn copy(&self, source: impl AsRef<Path>, destination: impl AsRef<Path>) -> Result<Report, Error> {
        self.copy_metered(source.as_ref(), destination.as_ref(), &Meter::new())
    }

    /// Copies like [`copy`](Self::copy), while `meter` counts along for whoever watches it.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_metered(&self, source: &Path, destination: &Path, meter: &Meter) -> Result<Report, Error> {
        let begun = Instant::now();
        let source = Source::open(source)?;
        let target = Target::resolve(&source, destination)?;
        let destination = target.create(source.mode())?;
        let facts = Facts::between(source.named().file, destination.named().file);
        let plan = Plan::new(self.request, facts);
        let workspace = &mut Workspace::new();
        let transferred = transfer(source.named(), destination.named(), source.len(), &plan, meter, workspace)
            // A file that was cut is an error of the source's, whichever call has met it.
            .map_err(|error| source.check_unchanged().err().unwrap_or(error))?;
        source.check_unchanged()?;
        // A verification flushes first anyway.
        if plan.flush && !self.verify {
            flush(destination.named())?;
        }
        let copied = begun.elapsed();
        let verified = if self.verify { Some(verify(&source, destination.named())?) } else { None };
        let naming = Instant::now();
        let destination = destination.commit()?;
        let elapsed = copied + naming.elapsed();
        let bytes = transferred.bytes;
        Ok(Report { destination, plan, bytes, calls: meter.calls(), elapsed, verified })
    }
}

fn flush(destination: NamedFile<'_>) -> Result<(), Error> {
    destination.file.sync_all().map_err(Error::os("flushing", destination.path))
}

/// Compares the copy, as the disk has it, to its source.
fn verify(source: &Source, destination: NamedFile<'_>) -> Result<Verified, Error> {
    let begun = Instant::now();
    flush(destination)?;
    // The pages are clean now and nobody else uses them, so they can go. Where this is only advice that is not taken,
    // the comparison is still one of what every reader will see.
    let _ = rustix::fs::fadvise(destination.file, 0, None, Advice::DontNeed);
    let from = match FileSystem::of(destination.file) {
        FileSystem::Memory => VerifiedFrom::Memory,
        _ => VerifiedFrom::Disk,
    };
    let len = destination.file.metadata().map_err(Error::os("reading the status of", destination.path))?.len();
    match compare_open((source.named(), source.len()), (destination, len), &Meter::new())? {
        Comparison::Same { .. } => Ok(Verified { elapsed: begun.elapsed(), from }),
        Comparison::Differ { offset, .. } => {
            // A source that has been written to meanwhile is no fault of the copy.
            source.check_unchanged()?;
            Err(Error::VerifyFailed { path: destination.path.to_owned(), offset })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_that_differs_from_its_source_is_found_by_verify() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("source"), dir.path().join("copy"));
        fs::write(&path, vec![7; 100_000]).unwrap();
        for (bytes, offset) in [(vec![7; 99_999], 99_999), (vec![7; 100_001], 100_000), (vec![0; 100_000], 0)] {
            fs::write(&copy, bytes).unwrap();
            let file = fs::File::options().read(true).write(true).open(&copy).unwrap();
            match verify(&Source::open(&path).unwrap(), NamedFile { file: &file, path: &copy }) {
                Err(Error::VerifyFailed { offset: found, .. }) => assert_eq!(found, offset),
                other => panic!("{other:?}"),
            }
        }
    }
}
