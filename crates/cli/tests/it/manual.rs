//! The manual: pages, completions and help, which are made of one definition.

// What reads pages and scripts, and shells that run the examples.
#[cfg(not(windows))]
mod linux;

use std::fs;

use crate::support::{Folder, no_such_file};

/// The commands that there are, each by its words: a page stands for each.
fn commands(folder: &Folder) -> Vec<Vec<String>> {
    fs::create_dir(folder.path("pages")).expect("room");
    let said = folder.done(&["man", "--dir", "pages"]);
    let names: Vec<_> = fs::read_dir(folder.path("pages")).expect("a folder").collect();
    assert_eq!(said, format!("{} pages in pages\n", names.len()));
    let mut names: Vec<_> =
        names.into_iter().map(|entry| entry.expect("a page").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    let words = |name: &String| name.trim_end_matches(".1").split('-').skip(1).map(str::to_owned).collect();
    names.iter().map(words).collect()
}

#[test]
fn a_page_is_printed_or_all_are_written() {
    let folder = Folder::new();
    let commands = commands(&folder);
    for command in ["", "copy", "pages", "shared create", "channel stat", "log tail", "bench copy", "man"] {
        assert!(commands.iter().any(|words| words.join(" ") == command), "{command}");
    }
    let first = folder.done(&["man"]);
    assert_eq!(folder.read("pages/mapio.1"), first.as_bytes());
    assert!(first.contains(".SH SYNOPSIS") && first.contains("mapio\\-copy(1)"), "{first}");
    // Written again, over what is there.
    folder.write("pages/mapio.1", "old");
    folder.done(&["man", "--dir", "pages"]);
    assert_eq!(folder.read("pages/mapio.1"), first.as_bytes());
}

#[test]
fn what_can_not_be_written_is_refused_before_a_page_is() {
    let folder = Folder::new();
    folder.fails(&["man", "--dir", "missing"], &["opening missing: ", &no_such_file()]);
    folder.write("file", "bytes");
    folder.fails(&["man", "--dir", "file"], &["opening file: it is not a folder"]);
    // The last page that is written is not the first.
    fs::create_dir_all(folder.path("pages/mapio-shared-write.1")).expect("room");
    folder.fails(&["man", "--dir", "pages"], &["mapio-shared-write.1' is there, and is not a regular file"]);
    let left: Vec<_> = fs::read_dir(folder.path("pages")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    folder.fails(&["completions", "csh"], &["'csh'"]);
}

#[test]
fn help_is_at_most_80_columns_wide_and_says_first_what_it_is_of() {
    let folder = Folder::new();
    for words in commands(&folder) {
        let name = words.join(" ");
        let words: Vec<_> = words.iter().map(String::as_str).chain(["--help"]).collect();
        // These only say that they are not there.
        if cfg!(windows) && ["device", "tour", "bench channel", "bench serial"].contains(&name.as_str()) {
            folder.fails(&words, &[&name]);
            continue;
        }
        let help = folder.done(&words);
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{words:?}: {help}");
        // That of copy begins as cp's does.
        let first = help.lines().next().expect("a line");
        assert_eq!(first.starts_with("Usage: "), words[0] == "copy", "{words:?}: {help}");
    }
    assert_eq!(folder.done(&["help", "copy"]), folder.done(&["copy", "--help"]));
}
