//! Objects that somebody has damaged: an error, or bytes that mean nothing; never a crash, never a hang.

// Files of other kinds, permissions, sparse files.
#[cfg(target_os = "linux")]
mod linux;

use std::fs;
use std::path::Path;

use mapio_map::MapMode;
use mapio_shared::{Cleaning, Error, Lifetime, ObjectName, SharedObject, SharedOptions, clean, inspect};
use mapio_testkit::rounds;
use proptest::prelude::*;

use crate::support::TestName;

const HEADER_LEN: usize = 4096;

/// The bytes of an object of 100 bytes, made by one who has left.
fn sound() -> Vec<u8> {
    let name = TestName::file();
    drop(
        SharedOptions::new()
            .len(100)
            .contents("golden")
            .layout_hash(0x0102_0304_0506_0708)
            .role("maker")
            .create(&*name)
            .unwrap(),
    );
    fs::read(name.path()).unwrap()
}

/// Does everything with what is at a path, which may be any bytes.
fn try_all(path: &Path) -> Result<(), Error> {
    let name = ObjectName::file(path);
    let looked = inspect(&name)?;
    let options = SharedOptions::new().role("victim");
    let mut opened = Ok(());
    for mode in [MapMode::ReadOnly, MapMode::CopyOnWrite, MapMode::ReadWrite] {
        match options.clone().map_mode(mode).open(&name) {
            Ok(object) => {
                assert!(!looked.raw);
                for user in object.users().unwrap() {
                    assert!(!user.alive && user.role.len() <= 48 && user.name.len() <= 48, "{user:?}");
                }
                let _ = object.view().load::<u8>(object.len().saturating_sub(1));
                let _ = object.view().load::<u64>(0);
                drop((object.contents(), object.lifetime(), object.is_removed()));
                drop(object.watch_users().unwrap());
            }
            Err(error) => opened = Err(error),
        }
    }
    drop(SharedOptions::new().raw().open(&name));
    drop(clean(std::slice::from_ref(&name), Cleaning::DryRun).unwrap());
    opened
}

fn is_refused(bytes: &[u8]) -> bool {
    let name = TestName::file();
    fs::write(name.path(), bytes).unwrap();
    match try_all(&name.path()) {
        Err(Error::Foreign { .. } | Error::Corrupt { .. }) => {
            // It can be removed all the same.
            SharedObject::remove(&*name).unwrap();
            true
        }
        Err(error) => panic!("{error:?}"),
        Ok(()) => false,
    }
}

#[test]
fn each_field_that_lies_is_an_error() {
    let sound = sound();
    assert!(!is_refused(&sound));
    let with = |offset: usize, bytes: &[u8]| {
        let mut damaged = sound.clone();
        damaged[offset..offset + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    let refused: [(&str, usize, &[u8]); 8] = [
        ("magic", 0, b"MAPIO\0SH"),
        ("another library's magic", 0, b"mapio\0CH"),
        ("version", 8, &2_u32.to_ne_bytes()),
        ("byte order", 12, &0x0403_0201_u32.to_ne_bytes()),
        ("one byte too long", 16, &101_u64.to_ne_bytes()),
        ("much too long", 16, &u64::MAX.to_ne_bytes()),
        ("so long that the header makes it wrap", 16, &(u64::MAX - 4095).to_ne_bytes()),
        ("lifetime", 48, &2_u32.to_ne_bytes()),
    ];
    for (what, offset, bytes) in refused {
        assert!(is_refused(&with(offset, bytes)), "{what}");
    }
    for len in [0, 1, 7, 8, 63, 64, 128, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 99] {
        assert!(is_refused(&sound[..len]), "{len}");
    }
    // Bytes behind the end mean nothing, and no bytes at all can be contents.
    assert!(!is_refused(&[&*sound, &[7; 10_000]].concat()));
    assert!(!is_refused(&with(16, &0_u64.to_ne_bytes())));
}

#[test]
fn what_this_version_does_not_understand_is_not_taken_for_raw_without_a_word() {
    let name = TestName::file();
    let mut bytes = sound();
    bytes[8] = 2;
    fs::write(name.path(), &bytes).unwrap();
    let problem = inspect(&*name).unwrap().problem.unwrap();
    assert!(problem.contains("another version"), "{problem}");
    fs::write(name.path(), [7; 5000]).unwrap();
    assert_eq!(inspect(&*name).unwrap().problem, None);
    let folder = ObjectName::file(name.path().parent().unwrap());
    let problem = inspect(&folder).unwrap().problem.unwrap();
    assert!(problem.contains("no regular file"), "{problem}");
}

#[test]
fn parts_of_an_object_in_a_longer_file_are_where_its_contents_are() {
    let name = TestName::file();
    let mut bytes = sound();
    bytes[HEADER_LEN] = 5;
    fs::write(name.path(), [&*bytes, &[7; 10_000]].concat()).unwrap();
    let object = SharedOptions::new().open(&*name).unwrap();
    assert_eq!(object.map(0..2, MapMode::ReadOnly).unwrap().view().load::<[u8; 2]>(0), Ok([5, 0]));
}

#[test]
fn numbers_that_were_all_given_are_an_error_and_stay_so() {
    let name = TestName::file();
    let mut bytes = sound();
    bytes[64..68].copy_from_slice(&((1_u32 << 30) - 2).to_ne_bytes());
    fs::write(name.path(), &bytes).unwrap();
    let last = SharedOptions::new().open(&*name).unwrap();
    for _ in 0..3 {
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::Crowded { .. })));
    }
    assert_eq!(fs::read(name.path()).unwrap()[64..68], ((1_u32 << 30) - 1).to_ne_bytes());
    // Reading takes no number.
    let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
    assert_eq!(reader.users().unwrap()[0].number, (1 << 30) - 1);
    drop((last, reader));
    bytes[64..68].copy_from_slice(&u32::MAX.to_ne_bytes());
    fs::write(name.path(), &bytes).unwrap();
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::Crowded { .. })));
}

