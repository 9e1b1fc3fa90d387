//! What is promised of every kind of object, on every kind.

// Objects that are cut, memory files, sockets.
#[cfg(target_os = "linux")]
mod descriptors;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use mapio_map::{Access, FaultKind, MapMode};
use mapio_shared::{Error, Evidence, Lifetime, ObjectKind, SharedObject, SharedOptions, inspect};
use mapio_testkit::{Peer, report, rounds};

use crate::support::{TestName, lacks_own_start_time, serve, unnamed};

fn options() -> SharedOptions {
    SharedOptions::new().len(5000)
}

/// An object of each kind, new, by these options.
fn one_of_each(options: &SharedOptions) -> Vec<(Option<TestName>, SharedObject)> {
    let of_name = |name: TestName| {
        let object = options.create(&*name).unwrap();
        (Some(name), object)
    };
    let mut all: Vec<_> = TestName::of_each_kind().into_iter().map(of_name).collect();
    all.extend(unnamed(options).into_iter().map(|object| (None, object)));
    all
}

/// Removes what has a name that its test's `TestName` does not remove.
fn remove_private(object: &SharedObject) {
    if object.name().starts_with("sysv-id:") {
        SharedObject::remove(object.name()).unwrap();
    }
}

#[test]
fn an_object_is_as_long_as_asked_for_of_zeros_and_bounded() {
    for (_name, object) in one_of_each(&options()) {
        let view = object.view();
        assert_eq!((object.len(), object.is_empty(), object.is_raw()), (5000, false, false), "{object:?}");
        let mut bytes = vec![1; 5000];
        view.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0), "{object:?}");
        view.store(4999, 7_u8).unwrap();
        view.store(4993, 7_u64).unwrap_err();
        view.store(4991, 7_u64).unwrap();
        for at in [5000, 5001, usize::MAX] {
            let fault = view.load::<u8>(at).unwrap_err();
            assert_eq!((fault.kind, fault.access), (FaultKind::OutOfBounds { view_len: 5000 }, Access::Read));
        }
        remove_private(&object);
    }
}

#[test]
fn parts_are_mapped_where_they_are_in_the_contents() {
    for (_name, object) in one_of_each(&options()) {
        object.view().store(4090, *b"0123456789").unwrap();
        let part = object.map(4092..4096, MapMode::ReadOnly).unwrap();
        assert_eq!(part.view().load::<[u8; 4]>(0), Ok(*b"2345"), "{object:?}");
        assert!(part.view().store(0, 1_u8).is_err(), "{object:?}");
        let empty = object.map(5000..5000, MapMode::ReadOnly).unwrap();
        assert_eq!(empty.len(), 0);
        #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
        let reversed = 3..2;
        for range in [0..5001, 5001..5001, reversed, 0..usize::MAX] {
            assert!(matches!(object.map(range, MapMode::ReadOnly), Err(Error::Invalid { .. })), "{object:?}");
        }
        match object.map(0..8, MapMode::CopyOnWrite) {
            Ok(own) => {
                own.view().store(0, 9_u64).unwrap();
                assert_eq!(object.view().load::<u64>(0), Ok(0), "{object:?}");
            }
            Err(error) => assert!(object.kind() == ObjectKind::SysV, "{error}"),
        }
        remove_private(&object);
    }
}

#[test]
fn the_options_that_make_no_sense_are_refused_and_leave_nothing() {
    for name in TestName::of_each_kind() {
        let none = [
            SharedOptions::new(),
            SharedOptions::new().len(0),
            SharedOptions::new().len(u64::MAX),
            SharedOptions::new().len(u64::MAX - 4096),
            SharedOptions::new().len(1).map_mode(MapMode::ReadOnly),
            // Only of a section the system itself knows the last handle, and it never stays without one.
            if name.is_section() {
                SharedOptions::new().len(1).lifetime(Lifetime::UntilRemoved)
            } else {
                SharedOptions::new().len(1).raw().lifetime(Lifetime::LastHandle)
            },
        ];
        for options in none {
            let refused = options.create(&*name);
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
            assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
        }
    }
    assert!(matches!(options().create("sysv-id:5"), Err(Error::Invalid { .. })));
}

