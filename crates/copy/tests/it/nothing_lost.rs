//! Whatever goes wrong, the old destination is untouched and no temporary file is left.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, MetadataExt, chown, symlink};
use std::path::Path;
use std::thread;

use mapio_copy::{CopyOptions, Error, Meter, Refusal};
use mapio_testkit::{SmallFs, pattern, report, skip};

use crate::support::{assert_holds, every_way};

const OLD: &str = "the old destination";

#[test]
fn a_file_is_not_copied_onto_itself_by_any_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("file"), OLD).expect("room");
    fs::hard_link(path("file"), path("hard")).expect("room");
    symlink("file", path("soft")).expect("room");
    symlink("soft", path("softer")).expect("room");
    fs::create_dir(path("folder")).expect("room");
    let round_about = path("folder").join("../file");
    for (name, way) in every_way() {
        for from in [&path("file"), &path("hard"), &path("soft"), &path("softer"), &round_about] {
            for to in [&path("file"), &path("hard"), &path("soft"), &path("softer"), &round_about, &dir.path().into()] {
                let error = way.copy(from, to).expect_err("the same file");
                assert!(matches!(error, Error::SameFile { .. }), "{name}: {from:?} to {to:?}: {error:?}");
            }
        }
    }
    assert_eq!(fs::read_to_string(path("file")).expect("untouched"), OLD);
    assert_holds(dir.path(), &["file", "folder", "hard", "soft", "softer"]);
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

#[test]
fn a_destination_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name| dir.path().join(name);
    fs::write(path("source"), "new").expect("room");
    symlink("nowhere", path("dangling")).expect("room");
    symlink("loop", path("loop")).expect("room");
    let long = dir.path().join("x".repeat(300));
    let cases: [(&Path, &[ErrorKind]); 5] = [
        (Path::new("/proc/mapio"), &[ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::Unsupported]),
        (&path("missing/target"), &[ErrorKind::NotFound]),
        (&path("source/target"), &[ErrorKind::NotADirectory]),
        (&path("target/"), &[ErrorKind::NotADirectory]),
        (&long, &[ErrorKind::InvalidFilename]),
    ];
    for (name, way) in every_way() {
        for (target, kinds) in cases {
            match way.copy(path("source"), target) {
                Err(Error::Os { source, .. }) => {
                    assert!(kinds.contains(&source.kind()), "{name}: {target:?}: {source}")
                }
                other => panic!("{name}: {target:?}: {other:?}"),
            }
        }
        assert!(way.copy(path("source"), path("loop")).is_err(), "{name}");
        let dangling = way.copy(path("source"), path("dangling"));
        assert!(matches!(dangling, Err(Error::Refused { refusal: Refusal::Dangling, .. })), "{name}: {dangling:?}");
    }
    assert_holds(dir.path(), &["dangling", "loop", "source"]);
}

/// The owner of a file that is replaced keeps it; root only can give a file away.
#[test]
fn a_destination_keeps_its_owner() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::write(&source, "new").expect("room");
    fs::write(&target, OLD).expect("room");
    if let Err(error) = chown(&target, Some(65534), Some(65533)) {
        return skip("a_destination_keeps_its_owner", &format!("giving a file away needs root: {error}"));
    }
    for (name, way) in every_way() {
        way.copy(&source, &target).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let metadata = fs::metadata(&target).expect("the copy");
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533), "{name}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_old_destination_stays() {
    let test = "a_full_disk_is_an_error_and_the_old_destination_stays";
    let fs = match SmallFs::tmpfs(1 << 20) {
        Ok(fs) => fs,
        Err(error) => return skip(test, &format!("mounting a tmpfs needs root: {error}")),
    };
    let dir = tempfile::tempdir().expect("a folder");
    let source = dir.path().join("source");
    fs::write(&source, pattern(40 << 20)).expect("room");
    let target = fs.path().join("target");
    fs::write(&target, OLD).expect("room");
    for (name, way) in every_way() {
        for to in [&target, &fs.path().join("new")] {
            match way.copy(&source, to) {
                Err(Error::Os { source, .. }) => assert_eq!(source.kind(), ErrorKind::StorageFull, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(fs::read_to_string(&target).expect("untouched"), OLD, "{name}");
        assert_holds(fs.path(), &["target"]);
    }
}

/// What is done to the source in the middle of a copy.
#[derive(Debug, Clone, Copy)]
enum Change {
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
        for change in [Change::Shrink, Change::Grow, Change::Rewrite] {
            change_during_copy(dir.path(), len, name, way, change);
        }
    }
    report("a source that changes during the copy", &format!("{} ways, 3 changes in the middle, all Err", ways.len()));
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
                Change::Grow => file.write_all_at(b"more", total),
                Change::Rewrite => file.write_all_at(b"other", 100),
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
