//! Pictures and pages that can't be written whole.

use std::fs;

use mapio_testkit::{SmallFs, skip};

use super::folder;

#[test]
fn a_page_that_fails_in_the_middle_leaves_what_was_there() {
    // Of three pages of memory: one for what is there, two for less than what is to be written.
    let Ok(small) = SmallFs::tmpfs(3 * 4096) else {
        return skip("bench::linux::a_page_that_fails_in_the_middle_leaves_what_was_there", "it needs root");
    };
    let folder = folder();
    for (option, name) in [("--html", "page.html"), ("--plot", "plot.png"), ("--plot", "plot.svg")] {
        let path = small.path().join(name);
        fs::write(&path, "old").expect("room");
        let target = path.to_str().expect("UTF-8");
        let output = folder.mapio(&["bench", "access", "a", "--runs", "1", "--json", option, target]);
        let expected = format!("mapio: writing '{target}': No space left on device\n");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr)), (Some(2), expected.into()));
        assert_eq!(fs::read(&path).expect("it is there"), b"old");
        assert_eq!(fs::read_dir(small.path()).expect("a folder").count(), 1);
        fs::remove_file(path).expect("own file");
    }
}
