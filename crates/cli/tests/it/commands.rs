//! `compare` and `bench copy`: what they do, what they print, and with which status they end.

// Pipes with names, tmpfs, page faults as Linux counts them, a shell.
#[cfg(not(windows))]
mod linux;

use mapio_testkit::{pattern, skip};
use serde_json::Value;

use crate::support::{self, Folder, no_such_file};

#[test]
fn bad_words_are_explained_with_status_2() {
    let folder = Folder::new();
    folder.write("a", "bytes");
    folder.fails(&["bench", "copy", "a", "--runs", "0"], &["'0'", "--runs"]);
    folder.fails(&["frobnicate"], &["'frobnicate'"]);
    assert_eq!(folder.mapio(&[]).status.code(), Some(2));
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn compare_answers_by_status_and_tells_the_first_difference() {
    let folder = Folder::new();
    folder.write("a", "same bytes").write("b", "same bytes").write("c", "same gytes").write("d", "same").write("e", "");
    assert_eq!(folder.done(&["compare", "a", "b"]), "");
    let differ = |words: &[&str], expected: &str| {
        let output = folder.mapio(words);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), expected);
    };
    differ(&["compare", "a", "c"], "'a' and 'c' differ at offset 5: 0x62, 0x67");
    differ(&["compare", "a", "d"], "'a' and 'd' differ at offset 4: 0x20, end of file");
    differ(&["compare", "e", "a"], "'e' and 'a' differ at offset 0: end of file, 0x73");
    differ(&["compare", "--json", "a", "d"], r#"{"same":false,"bytes":null,"offset":4,"left":32,"right":null}"#);
    let same = r#"{"same":true,"bytes":10,"offset":null,"left":null,"right":null}"#;
    assert_eq!(folder.done(&["compare", "--json", "a", "b"]).trim_end(), same);
    folder.fails(&["compare", "a", "missing"], &["'missing'", &no_such_file()]);
    folder.fails(&["compare", "a", "."], &["'.' is a directory"]);
}

#[test]
fn bench_copy_measures_every_buffer_and_every_engine() {
    let folder = Folder::new();
    folder.write("a", pattern(3_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "1", "--json", "a"]);
    let json: Value = serde_json::from_str(&said).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    let buffers: Vec<_> = rows.iter().map(|row| row["buffer_bytes"].as_u64()).collect();
    let kib = |n: u64| Some(n << 10);
    let expected = [Some(5), Some(10), Some(100), kib(1), kib(4), kib(16), kib(64), kib(256)];
    assert_eq!(buffers[..8], expected);
    assert_eq!(buffers[8..13], [kib(1024), kib(4096), kib(16384), kib(65536), None]);
    assert_eq!(rows[12]["engine"], "mapped");
    let refused = json["refused"].as_array().expect("engines");
    assert_eq!(rows.len() + refused.len(), 12 + 8, "every engine but read-write once: {said}");
    assert!(refused.iter().all(|engine| engine["reason"].as_str().is_some_and(|reason| !reason.is_empty())), "{said}");
    assert_eq!(rows[0]["extrapolated"], true, "5 bytes would take 600,000 reads");
    assert_eq!(rows[1]["extrapolated"], false);
    let calls: Vec<_> = rows.iter().filter_map(|row| row["system_calls"].as_f64()).collect();
    assert_eq!(calls[1], 600_000.0, "a read and a write for every ten bytes");
    assert_eq!(calls[0], 1_200_000.0, "extrapolated");
    assert!(calls[12] <= 11.0, "nine for the two mappings, one or two for the room: {}", calls[12]);
    assert_eq!(folder.names(), ["a"]);
}

#[test]
fn bench_copy_prints_a_table_and_two_lines_of_what_it_shows() {
    let folder = Folder::new();
    folder.write("a", pattern(2_000_000));
    let said = folder.done(&["bench", "copy", "--runs", "2", "--to", ".", "a"]);
    let table = &said[said.find("buffer or engine").expect("a head")..];
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 1 + 20 + 1 + 2, "{said}");
    assert!(lines[22].starts_with("System calls are what small buffers pay for: 5 bytes take 800000 calls"), "{said}");
    assert!(lines[23].starts_with("Page faults ") && lines[23].ends_with(", the best buffer."), "{said}");
    // A row that is no refusal fits a terminal.
    let rows = lines[..21].iter().filter(|line| !line.contains(" can't: "));
    assert!(rows.map(|line| line.chars().count()).max() <= Some(80), "{said}");
    folder.write("small", "bytes");
    assert!(folder.done(&["bench", "copy", "--runs", "1", "small"]).ends_with("take one of some megabytes.\n"));
    folder.write("empty", "");
    folder.fails(&["bench", "copy", "empty"], &["'empty' has no length"]);
    folder.fails(&["bench", "copy", "missing"], &["'missing'", &no_such_file()]);
    folder.fails(&["bench", "copy", "."], &["'.' is a directory, not a regular file"]);
    folder.fails(&["bench", "copy", "a", "--to", "missing"], &["'missing'"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    folder.write("a", pattern(200_000));
    if mapio_testkit::runner().is_some() {
        return skip("a_reader_that_goes_away_is_no_error", "the command needs a runner here");
    }
    let words = ["bench", "copy", "--runs", "1", "a"];
    let mut child = support::started(support::mapio(&words).current_dir(folder.root()));
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    // And it changes no answer.
    folder.write("b", "other");
    let mut child = support::started(support::mapio(&["compare", "a", "b"]).current_dir(folder.root()));
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}
