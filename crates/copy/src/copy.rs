//! A copy from start to end.

use std::path::Path;
use std::time::Instant;

use rustix::fs::Advice;

use crate::compare::{Comparison, compare_open};
use crate::destination::Target;
use crate::engine::{NamedFile, Workspace, transfer};
use crate::error::Error;
use crate::file_system::FileSystem;
use crate::meter::Meter;
use crate::options::CopyOptions;
use crate::plan::{Facts, Plan};
use crate::report::{Report, Verified, VerifiedFrom};
use crate::source::Source;

impl CopyOptions {
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
        Ok(Report { source: source.named().path.to_owned(), destination, placed: crate::report::Placed::Whole, resumed_bytes: 0, plan, transferred, calls: meter.calls(), elapsed, verified })
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
