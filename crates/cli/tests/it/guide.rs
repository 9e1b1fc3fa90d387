//! The guide to Windows is true: the command prints what it says.

use std::path::Path;

use mapio_testkit::{pattern, transcripts};

use crate::support::Folder;

#[test]
fn the_commands_of_the_guide_to_windows_print_what_it_says() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/windows.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let folder = Folder::new();
    let mut other = pattern(100_000);
    other[5] = b'x';
    folder.write("big", pattern(100_000)).write("other", other);
    let mut ran = 0;
    for (line, printed) in transcripts(&guide) {
        let Some(words) = line.strip_prefix("mapio ") else { continue };
        let output = folder.mapio(&words.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // What is shown is what does not differ from run to run; what is not shown are figures.
        match printed.is_empty() {
            true => assert!(output.status.success(), "{line}: {said}"),
            false => assert_eq!((said, output.status.success()), (printed, false), "{line}"),
        }
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands were found: are the blocks still marked `cmd`?");
    assert_eq!(folder.read("copy"), pattern(100_000));
}
