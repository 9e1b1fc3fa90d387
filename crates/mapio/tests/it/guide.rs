//! The guide to Windows is true: its examples print what it says.

use std::fs;
use std::io;
use std::path::Path;

use mapio_testkit::{pattern, transcripts};

use crate::{command, pair};

#[test]
fn the_examples_of_the_guide_to_windows_print_what_it_says() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/windows.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("big"), pattern(100_000)).expect("room");
    let _alone = pair::win32::alone();
    let missing = io::Error::from_raw_os_error(2).to_string();
    let mut ran = 0;
    for (line, printed) in transcripts(&guide) {
        let mut words = line.split(' ');
        let Some(name) = words.next().filter(|name| *name != "mapio") else { continue };
        let output = command(name).args(words).current_dir(folder.path()).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        // The guide has Wine's words for what Windows has its own for.
        let printed = printed.replace("File not found. (os error 2)", &missing);
        assert_eq!(String::from_utf8_lossy(&said), printed, "{line}");
        assert_eq!(output.status.success(), printed.is_empty(), "{line}");
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands were found: are the blocks still marked `cmd`?");
    for copy in ["copy1", "copy2"] {
        assert_eq!(fs::read(folder.path().join(copy)).expect("a copy"), pattern(100_000), "{copy}");
    }
    assert!(!folder.path().join("copy3").exists());
}