#[test]
fn what_was_asked_for_at_creation_is_checked_at_opening() {
    for name in TestName::of_each_kind() {
        let made = options().contents("frames").layout_hash(77).role("maker").create(&*name).unwrap();
        assert_eq!((made.contents(), made.lifetime()), ("frames".into(), name.usual_lifetime()));
        for fine in [SharedOptions::new(), options(), options().contents("frames").layout_hash(77)] {
            assert_eq!(fine.open(&*name).unwrap().len(), 5000);
        }
        let different = [
            SharedOptions::new().len(4999),
            SharedOptions::new().len(5001),
            options().contents("channel"),
            options().layout_hash(78),
        ];
        for options in different {
            let refused = options.open(&*name);
            assert!(matches!(refused, Err(Error::WrongLayout { .. })), "{refused:?}");
        }
        assert_eq!(made.users().unwrap(), []);
    }
}

#[test]
fn a_raw_object_is_all_bytes_and_knows_nobody() {
    for name in TestName::of_each_kind() {
        let made = options().raw().create(&*name).unwrap();
        assert!(made.is_raw() && made.len() == 5000 && made.users().unwrap().is_empty());
        let refused = SharedOptions::new().open(&*name);
        assert!(matches!(refused, Err(Error::Foreign { .. })), "{refused:?}");
        assert!(matches!(options().create(&*name), Err(Error::Exists { .. })));
        let other = SharedOptions::new().raw().open(&*name).unwrap();
        other.view().store(0, 5_u8).unwrap();
        assert_eq!(made.view().load::<u8>(0), Ok(5));
        assert!(matches!(SharedOptions::new().raw().len(9000).open(&*name), Err(Error::WrongLayout { .. })));
        match SharedObject::remove(&*name) {
            // There is no place in it to say so.
            Err(Error::Invalid { .. }) if name.is_section() => drop((made, other)),
            removed => removed.unwrap(),
        }
        assert!(matches!(SharedOptions::new().raw().open(&*name), Err(Error::NotFound { .. })));
    }
}

#[test]
fn a_removed_object_is_used_on_by_who_has_it_and_its_name_is_free_then_or_when_they_close_it() {
    for name in TestName::of_each_kind() {
        let first = options().create(&*name).unwrap();
        let second = SharedOptions::new().open(&*name).unwrap();
        assert!(!second.is_removed().unwrap());
        SharedObject::remove(&*name).unwrap();
        assert!(first.is_removed().unwrap() && second.is_removed().unwrap());
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
        assert!(matches!(SharedObject::remove(&*name), Err(Error::NotFound { .. })));
        first.view().store(8, 1_u64).unwrap();
        assert_eq!(second.view().load::<u64>(8), Ok(1));
        assert_eq!(first.users().unwrap().len(), 1);
        if name.is_section() {
            // It keeps its name as long as somebody has it.
            assert!(matches!(options().create(&*name), Err(Error::Exists { .. })));
            drop((first, second));
        }
        let third = options().create(&*name).unwrap();
        assert_eq!(third.view().load::<u64>(8), Ok(0));
    }
}

#[test]
fn an_object_of_its_users_ends_with_the_last_of_them_whoever_that_is() {
    for name in TestName::of_each_kind() {
        let first = options().lifetime(Lifetime::LastHandle).create(&*name).unwrap();
        let second = SharedOptions::new().open(&*name).unwrap();
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
        drop(first);
        drop(SharedOptions::new().open(&*name).unwrap());
        drop(second);
        // A reader keeps it alive, and gives way to nobody.
        drop(SharedOptions::new().open(&*name).unwrap());
        drop(reader);
        // It is gone, and not just dead.
        assert!(matches!(inspect(&*name), Err(Error::NotFound { .. })));
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
        drop(options().create(&*name).unwrap());
    }
}

#[test]
fn an_object_of_its_users_whose_users_were_killed_does_not_exist() {
    let test = "contract::an_object_of_its_users_whose_users_were_killed_does_not_exist";
    let mut peer = Peer::start(test, serve());
    let name = TestName::memory();
    assert_eq!(peer.ask(&format!("create-last {}", &*name)), "done");
    let mine = SharedOptions::new().open(&*name).unwrap();
    peer.kill();
    assert_eq!(mine.users().unwrap().iter().filter(|user| !user.alive).count(), 1);
    // Of this one somebody is alive.
    drop(SharedOptions::new().open(&*name).unwrap());
    for name in TestName::of_each_kind() {
        let mut peer = Peer::start(test, serve());
        assert_eq!(peer.ask(&format!("create-last {}", &*name)), "done");
        peer.kill();
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name);
        assert!(matches!(reader, Err(Error::NotFound { .. })), "{reader:?}");
        let writer = SharedOptions::new().open(&*name);
        assert!(matches!(writer, Err(Error::NotFound { .. })), "{writer:?}");
        drop(options().create(&*name).unwrap());
    }
}

