//! Options together: what one of them promises, no other takes away.

use std::fs;

use mapio_copy::{Attribute, CopyOptions, Existing, Preserve, Target};

use crate::support::copy_all;

/// What is to be kept, beginning with nothing.
fn preserve(change: impl FnOnce(&mut Preserve)) -> Preserve {
    let mut preserve = Preserve::default();
    change(&mut preserve);
    preserve
}

#[test]
fn names_of_a_file_are_not_linked_to_a_destination_that_was_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let (source, target) = (dir.path().join("source"), dir.path().join("target"));
    fs::create_dir(&source).expect("room");
    fs::create_dir(&target).expect("room");
    fs::write(source.join("a"), "new").expect("room");
    fs::hard_link(source.join("a"), source.join("b")).expect("room");
    fs::write(target.join("a"), "kept").expect("room");
    let links = preserve(|preserve| preserve.links = Attribute::Require);
    let options = CopyOptions::new().preserve(links).existing(Existing::Keep);
    let (summary, errors) = copy_all(&options, &[source.join("a"), source.join("b")], Target::Folder(&target));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((summary.files, summary.skipped, summary.links), (1, 1, 0));
    assert_eq!(fs::read_to_string(target.join("a")).expect("a file"), "kept");
    assert_eq!(fs::read_to_string(target.join("b")).expect("a file"), "new");
}
