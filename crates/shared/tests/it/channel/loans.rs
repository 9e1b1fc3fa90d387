//! Loans that are out while others come, send and receive.

use std::time::Duration;

use mapio_shared::channel::{Channel, ChannelOptions, Full, Kind};
use mapio_shared::{Error, SharedObject};

use super::processes::{HANG, options, receive, send};
use super::{combinations, message};
use crate::support::TestName;

/// Who joins behind a loan does not have it to receive; its room is not free all the same.
#[test]
fn what_is_on_loan_is_not_overwritten_once_all_receivers_are_behind_it() {
    for full in [Full::Block, Full::DropOldest] {
        let name = TestName::memory();
        let channel: Channel<[u8]> = options(Kind::Broadcast).full(full).capacity(2).create(&*name).unwrap();
        let (mut one, mut two) = (channel.sender().unwrap(), channel.sender().unwrap());
        let loan = one.try_loan(8).unwrap().unwrap();
        let mut receiver = channel.receiver().unwrap();
        send(&mut two, 1);
        assert_eq!(receive(&mut receiver), Some(1));
        assert!(matches!(two.try_send(&message(2, 8)), Err(Error::WouldBlock { .. })));
        loan.view().write_all_at(0, &message(9, 8)).unwrap();
        loan.send().unwrap();
        send(&mut two, 3);
        assert_eq!(receive(&mut receiver), Some(3));
        channel.check().unwrap();
    }
}

#[test]
fn a_loan_is_made_no_longer_and_the_error_says_than_what() {
    let (name, other) = (TestName::memory(), TestName::memory());
    for kind in [Kind::Spsc, Kind::Broadcast] {
        let channel: Channel<[u8]> = options(kind).create(&*name).unwrap();
        let mut sender = channel.sender().unwrap();
        let mut loan = sender.loan(100).unwrap();
        assert!(matches!(loan.truncate(101), Err(Error::TooLong { len: 101, most: 100, .. })));
        loan.truncate(100).unwrap();
        loan.truncate(9).unwrap();
        assert!(matches!(loan.truncate(10), Err(Error::TooLong { len: 10, most: 9, .. })));
        drop(loan);
        SharedObject::remove(&*name).unwrap();
    }
    let fixed: Channel<u64> = ChannelOptions::new().create(&*other).unwrap();
    let mut sender = fixed.sender().unwrap();
    let mut loan = sender.loan().unwrap();
    loan.truncate(8).unwrap();
    for len in [7, 9] {
        assert!(matches!(loan.truncate(len), Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_loan_is_waited_for_no_longer_than_asked() {
    for (kind, full, wait) in combinations().filter(|(_, full, _)| *full == Full::Block) {
        let (name, other) = (TestName::memory(), TestName::memory());
        let options = options(kind).full(full).wait(wait).capacity(2);
        let channel: Channel<[u8]> = options.create(&*name).unwrap();
        let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        (1..3).for_each(|number| send(&mut sender, number));
        let short = Duration::from_millis(30);
        assert!(matches!(sender.loan_timeout(8, short), Err(Error::Timeout { waited, .. }) if waited >= short));
        assert_eq!(receive(&mut receiver), Some(1));
        let loan = sender.loan_timeout(8, HANG).unwrap();
        loan.view().write_all_at(0, &message(0, 8)).unwrap();
        loan.send().unwrap();
        assert_eq!([(); 2].map(|()| receive(&mut receiver)), [Some(2), Some(0)]);
        let values: Channel<u64> = ChannelOptions::new().kind(kind).wait(wait).capacity(2).create(&*other).unwrap();
        let (mut sender, _receiver) = (values.sender().unwrap(), values.receiver().unwrap());
        (1..3).for_each(|_| sender.loan_timeout(HANG).unwrap().send().unwrap());
        assert!(matches!(sender.loan_timeout(short), Err(Error::Timeout { .. })));
    }
}