#[test]
fn processes_see_each_others_stores_and_each_other() {
    let mut peer = Peer::start("contract::processes_see_each_others_stores_and_each_other", serve());
    for name in TestName::of_each_kind() {
        let mine = options().create(&*name).unwrap();
        assert_eq!(peer.ask(&format!("open {}", &*name)), "done");
        assert_eq!(peer.ask("store 16 4711"), "Ok(())");
        assert_eq!(mine.view().load::<u64>(16), Ok(4711));
        let users = mine.users().unwrap();
        assert_eq!(users.len(), 1, "{users:?}");
        assert_eq!((users[0].pid, &*users[0].role, users[0].number), (Some(peer.id()), "peer", 2));
        assert!(users[0].alive && users[0].here && !users[0].name.is_empty(), "{users:?}");
        let info = inspect(&*name).unwrap();
        assert_eq!((info.users.len(), info.evidence, info.len), (2, Evidence::Locks, 5000));
        assert_eq!(peer.ask(&format!("read {}", &*name)), "done");
        let users = mine.users().unwrap();
        assert_eq!(users.len(), 1, "{users:?}");
        assert_eq!((users[0].pid, &*users[0].role, users[0].number), (Some(peer.id()), "reader", 0));
        assert!(users[0].here);
        assert_eq!(peer.ask("load 16"), "Ok(4711)");
        peer.ask("close");
        assert_eq!(mine.users().unwrap(), []);
    }
}

#[test]
fn several_who_open_or_create_get_the_same_object() {
    let names = TestName::of_each_kind();
    for name in &names {
        let open = || options().open_or_create(&**name).unwrap();
        let objects: Vec<SharedObject> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        objects[0].view().atomic::<u64>(0).unwrap().store(3, Ordering::Relaxed).unwrap();
        assert!(objects.iter().all(|object| object.view().load::<u64>(0) == Ok(3)));
        assert_eq!(objects[0].users().unwrap().len(), 7);
    }
}

#[test]
fn names_are_created_and_removed_by_many_at_once_without_a_half_made_object() {
    for name in TestName::of_each_kind() {
        let work = |_| {
            for _ in 0..rounds(60) {
                match options().lifetime(Lifetime::LastHandle).open_or_create(&*name) {
                    Ok(object) => assert_eq!(object.len(), 5000),
                    // Removed, and still open: it has its name until it is not.
                    Err(Error::Exists { .. } | Error::NotFound { .. }) if name.is_section() => {}
                    Err(error) => panic!("{error:?}"),
                }
                let _ = SharedObject::remove(&*name);
            }
        };
        thread::scope(|scope| (0..4).for_each(|i| drop(scope.spawn(move || work(i)))));
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    }
}

#[test]
fn parts_are_mapped_wherever_they_are_and_copies_stay_ones_own() {
    for name in TestName::of_each_kind() {
        let object = SharedOptions::new().len(300_000).create(&*name).unwrap();
        // Across the 64 KiB at which views begin, behind a header of 4 KiB.
        for at in [61_430, 65_536, 131_071, 299_990] {
            object.view().store(at, *b"0123456789").unwrap();
            let part = object.map(at + 2..at + 6, MapMode::ReadOnly).unwrap();
            assert_eq!(part.view().load::<[u8; 4]>(0), Ok(*b"2345"));
            assert!(part.view().store(0, 1_u8).is_err());
            match object.map(at..at + 10, MapMode::CopyOnWrite) {
                Ok(own) => own.view().store(0, *b"mine").unwrap(),
                Err(error) => assert!(object.kind() == ObjectKind::SysV, "{error}"),
            }
            assert_eq!(object.view().load::<[u8; 4]>(at), Ok(*b"0123"));
            object.view().store(at + 9, b'x').unwrap();
        }
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
        assert!(reader.view().store(0, 1_u8).is_err());
        assert_eq!(object.users().unwrap().len(), 1);
        drop(reader);
        assert_eq!(object.reopen().unwrap().users().unwrap().len(), 1);
    }
}

