//! Cleaning takes what the dead have left, and nothing else. Of sections nothing is ever left.

// What the list tells of POSIX and System V objects.
#[cfg(target_os = "linux")]
mod linux;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use mapio_shared::{Cause, Cleaning, Lifetime, ObjectName, Outcome, SharedObject, SharedOptions, clean, inspect};
use mapio_testkit::{Peer, report, rounds};

use crate::support::{TestName, serve};

fn clean_one(name: &TestName, cleaning: Cleaning) -> Vec<(Cause, Outcome)> {
    let found = clean(&[name.parse().unwrap()], cleaning).unwrap();
    assert!(found.iter().all(|leftover| leftover.name == **name), "{found:?}");
    found.into_iter().map(|leftover| (leftover.cause, leftover.outcome)).collect()
}

#[test]
fn what_the_living_use_or_somebody_has_left_in_order_stays() {
    for name in TestName::of_each_lasting_kind() {
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
    let mut first = Some(Peer::start(test, serve()));
    for (verb, cause) in [("create", Cause::AllDied), ("create-last", Cause::LastHandle)] {
        for name in TestName::of_each_kind() {
            let mut peer = first.take().unwrap_or_else(|| Peer::start(test, serve()));
            assert_eq!(peer.ask(&format!("{verb} {}", &*name)), "done");
            assert_eq!(clean_one(&name, Cleaning::Remove), []);
            peer.kill();
            if name.is_section() || cause == Cause::AllDied && name.starts_with("file:") {
                // A file is for what outlives its users, and a section does not.
                assert_eq!(clean_one(&name, Cleaning::Remove), []);
                assert_eq!(inspect(&*name).is_ok(), !name.is_section());
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
    for name in [TestName::memory(), TestName::file()] {
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
            let joiners = [(); 2].map(|()| scope.spawn(|| (0..rounds(150)).for_each(|_| join(&name))));
            let joined = joiners.map(|joiner| joiner.join());
            is_done.store(true, Ordering::Relaxed);
            joined.into_iter().for_each(|joined| joined.unwrap());
            cleaner.join().unwrap()
        });
        report(
            "cleaning_takes_nothing_from_under_who_joins",
            &format!("{removed} leftovers of {} seen meanwhile", &*name),
        );
    }
}

/// Opens an object, or makes it: whoever opens it now gets the same.
fn join(name: &str) {
    let options = SharedOptions::new().len(10).lifetime(Lifetime::LastHandle);
    let object = options.open_or_create(name).unwrap();
    assert!(!object.is_removed().unwrap());
    object.view().atomic::<u64>(0).unwrap().fetch_add(1, Ordering::Relaxed).unwrap();
    let same = SharedOptions::new().open(name).unwrap();
    assert!(same.view().load::<u64>(0).unwrap() > 0);
}
