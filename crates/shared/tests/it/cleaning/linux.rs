//! What the list tells of the kinds of objects that Linux has.

use std::path::Path;

use mapio_shared::{Evidence, Lifetime, SharedOptions, inspect, list_all};
use mapio_testkit::Peer;

use crate::support::{TestName, lacks_segment_permissions, serve};

#[test]
fn the_list_tells_what_each_object_is_and_who_uses_it() {
    if lacks_segment_permissions("cleaning::linux::the_list_tells_what_each_object_is_and_who_uses_it") {
        return;
    }
    let test = "cleaning::linux::the_list_tells_what_each_object_is_and_who_uses_it";
    let mut peer = Peer::start(test, serve());
    for name in [TestName::memory(), TestName::sysv()] {
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
