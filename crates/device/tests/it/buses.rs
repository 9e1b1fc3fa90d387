//! What all buses promise, on each of them, against bytes in memory.

use std::fs;

use mapio_device::bus::PortFile;
use mapio_device::model::{Memory, Simulated};
use mapio_device::{Error, Mmio, Ports, RegisterIo, Trace, Width};
use mapio_testkit::skip;

/// Bytes of each bus; no multiple of the widest access.
const LEN: usize = 0x2c;

/// Runs a check over every kind of bus to `LEN` bytes, with the widest access that it has, and what its bytes are.
fn over_all_buses(check: impl Fn(&str, &dyn RegisterIo, Width, &dyn Fn() -> Vec<u8>)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, [0; 0x1030]).expect("room");
        path
    };
    let part = |path: &std::path::PathBuf, start: usize| fs::read(path).expect("a file")[start..start + LEN].to_vec();
    let path = file("mapped");
    let mapped = Mmio::open(&path, 0x1000..0x102c).expect("a file");
    check("mapped", &mapped, Width::U64, &|| part(&path, 0x1000));
    let path = file("mapped at a multiple of 4");
    let mapped = Mmio::open(&path, 0x1004..0x1030).expect("a file");
    check("mapped at a multiple of 4", &mapped, Width::U32, &|| part(&path, 0x1004));
    let path = file("part");
    let whole = Mmio::open(&path, 0..0x1030).expect("a file");
    check("part of a mapping", &whole.part(0x800..0x82c).expect("inside"), Width::U64, &|| part(&path, 0x800));
    let path = file("ports");
    let ports = PortFile::open(&path, 0x100..0x12c).expect("a file");
    check("port file", &ports, Width::U32, &|| part(&path, 0x100));
    let path = file("ports at a multiple of 2");
    let ports = PortFile::open(&path, 0x102..0x12e).expect("a file");
    check("port file at a multiple of 2", &ports, Width::U16, &|| part(&path, 0x102));
    let model = Simulated::new(Memory::new(vec![0; LEN]));
    check("model", &model, Width::U64, &|| model.model().bytes().to_vec());
    let model = Simulated::new(Memory::new(vec![0; LEN]));
    let traced: Box<dyn RegisterIo> = Box::new(&model);
    check("trace of a box", &Trace::new(traced), Width::U64, &|| model.model().bytes().to_vec());
}

#[test]
fn an_access_moves_its_own_bytes_and_no_others() {
    over_all_buses(|name, bus, widest, bytes| {
        let mut oracle = vec![0_u8; LEN];
        let mut value = 0x0123_4567_89ab_cdef_u64;
        for width in Width::ALL.into_iter().filter(|width| *width <= widest) {
            for offset in (0..=LEN - width.bytes()).step_by(width.bytes()) {
                value = value.rotate_left(7).wrapping_add(1);
                match offset % 3 {
                    0 => bus.write_relaxed(offset, width, value),
                    _ => bus.write(offset, width, value),
                }
                .expect("inside");
                oracle[offset..offset + width.bytes()].copy_from_slice(&value.to_le_bytes()[..width.bytes()]);
                assert_eq!(bytes(), oracle, "{name}: {width} at {offset:#x}");
                let read = (bus.read(offset, width).ok(), bus.read_relaxed(offset, width).ok());
                let wanted = Some(value & width.max());
                assert_eq!(read, (wanted, wanted), "{name}: {width} at {offset:#x}");
            }
        }
    });
}

