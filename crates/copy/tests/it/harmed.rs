//! Others at work on the same names while a copy runs: nothing outside the source is read, nothing outside the
//! destination is written, and what two copies make is whole.

use std::fs;
use std::num::NonZero;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mapio_copy::{CopyOptions, Existing, Follow, Placement, Target};
use mapio_testkit::{pattern, report};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::{assert_no_temporaries, copy_all, line_of, names_below};

const CANARY: &str = "nobody's business";
const ROUNDS: usize = 60;

fn options() -> CopyOptions {
    CopyOptions::new().recursive().follow(Follow::Never).threads(NonZero::new(4).expect("not zero"))
}

/// Does something again and again while `copies` runs, and at least once.
fn while_harmed(harm: impl Fn() + Sync, copies: impl FnOnce()) {
    let (begun, over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                harm();
                begun.store(true, Ordering::Relaxed);
            }
        });
        while !begun.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        // Also when an assertion of the copies fails.
        let _end = End(&over);
        copies();
    });
}

/// Says that it is over when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn make_tree(top: &Path) {
    for folder in 0..4 {
        let path = top.join(format!("folder/{folder}/below"));
        fs::create_dir_all(&path).expect("room");
        for file in 0..6 {
            fs::write(path.join(file.to_string()), "bytes").expect("room");
        }
    }
}

/// A folder outside, with names that the tree has, too.
fn make_outside(path: &Path) {
    make_tree(path);
    for name in names_below(path) {
        if name.is_file() {
            fs::write(name, CANARY).expect("room");
        }
    }
}

/// Exchanges two names, if both are there.
fn exchange(left: &Path, right: &Path) {
    let _ = renameat_with(CWD, left, CWD, right, RenameFlags::EXCHANGE);
}

#[test]
fn a_link_in_the_place_of_a_folder_of_the_source_is_not_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, outside, to) = (dir.path().join("from"), dir.path().join("outside"), dir.path().join("to"));
    make_tree(&from);
    make_outside(&outside);
    let link = dir.path().join("link");
    symlink(outside.join("folder/1"), &link).expect("room");
    let (mut files, mut failures) = (0, 0);
    while_harmed(
        || exchange(&from.join("folder/1"), &link),
        || {
            for _round in 0..ROUNDS {
                let (_, errors) = copy_all(&options(), from_ref(&from), Target::Name(&to));
                failures += errors.len();
                for path in
                    names_below(&to).into_iter().filter(|path| path.symlink_metadata().is_ok_and(|it| it.is_file()))
                {
                    assert_eq!(fs::read_to_string(&path).expect("the copy"), "bytes", "{path:?}: {errors:?}");
                    files += 1;
                }
                fs::remove_dir_all(&to).expect("own tree");
            }
        },
    );
    report("a link in the place of a source folder", &format!("{files} files right, {failures} errors"));
}

#[test]
fn a_link_in_the_place_of_a_folder_of_the_destination_is_not_followed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, outside, to) = (dir.path().join("from"), dir.path().join("outside"), dir.path().join("to"));
    make_tree(&from);
    let link = dir.path().join("link");
    let mut failures = 0;
    for placement in [Placement::Auto, Placement::Atomic, Placement::InPlace] {
        make_outside(&outside);
        symlink(outside.join("folder/1"), &link).expect("room");
        while_harmed(
            || exchange(&to.join("folder/1"), &link),
            || {
                for _round in 0..ROUNDS {
                    let (_, errors) = copy_all(&options().placement(placement), from_ref(&from), Target::Name(&to));
                    failures += errors.len();
                }
            },
        );
        for path in names_below(&outside).into_iter().filter(|path| path.is_file()) {
            assert_eq!(fs::read_to_string(&path).expect("outside"), CANARY, "{placement:?}: {path:?}");
        }
        let count = names_below(&outside).len();
        fs::remove_dir_all(&outside).expect("own tree");
        make_outside(&outside);
        assert_eq!(count, names_below(&outside).len(), "{placement:?}: something was made outside");
        for left in [&outside, &to] {
            fs::remove_dir_all(left).expect("own tree");
        }
        if fs::remove_file(&link).is_err() {
            fs::remove_dir_all(&link).expect("the folder, after an odd number of exchanges");
        }
    }
    report("a link in the place of a destination folder", &format!("{} copies, {failures} errors", 3 * ROUNDS));
}

