//! Whatever goes wrong, the old destination is untouched and no temporary file is left.

// Symbolic links, owners, a small tmpfs.
#[cfg(target_os = "linux")]
#[path = "nothing_lost/linux.rs"]
mod system;
#[cfg(windows)]
#[path = "nothing_lost/windows.rs"]
mod system;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use mapio_copy::{CopyOptions, Error, Meter};
use mapio_testkit::{FileAt, report};

use crate::support::{assert_holds, every_way};

const OLD: &str = "the old destination";

#[test]
fn a_file_is_not_copied_onto_itself_by_any_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("file"), OLD).expect("room");
    fs::hard_link(path("file"), path("hard")).expect("room");
    fs::create_dir(path("folder")).expect("room");
    let round_about = path("folder").join("../file");
    for (name, way) in every_way() {
        for from in [&path("file"), &path("hard"), &round_about] {
            for to in [&path("file"), &path("hard"), &round_about, &dir.path().into()] {
                let error = way.copy(from, to).expect_err("the same file");
                assert!(matches!(error, Error::SameFile { .. }), "{name}: {from:?} to {to:?}: {error:?}");
            }
        }
    }
    assert_eq!(fs::read_to_string(path("file")).expect("untouched"), OLD);
    assert_holds(dir.path(), &["file", "folder", "hard"]);
}

#[test]
fn a_source_that_is_missing_or_unreadable_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let target = dir.path().join("target");
    fs::write(&target, OLD).expect("room");
    for (name, way) in every_way() {
        match way.copy(dir.path().join("missing"), &target) {
            Err(Error::Os { path, source, .. }) => {
                assert_eq!((path.ends_with("missing"), source.kind()), (true, ErrorKind::NotFound), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(fs::read_to_string(&target).expect("untouched"), OLD);
    assert_holds(dir.path(), &["target"]);
}

/// Copies a file to destinations that can't be made, in every way: each is an error of one of the kinds.
fn assert_named(source: &Path, cases: &[(&Path, &[ErrorKind])]) {
    for (name, way) in every_way() {
        for (target, kinds) in cases {
            match way.copy(source, target) {
                Err(Error::Os { source, .. }) => {
                    assert!(kinds.contains(&source.kind()), "{name}: {target:?}: {source}")
                }
                other => panic!("{name}: {target:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_destination_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("source"), "new").expect("room");
    let long = dir.path().join("x".repeat(300));
    let cases: [(&Path, &[ErrorKind]); 3] = [
        (&path("missing/target"), &[ErrorKind::NotFound]),
        // Windows tells of a folder on the way that is none as of one that is missing, and Wine of a long name, too.
        (&path("source/target"), &[ErrorKind::NotADirectory, ErrorKind::NotFound]),
        (&long, &[ErrorKind::InvalidFilename, ErrorKind::NotFound]),
    ];
    assert_named(&path("source"), &cases);
    assert_holds(dir.path(), &["source"]);
}

/// What is done to the source in the middle of a copy.
#[derive(Debug, Clone, Copy)]
enum Change {
    #[cfg_attr(windows, expect(dead_code, reason = "Windows cuts no file that is mapped"))]
    Shrink,
    Grow,
    Rewrite,
}

#[test]
fn a_source_that_changes_during_the_copy_is_an_error_with_every_engine() {
    // Two pieces of the limited copy below.
    let len = 8 << 20;
    let ways = every_way();
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder");
    for (name, way) in &ways {
        for change in system::CHANGES {
            change_during_copy(dir.path(), len, name, way, *change);
        }
    }
    let (ways, changes) = (ways.len(), system::CHANGES.len());
    report("a source that changes during the copy", &format!("{ways} ways, {changes} changes in the middle, all Err"));
}

/// Changes the source while it is copied, until that has come in the middle of a copy.
fn change_during_copy(dir: &Path, len: usize, name: &str, way: &CopyOptions, change: Change) {
    let (source, target) = (dir.join("source"), dir.join("target"));
    for _attempt in 0..100 {
        fs::write(&source, vec![7; len]).expect("room");
        fs::write(&target, OLD).expect("room");
        // The clock of file systems may tick only every few milliseconds: the change must not fall into the same tick.
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&source).and_then(|file| file.set_modified(long_ago)).expect("own file");
        let total = u64::try_from(len).expect("small");
        // An eighth of a second: a limited copy waits between its pieces.
        let meter = Meter::new().limit(NonZero::new(64 << 20).expect("not zero"));
        let file = File::options().write(true).open(&source).expect("own file");
        let (copied, in_the_middle) = thread::scope(|scope| {
            let copying = scope.spawn(|| way.copy_metered(&source, &target, &meter));
            while meter.bytes() == 0 && !copying.is_finished() {
                std::hint::spin_loop();
            }
            match change {
                Change::Shrink => file.set_len(4096),
                Change::Grow => FileAt::write_all_at(&file, b"more", total),
                Change::Rewrite => FileAt::write_all_at(&file, b"other", 100),
            }
            .expect("own file");
            // If bytes were still missing after the change, the copy has looked at the source later than that.
            let in_the_middle = meter.bytes() < total;
            (copying.join().expect("no panic"), in_the_middle)
        });
        if in_the_middle {
            match copied {
                Err(Error::SourceChanged { before, after, .. }) => {
                    assert_eq!(before.len, total);
                    let expected = match change {
                        Change::Shrink => 4096,
                        Change::Grow => total + 4,
                        Change::Rewrite => total,
                    };
                    assert_eq!(after.len, expected);
                }
                other => panic!("{name}, {change:?}: {other:?}"),
            }
            assert_eq!(fs::read_to_string(&target).expect("untouched"), OLD);
        }
        assert_holds(dir, &["source", "target"]);
        if in_the_middle {
            return;
        }
    }
    panic!("{name}, {change:?}: the change never came in the middle of a copy");
}
