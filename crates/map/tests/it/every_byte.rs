//! A fault at every byte of an access, in both directions: the count is exact, the bytes before it are right, and
//! nothing behind it has changed.

use mapio_map::{Access, Fault, FaultKind, MapOptions};
use mapio_testkit::{pattern, report};

use crate::support::cut_mapping;

/// Bytes of the file that are left: the byte at this offset is the first that faults, if pages are not larger.
const CUT: usize = 64 << 10;
/// Bytes mapped; room for the longest access to start at the cut.
const MAPPED: usize = CUT + (64 << 10);

/// Lengths around every change of method: each width, two of it, vector blocks, `rep movsb`, pages.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=70)
        .chain([127, 128, 129, 130, 255, 256, 257, 300, 511, 512, 513, 600, 1000, 4095, 4096, 4097, 16_383, 16_384])
        .chain([16_385, 20_000, 40_000])
}

/// How many bytes of an access lie before the cut: all counts for short accesses, and those near the ends and the
/// method's steps for long ones.
fn counts_before_the_cut(len: usize) -> impl Iterator<Item = usize> {
    (0..=len).filter(move |&count| len <= 600 || count < 40 || len - count < 40 || count % 997 < 2)
}

fn truncated(offset: usize, access: Access, fault: Fault) {
    let expected = FaultKind::Truncated { file_len: u64::try_from(CUT).expect("small") };
    assert_eq!((fault.offset, fault.access, fault.kind), (offset, access, expected));
}

#[test]
fn a_read_stops_exactly_at_the_byte_that_faults() {
    let (_file, mapping) = cut_mapping(MapOptions::read_only(), MAPPED, CUT);
    let (view, bytes) = (mapping.view(), pattern(MAPPED));
    let mut faults = 0u64;
    for len in lengths() {
        let mut buf = vec![0; len];
        for count in counts_before_the_cut(len) {
            let start = CUT - count;
            buf.fill(0);
            match view.read_exact_at(start, &mut buf) {
                Ok(()) => assert_eq!(count, len),
                Err(fault) => {
                    truncated(CUT, Access::Read, fault);
                    faults += 1;
                }
            }
            assert_eq!(buf[..count], bytes[start..CUT], "len {len}, count {count}");
            assert!(buf[count..].iter().all(|&byte| byte == 0), "len {len}, count {count}");
            if count > 0 {
                assert_eq!(view.read_at(start, &mut buf), Ok(count), "len {len}");
            }
        }
    }
    assert!(faults > 5_000, "{faults}");
    report("a_read_stops_exactly_at_the_byte_that_faults", &format!("{faults} faults became Err"));
}

#[test]
fn a_write_stops_exactly_at_the_byte_that_faults() {
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), MAPPED, CUT);
    let view = mapping.view();
    let (mut faults, mut seen) = (0u64, vec![0; CUT]);
    for len in lengths() {
        let new = vec![0xabu8; len];
        for count in counts_before_the_cut(len) {
            let start = CUT - count;
            for filling in [false, true] {
                view.fill(start.saturating_sub(64)..CUT, 0).expect("inside the file");
                let written =
                    if filling { view.fill(start..start + len, 0xab) } else { view.write_all_at(start, &new) };
                match written {
                    Ok(()) => assert_eq!(count, len),
                    Err(fault) => {
                        truncated(CUT, Access::Write, fault);
                        faults += 1;
                    }
                }
                let from = start.saturating_sub(64);
                let seen = &mut seen[..CUT - from];
                view.read_exact_at(from, seen).expect("inside the file");
                assert!(seen[..start - from].iter().all(|&byte| byte == 0), "len {len}, count {count}");
                assert!(seen[start - from..].iter().all(|&byte| byte == 0xab), "len {len}, count {count}");
            }
        }
    }
    report("a_write_stops_exactly_at_the_byte_that_faults", &format!("{faults} faults became Err"));
}

#[test]
fn a_copy_between_mappings_tells_the_side_and_the_byte_that_faulted() {
    let (_cut, cut) = cut_mapping(MapOptions::read_write(), MAPPED, CUT);
    let (_whole, whole) = cut_mapping(MapOptions::read_write(), MAPPED, MAPPED);
    for len in lengths() {
        for count in counts_before_the_cut(len).filter(|&count| count < len) {
            let at_the_cut = cut.view().slice(CUT - count..CUT - count + len).expect("inside");
            let beside = whole.view().slice(1..=len).expect("inside");
            truncated(count, Access::Read, at_the_cut.copy_to(&beside).expect_err("the source was cut"));
            truncated(count, Access::Write, beside.copy_to(&at_the_cut).expect_err("the destination was cut"));
        }
    }
}

#[test]
fn loads_and_stores_across_the_cut_name_the_byte_that_faulted() {
    let (_file, mapping) = cut_mapping(MapOptions::read_write(), MAPPED, CUT);
    let view = mapping.view();
    macro_rules! width {
        ($($type:ty),+) => {$(
            for before in 0..size_of::<$type>() {
                let start = CUT - before;
                truncated(CUT, Access::Read, view.load::<$type>(start).expect_err("cut"));
                truncated(CUT, Access::Write, view.store::<$type>(start, 0).expect_err("cut"));
                truncated(start + 4096, Access::Read, view.load::<$type>(start + 4096).expect_err("cut"));
                truncated(start + 4096, Access::Write, view.store::<$type>(start + 4096, 0).expect_err("cut"));
            }
        )+};
    }
    width!(u8, u16, u32, u64, u128);
}
