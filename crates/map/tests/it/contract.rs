//! The contract of views: one table of ranges, run over every operation and every mode.

use std::fs::File;

use mapio_map::{Access, Error, Fault, FaultKind, MapMode, MapOptions, View};
use mapio_testkit::{FileAt, pattern};

use crate::support::pattern_file;

const LEN: usize = 10_000;
const MODES: [MapMode; 3] = [MapMode::ReadOnly, MapMode::ReadWrite, MapMode::CopyOnWrite];

/// Offset, length, and how many of these bytes are inside a view of [`LEN`] bytes: all of them or not.
const RANGES: [(usize, usize, usize); 18] = [
    (0, 0, 0),
    (0, 1, 1),
    (0, LEN, LEN),
    (0, LEN + 1, LEN),
    (1, 8, 8),
    (3, 16, 16),
    (4095, 2, 2),
    (4096, 4096, 4096),
    (LEN - 1, 1, 1),
    (LEN - 1, 2, 1),
    (LEN - 8, 8, 8),
    (LEN - 7, 8, 7),
    (LEN, 0, 0),
    (LEN, 1, 0),
    (LEN + 1, 0, 0),
    (LEN + 1, 1, 0),
    (usize::MAX, 0, 0),
    (usize::MAX, 2, 0),
];

fn out_of_bounds(offset: usize, access: Access) -> Fault {
    let mut fault = mapping_free_fault();
    fault.offset = offset;
    fault.kind = FaultKind::OutOfBounds { view_len: LEN };
    fault.access = access;
    fault
}

/// `Fault` is `non_exhaustive`: the only way to one from outside is to cause it.
fn mapping_free_fault() -> Fault {
    let empty = MapOptions::read_only().map(pattern_file(0)).expect("a mapping");
    empty.view().load::<u8>(0).expect_err("an empty view has no byte")
}

/// Whether the whole range lies inside the view, so that the exact operations take it.
fn fits(offset: usize, len: usize) -> bool {
    offset <= LEN && len <= LEN - offset
}

#[test]
fn reads_answer_for_every_range_what_the_file_holds_or_out_of_bounds() {
    let expected = pattern(LEN);
    for mode in MODES {
        let mapping = MapOptions::new(mode).map(pattern_file(LEN)).expect("a mapping");
        let view = mapping.view();
        for (offset, len, inside) in RANGES {
            let mut buf = vec![0xee; len];
            assert_eq!(view.read_at(offset, &mut buf), Ok(inside), "{mode:?} read_at {offset} {len}");
            if inside > 0 {
                assert_eq!(buf[..inside], expected[offset..offset + inside]);
            }
            assert!(buf[inside..].iter().all(|&byte| byte == 0xee), "bytes behind the count are untouched");

            let mut buf = vec![0xee; len];
            let exact = view.read_exact_at(offset, &mut buf);
            if fits(offset, len) {
                assert_eq!(exact, Ok(()), "{mode:?} read_exact_at {offset} {len}");
                assert_eq!(buf, expected[offset..offset + len]);
            } else {
                assert_eq!(exact, Err(out_of_bounds(offset, Access::Read)));
                assert!(buf.iter().all(|&byte| byte == 0xee), "nothing is read out of bounds");
            }
        }
    }
}

