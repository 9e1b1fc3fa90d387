//! Cursors, lines, searching, counting, and file descriptors, against the same on a plain slice.
#![expect(clippy::as_conversions, reason = "small numbers, from usize to u64")]

use std::fs::File;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::atomic::Ordering;

use mapio_map::{FaultKind, MapOptions, Mapping};
use mapio_testkit::{FileAt, pattern};
use proptest::prelude::*;

use crate::support::cut_mapping;

fn mapping_of(bytes: &[u8]) -> Mapping {
    let file = tempfile::tempfile().expect("a file");
    file.write_all_at(bytes, 0).expect("room");
    MapOptions::read_write().map(&file).expect("a mapping")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn needles_are_found_where_a_slice_has_them(
        // Few letters, so that there are matches and near matches.
        bytes in prop::collection::vec(0..3u8, 0..14_000),
        needle in prop::collection::vec(0..3u8, 0..12),
        planted in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = bytes;
        if let Some(index) = planted && bytes.len() > 5000 {
            let at = index.index(bytes.len() - 5000);
            bytes[at..at + 5000].fill(1);
        }
        let mapping = mapping_of(&bytes);
        let view = mapping.view();
        for needle in [needle, vec![1; 4999], vec![1; 5001]] {
            let first = (0..=bytes.len()).find(|&at| bytes[at..].starts_with(&needle));
            let last = (0..=bytes.len()).rev().find(|&at| bytes[at..].starts_with(&needle));
            prop_assert_eq!(view.find(&needle), Ok(first));
            prop_assert_eq!(view.rfind(&needle), Ok(last));
        }
        for byte in 0..4 {
            prop_assert_eq!(view.count(byte), Ok(bytes.iter().filter(|&&b| b == byte).count()));
        }
    }

    #[test]
    fn lines_are_those_of_a_slice(lens in prop::collection::vec(prop_oneof![5 => 0..200usize, 1 => 0..9000usize], 0..40), open in any::<bool>()) {
        let mut bytes: Vec<u8> = lens.iter().flat_map(|&len| [vec![b'x'; len], vec![b'\n']].concat()).collect();
        if open {
            bytes.extend_from_slice(b"the last line");
        }
        let mapping = mapping_of(&bytes);
        let (mut lines, mut seen) = (mapping.view().lines(), Vec::new());
        while let Some(line) = lines.next_line().expect("no fault") {
            seen.push(line.to_vec());
        }
        let expected: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
        let (last, expected) = expected.split_last().expect("split gives one");
        prop_assert_eq!(&seen[..expected.len()], expected);
        prop_assert_eq!(seen.get(expected.len()), (!last.is_empty()).then_some(last));
    }

    #[test]
    fn a_cursor_does_what_a_cursor_on_a_slice_does(
        ops in prop::collection::vec((0..6u8, 0..5000usize, -6000..6000i64), 1..60),
    ) {
        let mapping = mapping_of(&pattern(10_000));
        let mut ours = mapping.view().cursor();
        let mut bytes = pattern(10_000);
        let mut theirs = Cursor::new(&mut bytes[..]);
        for (op, len, distance) in ops {
            match op {
                0 => {
                    let (mut a, mut b) = (vec![0; len], vec![0; len]);
                    prop_assert_eq!(ours.read(&mut a).expect("no fault"), theirs.read(&mut b).expect("memory"));
                    prop_assert_eq!(a, b);
                }
                1 => prop_assert_eq!(ours.write(&pattern(len)).expect("no fault"), theirs.write(&pattern(len)).expect("memory")),
                2 => prop_assert_eq!(ours.seek(SeekFrom::Current(distance)).ok(), theirs.seek(SeekFrom::Current(distance)).ok()),
                3 => prop_assert_eq!(ours.seek(SeekFrom::End(distance)).ok(), theirs.seek(SeekFrom::End(distance)).ok()),
                4 => prop_assert_eq!(ours.seek(SeekFrom::Start(len as u64)).ok(), theirs.seek(SeekFrom::Start(len as u64)).ok()),
                _ => {
                    let (mut a, mut b) = (Vec::new(), Vec::new());
                    ours.read_until(100, &mut a).expect("no fault");
                    theirs.read_until(100, &mut b).expect("memory");
                    prop_assert_eq!(a, b);
                }
            }
            prop_assert_eq!(ours.position(), theirs.position());
        }
    }
}

