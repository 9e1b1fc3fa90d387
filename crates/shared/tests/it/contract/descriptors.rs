//! What only Linux has: objects that are cut while they are mapped, memory files, objects sent to other processes.

use std::os::unix::net::UnixStream;

use mapio_map::FaultKind;
use mapio_shared::{Error, ObjectKind, SharedOptions};
use mapio_testkit::bus_errors_tell_where;

use super::{one_of_each, options, remove_private};
use crate::support::TestName;

#[test]
fn the_length_changes_for_who_opens_anew_and_a_cut_kills_nobody() {
    if !bus_errors_tell_where("contract::descriptors::the_length_changes_for_who_opens_anew_and_a_cut_kills_nobody") {
        return;
    }
    for raw in [false, true] {
        for name in [TestName::memory(), TestName::file()] {
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
