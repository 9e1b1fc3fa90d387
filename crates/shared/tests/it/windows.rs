//! What is Windows' own: sections, files that are not cut while they are mapped, the mutexes of its kernel, its
//! programs.

mod programs;

use std::time::Duration;

use mapio_map::MapMode;
use mapio_shared::sync::NamedMutex;
use mapio_shared::{Error, Evidence, Lifetime, ObjectKind, SharedObject, SharedOptions, list_all};
use mapio_testkit::{Peer, skip};

use crate::support::TestName;

/// A guard against hanging, far above what anything takes.
const HANG: Duration = Duration::from_secs(120);

fn options() -> SharedOptions {
    SharedOptions::new().len(5000)
}

#[test]
fn what_is_of_other_systems_is_skipped_with_its_reason() {
    for (module, reason) in [
        ("channel::kills", "single instructions are stepped by ptrace(2); kills at random are in channel::load"),
        ("channel::stopped", "processes are stopped by signals"),
        ("cleaning::linux", "it is about POSIX and System V objects; the list of sections is in windows"),
        (
            "contract::descriptors",
            "it is about files cut while mapped, which Windows refuses, memory files, and sockets",
        ),
        ("forked", "it is about fork(2)"),
        ("full", "a small /dev/shm is made in a mount namespace"),
        ("hostile::linux", "it is about pipes, links, permission bits, and files of which most was never written"),
        ("interop", "it is about Python, numpy, C and Boost on Linux; a Win32 program is in windows"),
        ("killed", "calls are counted and cut off by strace(1); kills at random are in storm"),
        ("life", "it is about zombies, stopped processes, namespaces and users; deaths are in contract"),
        (
            "log::killed::at_system_calls",
            "calls are counted and cut off by strace(1); kills anywhere are in log::killed",
        ),
        ("log::limits", "full and failing disks are made by Linux's loop devices, and by strace(1)"),
        ("log::posix", "it is about links and pipes, and files cut or removed while mapped, which Windows refuses"),
        ("log::stepped", "single instructions are stepped by ptrace(2)"),
        ("sync::killed", "single instructions are stepped by ptrace(2); kills at random are in sync::load"),
        ("sync::posix", "processes are stopped by signals, or left as zombies; objects are cut while they are mapped"),
    ] {
        skip(module, reason);
    }
}

#[test]
fn a_section_is_made_once_found_by_name_and_ends_with_its_last_handle() {
    let name = TestName::memory();
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    let mine = options().contents("frames").layout_hash(77).create(&*name).unwrap();
    assert_eq!((mine.len(), mine.kind(), mine.lifetime()), (5000, ObjectKind::Section, Lifetime::LastHandle));
    assert!(matches!(options().create(&*name), Err(Error::Exists { .. })));
    mine.view().store(4990, 7_u64).unwrap();
    assert!(mine.view().store(4993, 7_u64).is_err());
    let local = format!(r"Local\{}", &*name);
    let same = options().layout_hash(77).open(&local).unwrap();
    assert_eq!((same.view().load::<u64>(4990), same.name()), (Ok(7), &*name));
    for different in [options().layout_hash(78), options().contents("channel"), SharedOptions::new().len(4999)] {
        assert!(matches!(different.open(&*name), Err(Error::WrongLayout { .. })));
    }
    assert_eq!(mine.users().unwrap().len(), 1);
    drop(mine);
    assert_eq!(same.users().unwrap(), []);
    drop(same);
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    assert_eq!(options().create(&*name).unwrap().view().load::<u64>(4990), Ok(0));
}

#[test]
fn what_a_section_can_not_be_is_refused() {
    let name = TestName::memory();
    for refused in [
        SharedOptions::new(),
        options().lifetime(Lifetime::UntilRemoved),
        options().map_mode(MapMode::ReadOnly),
        SharedOptions::new().len(u64::MAX),
    ] {
        assert!(matches!(refused.create(&*name), Err(Error::Invalid { .. })));
    }
    let error = options().create("sysv:17").unwrap_err().to_string();
    assert!(error.contains("System V shared memory is not on Windows"), "{error}");
    assert!(matches!(options().owner(Some(1), None).create(&*name), Err(Error::Os { .. })));
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    assert!(options().create(&*name).unwrap().set_len(9000).is_err());
}

#[test]
fn a_section_of_all_sessions_is_another_than_the_sessions_own() {
    let name = TestName::memory();
    let global = format!(r"Global\{}", &*name);
    match options().permissions(0o666).create(&global) {
        Ok(mine) => {
            assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
            let other = SharedOptions::new().open(&global).unwrap();
            assert_eq!((other.name(), mine.users().unwrap().len()), (&*global, 1));
        }
        Err(error) => {
            skip("a_section_of_all_sessions_is_another_than_the_sessions_own", &crate::support::line_of(&error));
        }
    }
}

#[test]
fn the_list_has_all_sections_with_their_users() {
    let (name, raw_name) = (TestName::memory(), TestName::memory());
    let mine = options().contents("frames").role("maker").create(&*name).unwrap();
    let _raw = options().raw().create(&*raw_name).unwrap();
    let all = list_all().unwrap();
    let info = all.iter().find(|info| info.name.to_string() == *name).unwrap();
    assert_eq!((info.kind, info.raw, &*info.contents, info.users.len()), (ObjectKind::Section, false, "frames", 1));
    let info = all.iter().find(|info| info.name.to_string() == *raw_name).unwrap();
    assert_eq!((info.raw, info.len, info.evidence), (true, 8192, Evidence::None));
    drop(mine);
    assert!(!list_all().unwrap().iter().any(|info| info.name.to_string() == *name));
}

#[test]
fn a_file_goes_by_the_rules_of_linux() {
    let name = TestName::file();
    let first = options().create(&*name).unwrap();
    let second = SharedOptions::new().open(&*name).unwrap();
    first.set_len(20_000).unwrap();
    assert_eq!(first.reopen().unwrap().len(), 20_000);
    // Windows cuts no file that is mapped.
    assert!(first.set_len(100).is_err());
    SharedObject::remove(&*name).unwrap();
    assert!(first.is_removed().unwrap() && !name.path().exists());
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    second.view().store(8, 1_u64).unwrap();
    assert_eq!(first.view().load::<u64>(8), Ok(1));
    let third = options().lifetime(Lifetime::LastHandle).create(&*name).unwrap();
    assert_eq!(third.view().load::<u64>(8), Ok(0));
    let fourth = SharedOptions::new().open(&*name).unwrap();
    drop(third);
    assert!(name.path().exists());
    drop(fourth);
    assert!(!name.path().exists());
}

/// Locks a mutex of the kernel, and never gives it back.
fn lock_for_ever(name: &str) -> String {
    let mutex = NamedMutex::open(name).unwrap();
    std::mem::forget(mutex.lock().unwrap());
    std::mem::forget(mutex);
    String::from("locked")
}

#[test]
fn a_kernel_mutex_whose_owner_was_killed_goes_to_the_next_who_is_told() {
    let test = "windows::a_kernel_mutex_whose_owner_was_killed_goes_to_the_next_who_is_told";
    let mut peer = Peer::start(test, lock_for_ever);
    let name = TestName::memory();
    let mutex = NamedMutex::open_or_create(&*name, 0o600).unwrap();
    assert_eq!(peer.ask(&name), "locked");
    assert!(matches!(mutex.try_lock(), Err(Error::WouldBlock { .. })));
    peer.kill();
    assert!(mutex.lock_timeout(HANG).unwrap().recovered());
    assert!(!mutex.lock_timeout(HANG).unwrap().recovered());
}