#[test]
fn what_looks_for_bytes_stops_at_the_byte_that_cannot_be_read() {
    let (_file, mapping) = cut_mapping(MapOptions::read_only(), 20_000, 8192);
    let view = mapping.view();
    let truncated = FaultKind::Truncated { file_len: 8192 };
    assert_eq!(view.find(&[0]).expect_err("cut").kind, truncated);
    assert_eq!(view.rfind(&[0]).expect_err("cut").kind, truncated);
    assert_eq!(view.count(0).expect_err("cut").kind, truncated);
    assert_eq!(view.find(&pattern(300)), Ok(Some(0)), "found before the cut");
    let near = view.slice(8000..).expect("inside");
    assert_eq!(near.find(&pattern(20_000)[8100..8192]), Ok(Some(100)), "up to the last byte before it");
    let mut lines = view.lines();
    let fault = std::iter::from_fn(|| lines.next_line().map(|line| line.map(<[u8]>::len)).transpose())
        .find_map(Result::err)
        .expect("cut");
    assert_eq!((fault.kind, fault.offset), (truncated, 8192));
    assert_eq!(lines.next_line(), Err(fault), "and again");
    let mut cursor = view.cursor();
    cursor.seek(SeekFrom::Start(8000)).expect("inside");
    let mut rest = Vec::new();
    let error = cursor.read_to_end(&mut rest).expect_err("cut");
    assert_eq!((error.kind(), rest.len()), (io::ErrorKind::UnexpectedEof, 192));
}

#[test]
fn descriptors_take_and_give_the_bytes_of_a_view_and_faults_are_errors() {
    let (_file, cut) = cut_mapping(MapOptions::read_write(), 20_000, 8192);
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let view = cut.view();
    view.slice(8000..8100).expect("inside").write_all_to(&writer).expect("a pipe takes it");
    let mut seen = [0; 100];
    reader.read_exact(&mut seen).expect("it comes out");
    assert_eq!(seen, pattern(20_000)[8000..8100]);
    let error = view.slice(8192..).expect("inside").write_to(&writer).expect_err("cut");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let error = view.slice(8000..).expect("inside").write_all_to(&writer).expect_err("cut");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);

    let source = std::env::current_exe().and_then(File::open).expect("this program");
    let mut expected = vec![0; 8192];
    // By another open file, whose position is its own.
    let again = std::env::current_exe().and_then(File::open).expect("this program");
    again.read_exact_at(&mut expected, 0).expect("longer than that");
    let mut filled = 0;
    while filled < 8192 {
        filled += view.slice(filled..8192).expect("inside").read_from(&source).expect("bytes");
    }
    let mut seen = vec![0; 8192];
    view.read_exact_at(0, &mut seen).expect("no fault");
    assert!(seen == expected);
    let error = view.slice(8192..).expect("inside").read_from(&source).expect_err("cut");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(view.slice(..0).expect("empty").read_from(&source).expect("nothing to do"), 0);
    assert_eq!(view.slice(..0).expect("empty").write_to(&writer).expect("nothing to do"), 0);
    // A descriptor that is not for writing is its own error, not a fault.
    // `EBADF`; on Windows `ERROR_ACCESS_DENIED`.
    let refused = if cfg!(windows) { 5 } else { 9 };
    assert_eq!(view.write_to(&reader).expect_err("the wrong end").raw_os_error(), Some(refused));
}

#[test]
fn bytes_beyond_4_gib_of_a_file_are_reached_by_mappings_that_begin_there() {
    const FAR: u64 = (4 << 30) + 4096 + 104;
    let file = tempfile::tempfile().expect("a temporary file");
    file.write_all_at(&pattern(10_000), FAR).expect("the rest is a hole");
    let mut mapping = MapOptions::read_write().offset(FAR).len(8_000).map(&file).expect("mapped");
    assert_eq!((mapping.file_offset(), mapping.file_offset_of(7)), (FAR, FAR + 7));
    let mut seen = vec![0; 8_000];
    mapping.view().read_exact_at(0, &mut seen).expect("there");
    assert_eq!(seen, pattern(8_000));
    mapping.view().store(5_000, 0x1234_u16).expect("there");
    let first = mapping.view().atomic::<u64>(0).expect("aligned").swap(7, Ordering::Relaxed).expect("there");
    assert_eq!(first.to_ne_bytes(), pattern(8)[..]);
    mapping.resize(10_000).expect("there");
    assert_eq!(mapping.view().load::<u8>(9_999), Ok(pattern(10_000)[9_999]));
    let (mut bytes, mut word) = ([0; 2], [0; 8]);
    file.read_exact_at(&mut bytes, FAR + 5_000).expect("there");
    file.read_exact_at(&mut word, FAR).expect("there");
    assert_eq!((bytes, word), (0x1234_u16.to_ne_bytes(), 7_u64.to_ne_bytes()));
    mapping.view().flush().expect("written");
    assert_eq!(mapping.view().check_backed(), Ok(()));
    if cfg!(windows) {
        // A file is not cut while it is mapped.
        return;
    }
    file.set_len(4 << 30).expect("a cut");
    assert_eq!(mapping.view().load::<u8>(0).expect_err("cut off").kind, FaultKind::Truncated { file_len: 4 << 30 });
    assert_eq!(mapping.view().check_backed().expect_err("cut off").offset, 0);
    // All of it takes more addresses than a process of 32 bits has.
    file.set_len(FAR).expect("a hole");
    assert_eq!(MapOptions::read_only().map(&file).is_ok(), usize::try_from(FAR).is_ok());
}