#[test]
fn writes_change_for_every_range_what_lies_inside_or_nothing() {
    for mode in [MapMode::ReadWrite, MapMode::CopyOnWrite] {
        for (offset, len, inside) in RANGES {
            let new: Vec<u8> = pattern(len + 100)[100..].to_vec();
            let check = |what: &str, exact: bool, write: &dyn Fn(&View<'_>) -> Result<usize, Fault>| {
                let file = pattern_file(LEN);
                let mapping = MapOptions::new(mode).map(&file).expect("a mapping");
                let mut expected = pattern(LEN);
                let answer = write(&mapping.view());
                if exact && !fits(offset, len) {
                    assert_eq!(answer, Err(out_of_bounds(offset, Access::Write)), "{mode:?} {what} {offset} {len}");
                } else {
                    assert_eq!(answer, Ok(inside), "{mode:?} {what} {offset} {len}");
                    if inside > 0 {
                        expected[offset..offset + inside].copy_from_slice(&new[..inside]);
                    }
                }
                let mut seen = vec![0; LEN];
                mapping.view().read_exact_at(0, &mut seen).expect("all of it");
                assert_eq!(seen, expected, "{mode:?} {what} {offset} {len}");
                let in_file = if mode == MapMode::ReadWrite { expected } else { pattern(LEN) };
                assert_eq!(read_file(&file), in_file, "{mode:?} {what} {offset} {len}");
            };
            check("write_at", false, &|view| view.write_at(offset, &new));
            check("write_all_at", true, &|view| view.write_all_at(offset, &new).map(|()| len));
        }
    }
}

#[test]
fn fill_sets_exactly_its_range() {
    for (offset, len, _) in RANGES {
        let file = pattern_file(LEN);
        let mapping = MapOptions::read_write().map(&file).expect("a mapping");
        let Some(end) = offset.checked_add(len) else { continue };
        let mut expected = pattern(LEN);
        if fits(offset, len) {
            assert_eq!(mapping.view().fill(offset..end, 0xff), Ok(()));
            expected[offset..end].fill(0xff);
        } else {
            assert_eq!(mapping.view().fill(offset..end, 0xff), Err(out_of_bounds(offset, Access::Write)));
        }
        assert_eq!(read_file(&file), expected, "fill {offset} {len}");
    }
    let mapping = MapOptions::read_write().map(pattern_file(LEN)).expect("a mapping");
    #[expect(clippy::reversed_empty_ranges, reason = "the case under test")]
    let backwards = mapping.view().fill(9..3, 0);
    assert_eq!(backwards, Err(out_of_bounds(9, Access::Write)));
    assert_eq!(mapping.view().fill(..=usize::MAX, 0), Err(out_of_bounds(0, Access::Write)));
}

#[test]
fn loads_and_stores_of_every_width_work_at_every_alignment_and_not_past_the_end() {
    let file = pattern_file(LEN);
    let mapping = MapOptions::read_write().map(&file).expect("a mapping");
    let view = mapping.view();
    let bytes = pattern(LEN);
    macro_rules! width {
        ($type:ty, $size:literal) => {
            for offset in (0..16).chain(4080..4112).chain(LEN - 32..=LEN - $size) {
                let expected: [u8; $size] = bytes[offset..offset + $size].try_into().expect("its size");
                let value = view.load::<$type>(offset).expect("inside");
                assert_eq!(zerocopy::IntoBytes::as_bytes(&value), expected, "load {offset}");
                assert_eq!(view.store(offset, [0u8; $size]), Ok(()));
                assert_eq!(view.store(offset, value), Ok(()), "store {offset}");
            }
            for offset in [LEN - $size + 1, LEN, LEN + 1, usize::MAX] {
                assert_eq!(view.load::<$type>(offset), Err(out_of_bounds(offset, Access::Read)));
                assert_eq!(view.store(offset, [0u8; $size]), Err(out_of_bounds(offset, Access::Write)));
            }
        };
    }
    width!(u8, 1);
    width!(u16, 2);
    width!([u8; 3], 3);
    width!(u32, 4);
    width!(i64, 8);
    width!(u128, 16);
    width!([u32; 7], 28);
    assert_eq!(view.load::<[u8; 0]>(LEN), Ok([]));
    assert_eq!(view.store(LEN, [0u8; 0]), Ok(()));
    assert_eq!(read_file(&file), bytes, "every store put back what was there");
}

