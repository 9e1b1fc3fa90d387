//! Names that no other test has, and that are gone afterwards.

// What differs between systems: one file each, the same names.
#[cfg(target_os = "linux")]
#[path = "support/linux.rs"]
mod system;
#[cfg(windows)]
#[path = "support/windows.rs"]
mod system;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use mapio_shared::{Lifetime, ObjectKind, SharedObject};
use tempfile::TempDir;

pub(crate) use system::*;

/// How often a campaign kills somebody at random: as `MAPIO_KILLS` says, or `usual` times.
pub(crate) fn kills(usual: usize) -> usize {
    std::env::var("MAPIO_KILLS").map_or(usual, |text| text.parse().expect("a number"))
}

/// The name of an object of one test; whatever has it is removed when it is dropped.
pub(crate) struct TestName {
    name: String,
    /// Where a file is.
    _folder: Option<TempDir>,
}

impl TestName {
    /// A new name of memory that is in no folder of the user's: POSIX shared memory, or a section.
    pub(crate) fn memory() -> Self {
        Self { name: format!("mapio-test-{}-{}", std::process::id(), next()), _folder: None }
    }

    /// A new name of a file.
    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("file:{}", folder.path().join("object").display());
        Self { name, _folder: Some(folder) }
    }

    /// One of each kind that has names on this system.
    pub(crate) fn of_each_kind() -> Vec<Self> {
        let mut all = vec![Self::memory(), Self::file()];
        all.extend(others());
        all
    }

    /// One of each kind that can outlive its users.
    pub(crate) fn of_each_lasting_kind() -> Vec<Self> {
        let mut all = Self::of_each_kind();
        all.retain(|name| !name.is_section());
        all
    }

    /// Whether it names a section: that ends with its last handle, and until then nobody else has its name.
    pub(crate) fn is_section(&self) -> bool {
        MEMORY == ObjectKind::Section && !self.starts_with("file:")
    }

    /// How long its object lives if nothing else was asked for.
    pub(crate) fn usual_lifetime(&self) -> Lifetime {
        if self.is_section() { Lifetime::LastHandle } else { Lifetime::UntilRemoved }
    }

    /// Where the object is in the file system.
    pub(crate) fn path(&self) -> PathBuf {
        let path = self.name.strip_prefix("file:").map(PathBuf::from);
        path.unwrap_or_else(|| PathBuf::from(MEMORY_FOLDER).join(&self.name))
    }
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl std::ops::Deref for TestName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl Drop for TestName {
    fn drop(&mut self) {
        // Most tests have removed it.
        let _ = SharedObject::remove(&*self.name);
    }
}

/// The other process of most tests: does what it is told with one object at a time, and tells what came of it.
pub(crate) fn serve() -> impl FnMut(&str) -> String {
    let mut object: Option<SharedObject> = None;
    move |request| {
        let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
        let options = SharedObject::options().role("peer");
        let kept = |result: Result<SharedObject, mapio_shared::Error>, object: &mut Option<SharedObject>| match result {
            Ok(opened) => {
                *object = Some(opened);
                String::from("done")
            }
            Err(error) => line_of(&error),
        };
        let mine = || object.as_ref().expect("it was opened");
        match verb {
            "open" => kept(options.open(rest), &mut object),
            "read" => kept(options.map_mode(mapio_map::MapMode::ReadOnly).open(rest), &mut object),
            "create" => kept(options.len(4096).create(rest), &mut object),
            "create-last" => kept(options.len(4096).lifetime(Lifetime::LastHandle).create(rest), &mut object),
            "close" => {
                object = None;
                String::from("done")
            }
            "remove" => SharedObject::remove(rest).map_or_else(|error| line_of(&error), |()| String::from("done")),
            "clean" => {
                let names = [rest.parse().expect("a name")];
                format!("{:?}", mapio_shared::clean(&names, mapio_shared::Cleaning::Remove))
            }
            "store" => {
                let (offset, value) = rest.split_once(' ').expect("two numbers");
                let (offset, value) = (offset.parse().expect("a number"), value.parse::<u64>().expect("a number"));
                format!("{:?}", mine().view().store(offset, value))
            }
            "load" => format!("{:?}", mine().view().load::<u64>(rest.parse().expect("a number"))),
            "len" => mine().len().to_string(),
            _ => unreachable!("{verb}"),
        }
    }
}

/// An error and its cause, in one line.
pub(crate) fn line_of(error: &mapio_shared::Error) -> String {
    let source = std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
    format!("{error}{source}")
}