#[test]
fn accesses_outside_or_misaligned_or_too_wide_do_nothing() {
    over_all_buses(|name, bus, widest, bytes| {
        assert_eq!(bus.len(), LEN, "{name}");
        let before = bytes();
        for (offset, width) in [
            (LEN, Width::U8),
            (LEN - 1, Width::U16),
            (LEN - 4, Width::U64),
            (usize::MAX, Width::U8),
            (usize::MAX - 7, Width::U64),
        ] {
            let (read, written) = (bus.read(offset, width), bus.write(offset, width, u64::MAX));
            assert!(matches!(read, Err(Error::OutOfBounds { len: LEN, .. })), "{name}: {width} at {offset:#x}");
            assert!(matches!(written, Err(Error::OutOfBounds { len: LEN, .. })), "{name}: {width} at {offset:#x}");
        }
        for (offset, width) in [(1, Width::U16), (2, Width::U32), (4, Width::U64)] {
            let (read, written) = (bus.read(offset, width), bus.write_relaxed(offset, width, u64::MAX));
            assert!(matches!(read, Err(Error::Misaligned { .. })), "{name}: {width} at {offset:#x}");
            assert!(matches!(written, Err(Error::Misaligned { .. })), "{name}: {width} at {offset:#x}");
        }
        for width in Width::ALL.into_iter().filter(|width| *width > widest) {
            for refused in [bus.read(8, width).map(drop), bus.write(8, width, u64::MAX)] {
                assert!(matches!(refused, Err(Error::Refused { .. } | Error::Misaligned { .. })), "{name}: {width}");
            }
        }
        assert_eq!(bytes(), before, "{name}");
    });
}

#[test]
fn a_port_file_that_ends_too_early_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ports");
    fs::write(&path, [7; 3]).expect("room");
    let bus = PortFile::open(&path, 0..8).expect("a file");
    assert_eq!(bus.read(2, Width::U8).expect("the last byte"), 7);
    let error = bus.read(0, Width::U32).expect_err("a byte is missing").to_string();
    assert_eq!(error, format!("32 bits at 0x0 of {}: reading came to 3 instead of 4 bytes", path.display()));
    assert!(matches!(bus.read(4, Width::U8), Err(Error::Unexpected { .. })));
    #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
    let reversed = PortFile::open(&path, 8..0);
    assert!(matches!(reversed, Err(Error::Invalid { .. })));
    assert!(matches!(PortFile::open(folder.path().join("missing"), 0..8), Err(Error::Os { .. })));
}

#[test]
fn a_port_file_that_begins_at_an_odd_port_has_bytes_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ports");
    fs::write(&path, [1, 2, 3, 4, 5, 6, 7, 8, 9]).expect("room");
    for (start, widest) in [(0, 8), (1, 1), (2, 2), (3, 1), (4, 4), (8, 8)] {
        let bus = PortFile::open(&path, start..9).expect("a file");
        assert_eq!(bus.alignment(), widest, "{start}");
    }
    let bus = PortFile::open(&path, 1..9).expect("a file");
    assert_eq!(bus.read(0, Width::U8).expect("a byte"), 2);
    for width in [Width::U16, Width::U32, Width::U64] {
        assert!(matches!(bus.read(0, width), Err(Error::Misaligned { .. })), "{width}");
        assert!(matches!(bus.write(0, width, 0), Err(Error::Misaligned { .. })), "{width}");
    }
    assert_eq!(fs::read(&path).expect("a file"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_character_device_has_bytes_only() {
    // It answers zeros, and takes everything, as ports where nothing is answer ones.
    let bus = PortFile::open("/dev/zero", 0x3f8..0x400).expect("every Linux has it");
    assert_eq!(bus.read(5, Width::U8).expect("a byte"), 0);
    bus.write(0, Width::U8, 0x41).expect("a byte");
    let error = bus.read(0, Width::U16).expect_err("two bytes").to_string();
    assert_eq!(error, "accessing 16 bits at offset 0x0 of /dev/zero: the kernel would take it apart into bytes");
}

#[test]
fn ports_are_those_that_were_asked_for() {
    #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
    for bad in [0x80..0x80, 0x84..0x80, 0xffff..0x1_0001, 0x1_0000..0x1_0001, 0..u32::MAX] {
        assert!(matches!(Ports::open(bad.clone()), Err(Error::Invalid { .. })), "{bad:?}");
    }
    // Where the firmware shows how far it has come; reading there does nothing.
    let ports = match Ports::open(0x80..0x88) {
        Ok(ports) => ports,
        Err(Error::Os { source, .. }) => {
            return skip("ports_are_those_that_were_asked_for", &format!("the kernel allows no ports: {source}"));
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(ports.len(), 8);
    ports.read(0, Width::U8).expect("it is allowed");
    assert!(matches!(ports.read(8, Width::U8), Err(Error::OutOfBounds { .. })));
    assert!(matches!(ports.read(0, Width::U64), Err(Error::Refused { .. })));
}
