//! Cleaning takes what the dead have left, and nothing else.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mapio_shared::{
    Cause, Cleaning, Evidence, Lifetime, ObjectName, Outcome, SharedObject, SharedOptions, clean, inspect, list_all,
};
use mapio_testkit::Peer;

use crate::support::{TestName, serve};

fn clean_one(name: &TestName, cleaning: Cleaning) -> Vec<(Cause, Outcome)> {
    let found = clean(&[name.parse().unwrap()], cleaning).unwrap();
    assert!(found.iter().all(|leftover| leftover.name == **name), "{found:?}");
    found.into_iter().map(|leftover| (leftover.cause, leftover.outcome)).collect()
}

#[test]
fn what_the_living_use_or_somebody_has_left_in_order_stays() {
    for name in TestName::of_each_kind() {
        let mine = SharedOptions::new().len(10).create(&*name).unwrap();
        assert_eq!(clean_one(&name, Cleaning::Remove), []);
        drop(mine);
        assert_eq!(clean_one(&name, Cleaning::Remove), []);
        drop(SharedOptions::new().open(&*name).unwrap());
        SharedObject::remove(&*name).unwrap();
        drop(SharedOptions::new().len(10).raw().create(&*name).unwrap());
        assert_eq!(clean_one(&name, Cleaning::Remove), []);
        drop(SharedOptions::new().raw().open(&*name).unwrap());
        SharedObject::remove(&*name).unwrap();
        assert_eq!(clean_one(&name, Cleaning::Remove), []);
    }
}

#[test]
fn what_the_dead_have_left_goes() {
    let test = "cleaning::what_the_dead_have_left_goes";
    for (at, verb) in ["create", "create-last"].into_iter().enumerate() {
        for kind in 0..3 {
            let mut peer = Peer::start(test, serve());
            let name = TestName::of_each_kind().into_iter().nth(kind).unwrap();
            assert_eq!(peer.ask(&format!("{verb} {}", &*name)), "done");
            assert_eq!(clean_one(&name, Cleaning::Remove), []);
            peer.kill();
            let cause = if at == 0 { Cause::AllDied } else { Cause::LastHandle };
            if (at, kind) == (0, 1) {
                // A file is for what outlives its users.
                assert_eq!(clean_one(&name, Cleaning::Remove), []);
                continue;
            }
            assert_eq!(clean_one(&name, Cleaning::DryRun), [(cause, Outcome::Found)]);
            assert!(inspect(&*name).is_ok());
            assert_eq!(clean_one(&name, Cleaning::Remove), [(cause, Outcome::Removed)]);
            assert!(inspect(&*name).is_err());
            assert_eq!(clean_one(&name, Cleaning::Remove), []);
        }
    }
}

#[test]
fn what_has_no_name_yet_goes_when_its_maker_is_dead() {
    let name = TestName::file();
    let folder = name.path().parent().unwrap().to_owned();
    fs::write(folder.join(".mapio-new-abc"), b"half").unwrap();
    fs::write(folder.join("kept"), b"whole").unwrap();
    let found = clean(&[name.parse().unwrap()], Cleaning::Remove).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].cause, &found[0].outcome), (Cause::HalfMade, &Outcome::Removed));
    assert!(!folder.join(".mapio-new-abc").exists() && folder.join("kept").exists());
}

#[test]
fn cleaning_takes_nothing_from_under_who_joins() {
    let name = TestName::posix();
    let is_done = AtomicBool::new(false);
    let names = [name.parse::<ObjectName>().unwrap()];
    let removed = std::thread::scope(|scope| {
        let cleaner = scope.spawn(|| {
            let mut removed = 0;
            while !is_done.load(Ordering::Relaxed) {
                removed += clean(&names, Cleaning::Remove).unwrap().len();
            }
            removed
        });
        let join = || {
            for _ in 0..150 {
                let options = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle);
                let object = options.open_or_create(&*name).unwrap();
                assert!(!object.is_removed().unwrap());
                // Whoever opens it now gets the same object.
                object.view().atomic::<u64>(0).unwrap().fetch_add(1, Ordering::Relaxed).unwrap();
                let same = SharedOptions::new().open(&*name).unwrap();
                assert!(same.view().load::<u64>(0).unwrap() > 0);
            }
        };
        let joiners = [scope.spawn(join), scope.spawn(join)];
        joiners.into_iter().for_each(|joiner| joiner.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
        cleaner.join().unwrap()
    });
    mapio_testkit::report(
        "cleaning_takes_nothing_from_under_who_joins",
        &format!("{removed} leftovers seen meanwhile"),
    );
}

#[test]
fn the_list_tells_what_each_object_is_and_who_uses_it() {
    let test = "cleaning::the_list_tells_what_each_object_is_and_who_uses_it";
    let mut peer = Peer::start(test, serve());
    for name in [TestName::posix(), TestName::sysv()] {
        let options = SharedOptions::new().len(5000).permissions(0o640).contents("frames").role("maker");
        let mine = options.lifetime(Lifetime::LastHandle).create(&*name).unwrap();
        assert_eq!(peer.ask(&format!("open {}", &*name)), "done");
        let all = list_all().unwrap();
        let info = all.iter().find(|info| info.name.to_string() == *name).unwrap();
        assert_eq!((info.len, info.permissions, info.raw, &*info.contents), (5000, 0o640, false, "frames"));
        assert_eq!((info.lifetime, info.evidence, &info.problem), (Lifetime::LastHandle, Evidence::Locks, &None));
        assert!(info.created.unwrap().elapsed().unwrap().as_secs() < 3600);
        let mut roles: Vec<_> = info.users.iter().map(|user| (user.pid.unwrap(), &*user.role, user.alive)).collect();
        roles.sort_unstable();
        let mut expected = vec![(std::process::id(), "maker", true), (peer.id(), "peer", true)];
        expected.sort_unstable();
        assert_eq!(roles, expected);
        peer.ask("close");
        drop(mine);
        let raw = SharedOptions::new().len(5000).raw().create(&*name).unwrap();
        let info = inspect(&*name).unwrap();
        assert_eq!((info.raw, info.evidence, info.len), (true, Evidence::Maps, 5000));
        assert!(info.users.iter().any(|user| user.pid == Some(std::process::id())), "{info:?}");
        drop(raw);
        assert_eq!(inspect(&*name).unwrap().users, []);
    }
    assert!(!list_all().unwrap().iter().any(|info| info.name.to_string().starts_with(".mapio")));
    assert!(Path::new("/dev/shm").exists());
}