#[test]
fn a_read_only_mapping_answers_protection_to_every_write_and_touches_nothing() {
    let file = pattern_file(LEN);
    let mapping = MapOptions::read_only().map(&file).expect("a mapping");
    let source = MapOptions::read_only().map(pattern_file(100)).expect("a mapping");
    let view = mapping.view();
    let protected = |offset| {
        let mut fault = out_of_bounds(offset, Access::Write);
        fault.kind = FaultKind::Protection;
        fault
    };
    assert_eq!(view.write_at(5, b"xyz"), Err(protected(5)));
    assert_eq!(view.write_all_at(4090, &[1; 300]), Err(protected(4090)));
    assert_eq!(view.store(16, 1u64), Err(protected(16)));
    assert_eq!(view.store(17, [1u8; 5]), Err(protected(17)));
    assert_eq!(view.fill(7.., 0), Err(protected(7)));
    assert_eq!(source.view().copy_to(&view), Err(protected(0)));
    assert_eq!(view.write_at(5, b""), Ok(0));
    assert_eq!(read_file(&file), pattern(LEN));
}

#[test]
fn copy_to_copies_all_of_the_source_and_no_more() {
    for len in [0, 1, 7, 64, 100, 4096, 9999, LEN] {
        let source = MapOptions::read_only().map(pattern_file(len)).expect("a mapping");
        let file = pattern_file(0);
        file.set_len(u64::try_from(LEN).expect("small")).expect("room");
        let mapping = MapOptions::read_write().map(&file).expect("a mapping");
        assert_eq!(source.view().copy_to(&mapping.view()), Ok(()));
        let mut expected = pattern(len);
        expected.resize(LEN, 0);
        assert_eq!(read_file(&file), expected, "{len}");
        let short = mapping.view().slice(..len.saturating_sub(1)).expect("inside");
        if len > 0 {
            let fault = source.view().copy_to(&short).expect_err("the destination is shorter");
            assert_eq!(fault.kind, FaultKind::OutOfBounds { view_len: len - 1 });
        }
    }
}

#[test]
fn copy_to_between_overlapping_views_keeps_what_the_source_held() {
    for (from, to) in [(0, 1), (1, 0), (0, 4096), (4096, 0), (0, 5000), (5000, 0), (3, 3)] {
        let len = 4900;
        let file = pattern_file(LEN);
        let mapping = MapOptions::read_write().map(&file).expect("a mapping");
        let view = mapping.view();
        let source = view.slice(from..from + len).expect("inside");
        let target = view.slice(to..to + len).expect("inside");
        assert_eq!(source.copy_to(&target), Ok(()));
        let mut expected = pattern(LEN);
        expected.copy_within(from..from + len, to);
        assert_eq!(read_file(&file), expected, "{from} to {to}");
    }
}

#[test]
fn a_slice_of_a_view_is_a_view_with_its_own_bounds() {
    let mapping = MapOptions::read_only().offset(100).map(pattern_file(LEN)).expect("a mapping");
    let view = mapping.view().slice(10..60).expect("inside").slice(5..).expect("inside");
    assert_eq!((view.len(), view.offset(), view.mapping().file_offset()), (45, 15, 100));
    assert_eq!(view.load::<u8>(0), Ok(pattern(200)[115]));
    assert_eq!(view.load::<u8>(45).map_err(|fault| fault.kind), Err(FaultKind::OutOfBounds { view_len: 45 }));
    assert_eq!(view.slice(..).map(|view| view.len()), Ok(45));
    assert_eq!(view.slice(45..).map(|view| view.is_empty()), Ok(true));
    assert_eq!(view.slice(..=44).map(|view| view.len()), Ok(45));
    for range in [46..46, 0..46, 40..usize::MAX] {
        assert!(view.slice(range.clone()).is_err(), "{range:?}");
    }
}

#[test]
fn any_offset_and_length_of_a_file_can_be_mapped() {
    let bytes = pattern(LEN);
    for offset in [0, 1, 4095, 4096, 4097, 8191, LEN - 1, LEN] {
        for len in [0, 1, 100, LEN - offset] {
            let len = len.min(LEN - offset);
            let start = u64::try_from(offset).expect("small");
            let mapping = MapOptions::read_only().offset(start).len(len).map(pattern_file(LEN)).expect("a mapping");
            let mut seen = vec![0; len];
            assert_eq!(mapping.view().read_exact_at(0, &mut seen), Ok(()));
            assert_eq!(seen, bytes[offset..offset + len]);
        }
        let start = u64::try_from(offset).expect("small");
        let rest = MapOptions::read_only().offset(start).map(pattern_file(LEN)).expect("a mapping");
        assert_eq!(rest.len(), LEN - offset);
    }
}