#[test]
fn a_folder_is_no_object_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("folder");
    fs::create_dir(&path).unwrap();
    assert_refused(&path);
    assert!(path.is_dir());
}

/// Whatever is done with what is at a path is refused.
fn assert_refused(path: &Path) {
    let name = ObjectName::file(path);
    for result in [
        SharedOptions::new().open(&name).map(drop),
        SharedOptions::new().raw().open(&name).map(drop),
        SharedOptions::new().map_mode(MapMode::ReadOnly).open(&name).map(drop),
        SharedOptions::new().len(1).create(&name).map(drop),
        SharedObject::remove(&name),
    ] {
        assert!(matches!(result, Err(Error::Os { .. } | Error::Foreign { .. } | Error::Exists { .. })), "{result:?}");
    }
}

/// The bytes that the same object has on a machine of the other byte order: each integer of the header, and of the
/// first card behind it, the other way round.
fn of_the_other_order(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = [8..12, 12..16, 16..24, 24..32, 48..52, 56..64, 64..68, 68..72, 72..76];
    let card = [128..132, 132..136, 136..144, 144..152, 184..188];
    for integer in header.into_iter().chain(card) {
        bytes[integer].reverse();
    }
    bytes
}

#[test]
fn an_object_of_a_machine_of_the_other_byte_order_is_refused_and_left_alone() {
    let name = TestName::file();
    let bytes = of_the_other_order(sound());
    fs::write(name.path(), &bytes).unwrap();
    for mode in [MapMode::ReadOnly, MapMode::CopyOnWrite, MapMode::ReadWrite] {
        let refused = SharedOptions::new().map_mode(mode).open(&*name).unwrap_err();
        assert!(matches!(refused, Error::Foreign { .. }), "{refused:?}");
        assert!(refused.to_string().contains("other byte order"), "{refused}");
    }
    drop(clean(&[ObjectName::file(name.path())], Cleaning::Remove).unwrap());
    assert_eq!(fs::read(name.path()).unwrap(), bytes);
}

#[test]
fn the_bytes_of_an_object_are_what_they_were() {
    let name = TestName::file();
    let options = SharedOptions::new().len(100).contents("golden").layout_hash(0x0102_0304_0506_0708).role("maker");
    let object = options.lifetime(Lifetime::LastHandle).create(&*name).unwrap();
    let bytes = fs::read(name.path()).unwrap();
    assert_eq!(bytes.len(), HEADER_LEN + 100);
    // As they are where the first byte of an integer is its least.
    let bytes = if cfg!(target_endian = "little") { bytes } else { of_the_other_order(bytes) };
    let golden: [&[u8]; 8] = [
        b"mapio\0SH\x01\0\0\0\x04\x03\x02\x01",
        b"\x64\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01",
        b"golden\0\0\0\0\0\0\0\0\0\0",
        b"\x01\0\0\0\0\0\0\0",
        &bytes[56..64],
        b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        &[0; 48],
        b"\x01\0\0\0",
    ];
    assert_eq!(bytes[..132], golden.concat());
    assert_eq!(bytes[132..136], std::process::id().to_le_bytes());
    assert_eq!(bytes[152..168], *b"maker\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(bytes[184..192], [1, 0, 0, 0, 0, 0, 0, 0]);
    let created = u64::from_le_bytes(bytes[56..64].try_into().unwrap());
    assert!(created > 1_600_000_000_000_000_000, "{created}");
    assert!(bytes[192..].iter().all(|byte| *byte == 0));
    drop(object);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(u32::try_from(rounds(150)).unwrap_or(u32::MAX)) })]

    #[test]
    fn any_bytes_in_a_header_are_survived(
        // Random bytes from some offset on, behind a start that is right.
        start in 0_usize..4096,
        noise in proptest::collection::vec(any::<u8>(), 1..4096),
        len in 0_usize..6000,
    ) {
        let mut bytes = sound();
        let end = (start + noise.len()).min(HEADER_LEN);
        bytes[start..end].copy_from_slice(&noise[..end - start]);
        bytes.resize(len, 0);
        let name = TestName::file();
        fs::write(name.path(), &bytes).unwrap();
        let tried = try_all(&name.path());
        let is_known = matches!(
            tried,
            Ok(()) | Err(Error::Foreign { .. } | Error::Corrupt { .. } | Error::Crowded { .. } | Error::NotFound { .. })
        );
        prop_assert!(is_known, "{tried:?}");
        drop(SharedObject::remove(&*name));
    }
}
