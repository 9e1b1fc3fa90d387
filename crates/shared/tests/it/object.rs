//! Objects that have names.

use mapio_map::MapMode;
use mapio_shared::{Error, SharedObject, SharedOptions};
use mapio_testkit::Peer;

use crate::support::TestName;

#[test]
fn what_one_process_stores_another_loads() {
    let mut object = None;
    let mut peer = Peer::start("object::what_one_process_stores_another_loads", move |request| {
        let (verb, rest) = request.split_once(' ').unwrap();
        match verb {
            "open" => object = Some(SharedOptions::new().role("peer").open(rest).unwrap()),
            "store" => object.as_ref().unwrap().view().store(8, rest.parse::<u64>().unwrap()).unwrap(),
            _ => unreachable!("{verb}"),
        }
        String::from("done")
    });
    let name = TestName::memory();
    let mine = SharedOptions::new().len(100).create(&*name).unwrap();
    assert_eq!((mine.len(), mine.view().load::<u64>(8)), (100, Ok(0)));
    peer.ask(&format!("open {}", &*name));
    peer.ask("store 77");
    assert_eq!(mine.view().load::<u64>(8), Ok(77));
    let users = mine.users().unwrap();
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!((users[0].pid, &*users[0].role, users[0].alive, users[0].number), (Some(peer.id()), "peer", true, 2));
    peer.kill();
    let users = mine.users().unwrap();
    assert_eq!((users.len(), users[0].alive), (1, false), "{users:?}");
}

#[test]
fn a_name_is_created_once_and_is_free_after_it_was_removed_or_closed() {
    let name = TestName::memory();
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    let first = SharedOptions::new().len(1).create(&*name).unwrap();
    assert!(matches!(SharedOptions::new().len(1).create(&*name), Err(Error::Exists { .. })));
    let same = SharedOptions::new().len(1).open_or_create(&*name).unwrap();
    first.view().store(0, 9_u8).unwrap();
    assert_eq!(same.view().load::<u8>(0), Ok(9));
    SharedObject::remove(&*name).unwrap();
    assert!(first.is_removed().unwrap());
    assert!(matches!(SharedOptions::new().open(&*name), Err(Error::NotFound { .. })));
    assert!(matches!(SharedObject::remove(&*name), Err(Error::NotFound { .. })));
    // A section has its name as long as somebody has it open.
    let first = if name.is_section() {
        drop((first, same));
        None
    } else {
        Some(first)
    };
    let second = SharedOptions::new().len(2).create(&*name).unwrap();
    assert_eq!(second.view().load::<u8>(0), Ok(0));
    assert!(first.is_none_or(|first| first.view().load::<u8>(0) == Ok(9)));
}

#[test]
fn a_reader_can_not_write() {
    for name in [TestName::memory(), TestName::file()] {
        let writer = SharedOptions::new().len(64).create(&*name).unwrap();
        let reader = SharedOptions::new().map_mode(MapMode::ReadOnly).open(&*name).unwrap();
        let own = SharedOptions::new().map_mode(MapMode::CopyOnWrite).open(&*name).unwrap();
        assert!(reader.view().store(0, 1_u8).is_err());
        own.view().store(0, 1_u8).unwrap();
        writer.view().store(1, 2_u8).unwrap();
        assert_eq!(reader.view().load::<[u8; 2]>(0), Ok([0, 2]));
        assert_eq!(writer.users().unwrap().len(), 2);
    }
}