#[test]
fn ranges_that_cannot_be_mapped_say_why_in_one_line() {
    let file = pattern_file(LEN);
    let beyond = MapOptions::read_only().offset(10_001).map(&file).expect_err("beyond the end");
    assert!(matches!(beyond, Error::Range { offset: 10_001, len: None, file_len: 10_000, .. }), "{beyond:?}");
    assert!(beyond.to_string().ends_with("(offset 0x2711): the file has only 10000 bytes"), "{beyond}");
    for (offset, len) in [(u64::MAX, 1), (0, usize::MAX), (i64::MAX.unsigned_abs(), 1)] {
        let endless = MapOptions::read_only().offset(offset).len(len).map(&file).expect_err("no end");
        assert!(matches!(endless, Error::Range { .. }), "{endless:?}");
    }
    let missing = MapOptions::read_only().open("/no/such/file").expect_err("it does not exist");
    assert_eq!(missing.to_string(), "opening /no/such/file");
    let folder = MapOptions::read_only().len(1).open("/").expect_err("a folder has no bytes");
    // Windows opens none as a file.
    let refused = if cfg!(windows) { "opening" } else { "mapping" };
    assert!(matches!(folder, Error::Os { operation, .. } if operation == refused), "{folder:?}");
}

#[test]
fn a_mapping_past_the_end_of_the_file_is_truncated_until_the_file_has_grown() {
    let file = pattern_file(100);
    let mut mapping = MapOptions::read_write().len(8192).map(&file).expect("a mapping");
    let view = mapping.view();
    assert_eq!(view.load::<u8>(99), Ok(pattern(100)[99]));
    assert_eq!(view.load::<u8>(100), Ok(0), "the last page reads as zeros behind the end");
    let unbacked = view.check_backed().expect_err("the file is shorter");
    assert_eq!((unbacked.offset, unbacked.kind), (100, FaultKind::Truncated { file_len: 100 }));
    let fault = view.load::<u64>(4096).expect_err("no page");
    assert_eq!((fault.offset, fault.kind, fault.access), (4096, FaultKind::Truncated { file_len: 100 }, Access::Read));
    let fault = view.store(4096, 1u64).expect_err("no page");
    assert_eq!((fault.offset, fault.kind, fault.access), (4096, FaultKind::Truncated { file_len: 100 }, Access::Write));
    file.set_len(8192).expect("room");
    if cfg!(windows) {
        // A view is as long as its section, and that as the file was.
        let fault = view.load::<u64>(4096).expect_err("no page yet");
        assert_eq!(fault.kind, FaultKind::Truncated { file_len: 8192 });
        assert_eq!(view.check_backed().map_err(|fault| fault.offset), Err(4096));
        mapping.resize(8192).expect("mapped again");
    }
    let view = mapping.view();
    assert_eq!(view.check_backed(), Ok(()));
    assert_eq!(view.store(4096, 77u64), Ok(()));
    assert_eq!(read_file(&file)[4096..4104], 77u64.to_ne_bytes());
}