#[test]
fn a_folder_that_is_moved_away_ends_its_copy_and_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, to, away) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("away"));
    // Deeper than the folders that stay open.
    let deep: std::path::PathBuf = ["down"; 90].iter().collect();
    fs::create_dir_all(from.join("moving").join(&deep)).expect("room");
    make_tree(&from.join("staying"));
    let here = names_below(&std::env::current_dir().expect("a folder")).len();
    let mut failures = 0;
    while_harmed(
        || {
            let _ = fs::rename(from.join("moving/down/down"), &away);
            let _ = fs::rename(&away, from.join("moving/down/down"));
        },
        || {
            for _round in 0..20 {
                let one = options().threads(NonZero::<usize>::MIN);
                let (_, errors) = copy_all(&one, from_ref(&from), Target::Name(&to));
                failures += errors.len();
                assert!(errors.iter().all(|error| line_of(error).contains("moving")), "{errors:?}");
                assert!(names_below(&to.join("staying")).len() == names_below(&from.join("staying")).len());
                fs::remove_dir_all(&to).expect("own tree");
            }
        },
    );
    assert_eq!(names_below(&std::env::current_dir().expect("a folder")).len(), here, "something was made here");
    report("a folder that is moved away", &format!("20 copies, {failures} errors"));
}

#[test]
fn names_that_vanish_during_the_walk_are_told_of() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    make_tree(&from);
    let (file, folder) = (from.join("folder/1/below/3"), from.join("folder/2"));
    while_harmed(
        || {
            let _ = fs::remove_file(&file);
            let _ = fs::remove_dir_all(&folder);
            let _ = fs::write(&file, "bytes");
            let _ = fs::create_dir_all(folder.join("below"));
        },
        || {
            for _round in 0..ROUNDS {
                let (_, errors) = copy_all(&options(), from_ref(&from), Target::Name(&to));
                // The file is made before it is written: what was read of it may be nothing yet.
                let names = ["folder/1/below/3", "folder/2"];
                for error in &errors {
                    assert!(names.iter().any(|name| line_of(error).contains(name)), "{}", line_of(error));
                }
                assert_eq!(fs::read_to_string(to.join("folder/1/below/4")).expect("it stays"), "bytes");
                assert_no_temporaries(&to, "vanishing");
                fs::remove_dir_all(&to).expect("own tree");
            }
        },
    );
}

#[test]
fn two_copies_to_one_name_leave_one_of_both_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let contents = [pattern(300_000), vec![b'x'; 200_000]];
    let mut failed = 0;
    for (name, prepared, options) in [
        ("new file", false, CopyOptions::new()),
        ("replaced file", true, CopyOptions::new()),
        ("tree", false, options()),
        ("tree over an old one", true, options()),
        ("atomic", true, options().placement(Placement::Atomic)),
        ("new file that is to be kept", false, CopyOptions::new().existing(Existing::Fail)),
    ] {
        let is_tree = name.starts_with("tree");
        let below = |top: &str| dir.path().join(top).join(if is_tree { "file" } else { "" });
        for round in 0..ROUNDS {
            for (from, bytes) in ["left", "right"].iter().zip(&contents) {
                let _ = if is_tree { fs::create_dir(dir.path().join(from)) } else { Ok(()) };
                fs::write(below(from).components().as_path(), bytes).expect("room");
            }
            let to = dir.path().join("to");
            if prepared {
                let _ = if is_tree { fs::create_dir(&to) } else { Ok(()) };
                fs::write(below("to").components().as_path(), "old").expect("room");
            }
            let copy = |from: &str| copy_all(&options, &[dir.path().join(from)], Target::Name(&to)).1;
            let (left, right) = thread::scope(|scope| {
                let left = scope.spawn(|| copy("left"));
                (copy("right"), left.join().expect("no panic"))
            });
            let errors = left.len() + right.len();
            failed += errors;
            let bytes = fs::read(below("to").components().as_path()).expect("one of both");
            assert!(contents.contains(&bytes), "{name}, {round}: {} bytes, {left:?}, {right:?}", bytes.len());
            assert!(errors < 2, "{name}: both have failed: {left:?}, {right:?}");
            assert_no_temporaries(dir.path(), name);
            for top in ["left", "right", "to"] {
                let path = dir.path().join(top);
                let _ = if is_tree { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }
    }
    report("two copies to one name", &format!("{} pairs, {failed} errors", 6 * ROUNDS));
}

#[test]
fn a_destination_that_becomes_the_source_is_not_cut() {
    let dir = tempfile::tempdir().expect("a folder");
    let (from, to, link) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("link"));
    let bytes = pattern(5000);
    fs::write(&from, &bytes).expect("room");
    fs::write(&to, "old").expect("room");
    fs::hard_link(&from, &link).expect("room");
    let mut failures = 0;
    while_harmed(
        || exchange(&to, &link),
        || {
            for round in 0..20 * ROUNDS {
                let in_place = options().placement(Placement::InPlace);
                let (_, errors) = copy_all(&in_place, from_ref(&from), Target::Name(&to));
                failures += errors.len();
                assert!(fs::read(&from).expect("the source") == bytes, "round {round}: {errors:?}");
            }
        },
    );
    report("a destination that becomes the source", &format!("{} copies, {failures} errors", 20 * ROUNDS));
}