#[test]
fn an_object_grows_for_who_opens_it_anew() {
    for raw in [false, true] {
        for name in TestName::of_each_kind() {
            let options = if raw { options().raw() } else { options() };
            let object = options.create(&*name).unwrap();
            object.view().store(0, 1_u8).unwrap();
            if matches!(object.kind(), ObjectKind::SysV | ObjectKind::Section) {
                assert!(matches!(object.set_len(20_000), Err(Error::Invalid { .. })));
                SharedObject::remove(&*name).ok();
                continue;
            }
            object.set_len(20_000).unwrap();
            assert_eq!(object.len(), 5000);
            let longer = object.reopen().unwrap();
            assert_eq!((longer.len(), longer.view().load::<[u8; 1]>(0)), (20_000, Ok([1])));
            assert_eq!(longer.view().load::<u8>(19_999), Ok(0));
            longer.view().store(19_999, 1_u8).unwrap();
            assert!(matches!(longer.set_len(0), Err(Error::Invalid { .. })));
            assert!(matches!(longer.set_len(u64::MAX), Err(Error::Invalid { .. })));
            SharedObject::remove(&*name).unwrap();
        }
    }
}

/// A guard against hanging, far above what anything takes.
const HANG: Duration = Duration::from_secs(120);

#[test]
fn a_death_is_told_to_who_waits_for_it_and_seen_by_all() {
    let test = "contract::a_death_is_told_to_who_waits_for_it_and_seen_by_all";
    let mut first = Some(Peer::start(test, serve()));
    if lacks_own_start_time(test) {
        return;
    }
    for name in TestName::of_each_kind() {
        let mut peer = first.take().unwrap_or_else(|| Peer::start(test, serve()));
        assert_eq!(peer.ask(&format!("create-last {}", &*name)), "done");
        let mine = SharedOptions::new().open(&*name).unwrap();
        let mut watch = mine.watch_users().unwrap();
        assert_eq!((watch.wait(Some(Duration::from_millis(1))).unwrap(), watch.unwatched()), (vec![], &[][..]));
        let pid = peer.id();
        peer.kill();
        let ended = watch.wait(Some(HANG)).unwrap();
        assert_eq!(ended.iter().map(|user| user.pid).collect::<Vec<_>>(), [Some(pid)]);
        let users = mine.users().unwrap();
        assert_eq!((users.len(), users[0].alive, users[0].pid), (1, false, Some(pid)), "{users:?}");
        drop(mine);
        assert!(matches!(inspect(&*name), Err(Error::NotFound { .. })));
    }
}

#[test]
fn sleepers_are_woken_by_other_processes() {
    const TURNS: u32 = 300;
    /// Far more than the word takes to change, so that who is not woken is counted.
    const LONG: Duration = Duration::from_secs(2);
    /// Waits for its turn, hands it on; counts what was not woken.
    fn play(object: &SharedObject, odd: u32) -> u32 {
        let mut missed = 0;
        let turn = object.view().atomic::<u32>(64).unwrap();
        for number in (0..TURNS).filter(|number| number % 2 == odd) {
            loop {
                let found = turn.load(Ordering::Acquire).unwrap();
                if found == number {
                    break;
                }
                missed += u32::from(!object.wait(64, found, LONG).unwrap());
            }
            turn.store(number + 1, Ordering::Release).unwrap();
            object.wake(64).unwrap();
        }
        missed
    }
    let mut peer = Peer::start("contract::sleepers_are_woken_by_other_processes", {
        let mut object = None;
        move |request| match request.split_once(' ') {
            Some(("open", name)) => {
                object = Some(SharedOptions::new().open(name).unwrap());
                String::from("done")
            }
            None if request == "close" => {
                object = None;
                String::from("done")
            }
            _ => play(object.as_ref().unwrap(), 1).to_string(),
        }
    });
    for name in TestName::of_each_kind() {
        let object = options().create(&*name).unwrap();
        peer.ask(&format!("open {}", &*name));
        let begin = Instant::now();
        let (mine, theirs) = thread::scope(|scope| {
            let mine = scope.spawn(|| play(&object, 0));
            let theirs: u32 = peer.ask("play").parse().unwrap();
            (mine.join().unwrap(), theirs)
        });
        let each = begin.elapsed() / TURNS;
        peer.ask("close");
        report("sleepers_are_woken_by_other_processes", &format!("{each:?} a turn; not woken: {mine} and {theirs}"));
        // One may sleep two seconds because the machine is busy; a wake that is lost regularly takes more.
        assert!(mine + theirs <= 3, "not woken: {mine} and {theirs}");
    }
}