#[test]
fn chunks_come_in_order_and_end_with_the_rest_or_with_the_fault() {
    for chunk_bytes in [0, 1, 7, 4096, LEN, usize::MAX] {
        let mapping = MapOptions::read_only().map(pattern_file(LEN)).expect("a mapping");
        let mut chunks = mapping.view().chunks(chunk_bytes);
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.next_chunk().expect("no fault") {
            assert!(chunk.len() <= chunk_bytes.max(1));
            seen.extend_from_slice(chunk);
        }
        assert_eq!(seen, pattern(LEN));
        assert_eq!(chunks.next_chunk(), Ok(None), "the end stays the end");
    }
    let (_file, mapping) = crate::support::cut_mapping(MapOptions::read_only(), 12_288, 4096);
    let mut chunks = mapping.view().chunks(3000);
    assert_eq!(chunks.next_chunk().map(|chunk| chunk.map(<[u8]>::len)), Ok(Some(3000)));
    assert_eq!(chunks.next_chunk().map(|chunk| chunk.map(<[u8]>::len)), Ok(Some(1096)));
    for _ in 0..2 {
        let fault = chunks.next_chunk().expect_err("the file was cut");
        assert_eq!((fault.offset, fault.kind), (4096, FaultKind::Truncated { file_len: 4096 }));
    }
}

#[test]
fn an_empty_file_maps_to_an_empty_view() {
    for mode in MODES {
        let mapping = MapOptions::new(mode).map(pattern_file(0)).expect("a mapping");
        let view = mapping.view();
        assert!(view.is_empty() && mapping.is_empty());
        assert_eq!(view.read_at(0, &mut [0; 4]), Ok(0));
        assert_eq!(view.write_at(0, &[0; 4]), Ok(0));
        assert_eq!(view.fill(.., 1), Ok(()));
        assert_eq!(view.copy_to(&view), Ok(()));
        assert!(view.flush().is_ok());
        assert_eq!(view.chunks(10).next_chunk(), Ok(None));
    }
}

#[test]
fn flush_answers_for_every_mode_and_odd_ranges() {
    let file = pattern_file(LEN);
    for mode in MODES {
        let mapping = MapOptions::new(mode).offset(4097).map(&file).expect("a mapping");
        assert!(mapping.view().flush().is_ok(), "{mode:?}");
        assert!(mapping.view().slice(4000..4001).expect("inside").flush().is_ok(), "{mode:?}");
    }
}

#[test]
fn status_tells_whether_faults_are_caught() {
    let _mapping = MapOptions::read_only().map(pattern_file(1)).expect("a mapping");
    let status = mapio_map::fault::status();
    assert!(status.armed && !status.blocked, "{status:?}");
}

fn read_file(file: &File) -> Vec<u8> {
    let len = file.metadata().expect("an open file").len();
    let mut bytes = vec![0; usize::try_from(len).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("all of it");
    bytes
}

/// What Linux tells of its page cache.
#[cfg(target_os = "linux")]
mod cache {
    use std::fs;

    use super::*;

    #[test]
    fn residency_follows_what_is_dropped_and_what_is_touched() {
        // On the disk's file system if there is one: what is only in memory can't be dropped.
        let path = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary file");
        let page = rustix::param::page_size();
        fs::write(&path, pattern(1000 * page)).expect("room");
        let file = File::options().read(true).write(true).open(&path).expect("own file");
        let mapping = MapOptions::read_only().offset(100).map(&file).expect("a mapping");
        let resident = |view: View<'_>| view.residency().expect("own file").resident_pages();
        assert_eq!(
            mapping.view().residency().map(|all| (all.pages().len(), all.page_bytes())).ok(),
            Some((1000, page))
        );
        assert_eq!(resident(mapping.view()), 1000, "all was just written");
        assert_eq!(resident(mapping.view().slice(..0).expect("inside")), 0);
        assert_eq!(resident(mapping.view().slice(page - 101..page - 99).expect("inside")), 2, "two bytes, two pages");

        file.sync_all().expect("a disk");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice is taken");
        if resident(mapping.view()) == 1000 {
            let reason = "the build folder is on a file system whose pages can't be dropped";
            return mapio_testkit::skip("residency_follows_what_is_dropped_and_what_is_touched", reason);
        }
        assert_eq!(resident(mapping.view()), 0);
        mapping.view().load::<u8>(500 * page).expect("a byte");
        let after = mapping.view().residency().expect("own file");
        // How many are read ahead is the kernel's choice: from none to all.
        assert!(after.pages()[500], "the page that was touched");
    }
}
