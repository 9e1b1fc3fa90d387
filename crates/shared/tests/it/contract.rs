//! What is promised of every kind of object, on every kind.

use std::os::unix::net::UnixStream;

use mapio_map::{Access, FaultKind, MapMode};
use mapio_shared::{Error, Lifetime, ObjectKind, SharedObject, SharedOptions, inspect};
use mapio_testkit::Peer;

use crate::support::{TestName, serve};

fn options() -> SharedOptions {
    SharedOptions::new().len(5000)
}

/// An object of each kind, new, by these options.
fn one_of_each(options: &SharedOptions) -> Vec<(Option<TestName>, SharedObject)> {
    let mut all: Vec<_> = TestName::of_each_kind()
        .into_iter()
        .map(|name| {
            let object = options.create(&*name).unwrap();
            (Some(name), object)
        })
        .collect();
    all.push((None, options.create_memfd("contract").unwrap()));
    let private = options.create_sysv_private().unwrap();
    all.push((None, private));
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
            SharedOptions::new().len(1).raw().lifetime(Lifetime::LastHandle),
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
        assert_eq!((made.contents(), made.lifetime()), ("frames".into(), Lifetime::UntilRemoved));
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
        SharedObject::remove(&*name).unwrap();
        assert!(matches!(SharedOptions::new().raw().open(&*name), Err(Error::NotFound { .. })));
    }
}

#[test]
fn a_removed_object_is_used_on_by_who_has_it_and_its_name_is_free() {
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
    let mut peer = Peer::start("contract::an_object_of_its_users_whose_users_were_killed_does_not_exist", serve());
    let names = TestName::of_each_kind();
    assert_eq!(peer.ask(&format!("create-last {}", &*names[0])), "done");
    let mine = SharedOptions::new().open(&*names[0]).unwrap();
    peer.kill();
    assert_eq!(mine.users().unwrap().iter().filter(|user| !user.alive).count(), 1);
    for name in &names[1..] {
        let mut peer = Peer::start("contract::an_object_of_its_users_whose_users_were_killed_does_not_exist", serve());
        assert_eq!(peer.ask(&format!("create-last {}", &**name)), "done");
        peer.kill();
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&**name);
        assert!(matches!(reader, Err(Error::NotFound { .. })), "{reader:?}");
        let writer = SharedOptions::new().open(&**name);
        assert!(matches!(writer, Err(Error::NotFound { .. })), "{writer:?}");
        drop(options().create(&**name).unwrap());
    }
    // Of the first one somebody is alive.
    drop(SharedOptions::new().open(&*names[0]).unwrap());
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
        assert!(users[0].alive && users[0].here && !users[0].name.is_empty());
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
        let objects: Vec<SharedObject> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        objects[0].view().atomic::<u64>(0).unwrap().store(3, std::sync::atomic::Ordering::Relaxed).unwrap();
        assert!(objects.iter().all(|object| object.view().load::<u64>(0) == Ok(3)));
        assert_eq!(objects[0].users().unwrap().len(), 7);
    }
}

#[test]
fn names_are_created_and_removed_by_many_at_once_without_a_half_made_object() {
    for name in TestName::of_each_kind() {
        let work = |_| {
            for _ in 0..60 {
                let object = options().lifetime(Lifetime::LastHandle).open_or_create(&*name).unwrap();
                assert_eq!(object.len(), 5000);
                let _ = SharedObject::remove(&*name);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|i| drop(scope.spawn(move || work(i)))));
        assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    }
}

#[test]
fn the_length_changes_for_who_opens_anew_and_a_cut_kills_nobody() {
    for raw in [false, true] {
        for name in [TestName::posix(), TestName::file()] {
            let options = if raw { options().raw() } else { options() };
            let object = options.create(&*name).unwrap();
            object.view().store(0, 1_u8).unwrap();
            object.set_len(20_000).unwrap();
            assert_eq!(object.len(), 5000);
            let longer = object.reopen().unwrap();
            assert_eq!(
                (longer.len(), longer.view().load::<u8>(19_999), longer.view().load::<u8>(0)),
                (20_000, Ok(0), Ok(1))
            );
            longer.view().store(19_999, 1_u8).unwrap();
            longer.set_len(100).unwrap();
            assert!(matches!(longer.view().load::<u8>(19_999).unwrap_err().kind, FaultKind::Truncated { .. }));
            assert_eq!(SharedOptions::new().open(&*name).map(|object| object.len()).ok(), (!raw).then_some(100));
            longer.set_len(20_000).unwrap();
            assert_eq!(longer.view().load::<u8>(19_999), Ok(0));
            assert!(matches!(longer.set_len(0), Err(Error::Invalid { .. })));
            assert!(matches!(longer.set_len(u64::MAX), Err(Error::Invalid { .. })));
        }
    }
    let name = TestName::sysv();
    assert!(matches!(options().create(&*name).unwrap().set_len(9), Err(Error::Invalid { .. })));
    let memory = options().create_memfd("cut").unwrap();
    let refused = memory.set_len(100).unwrap_err();
    assert!(matches!(&refused, Error::Os { source, .. } if source.raw_os_error() == Some(libc::EPERM)), "{refused:?}");
    assert_eq!(memory.reopen().unwrap().len(), 5000);
    memory.set_len(9000).unwrap();
    assert_eq!(memory.reopen().unwrap().len(), 9000);
    let fixed = options().fixed_len().create_memfd("fixed").unwrap();
    assert!(fixed.set_len(9000).is_err() && fixed.set_len(4000).is_err());
    assert_eq!(fixed.reopen().unwrap().len(), 5000);
}

#[test]
fn an_object_that_is_sent_has_a_life_of_its_own_at_the_receiver() {
    let (here, there) = UnixStream::pair().unwrap();
    let mut objects = one_of_each(&options());
    objects.retain(|(_, object)| {
        object.kind() != ObjectKind::SysV || {
            assert!(matches!(object.send(&here), Err(Error::Invalid { .. })));
            remove_private(object);
            false
        }
    });
    for (_name, object) in objects {
        object.view().store(0, 77_u64).unwrap();
        object.send(&here).unwrap();
        let received = SharedOptions::new().role("receiver").receive(&there).unwrap();
        assert_eq!((received.len(), received.kind(), received.name()), (5000, object.kind(), object.name()));
        assert_eq!(received.view().load::<u64>(0), Ok(77));
        assert_eq!(object.users().unwrap().len(), 1);
        assert_eq!(object.users().unwrap()[0].role, "receiver");
        drop(object);
        // It has taken nobody's lock with it.
        assert_eq!(received.users().unwrap(), []);
        let third = received.reopen().unwrap();
        assert_eq!((received.users().unwrap().len(), third.users().unwrap().len()), (1, 1));
    }
    drop(here);
    assert!(matches!(SharedOptions::new().receive(&there), Err(Error::Disconnected { .. })));
}

#[test]
fn what_is_sent_that_is_no_object_is_an_error() {
    use std::io::Write;
    use std::os::fd::AsFd;
    let (mut here, there) = UnixStream::pair().unwrap();
    here.write_all(b"x").unwrap();
    assert!(matches!(SharedOptions::new().receive(&there), Err(Error::Foreign { .. })));
    for path in ["/dev/null", "/", "/proc/self/exe"] {
        let file = std::fs::File::open(path).unwrap();
        assert!(SharedOptions::new().from_fd(file.as_fd()).is_err(), "{path}");
    }
    assert!(SharedOptions::new().from_fd(here.as_fd()).is_err());
}
