//! Pictures and pages that can't be written whole.

use std::process::Command;

use mapio_testkit::{runner, skip};

use super::folder;
use crate::support::MAPIO;

#[test]
fn a_page_that_fails_in_the_middle_leaves_what_was_there() {
    if runner().is_some() {
        return skip(
            "bench::linux::a_page_that_fails_in_the_middle_leaves_what_was_there",
            "the command needs a runner",
        );
    }
    let folder = folder();
    for (option, name) in [("--html", "page.html"), ("--plot", "plot.svg")] {
        folder.write(name, "old");
        // In blocks of 1024 bytes: the first ones are written.
        let limited = format!("ulimit -f 4; exec '{MAPIO}' bench access a --runs 1 --json {option} {name}");
        let output = Command::new("bash").args(["-c", &limited]).current_dir(folder.root()).output().expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*said), (Some(2), &*format!("mapio: writing '{name}': File too large\n")));
        assert_eq!(folder.read(name), b"old");
    }
    assert_eq!(folder.names(), ["a", "page.html", "plot.svg"]);
}
