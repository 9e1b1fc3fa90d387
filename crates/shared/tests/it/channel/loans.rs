//! Loans that are out while others come, send and receive.

use mapio_shared::Error;
use mapio_shared::channel::{Channel, Full, Kind};

use super::message;
use super::processes::{options, receive, send};
use crate::support::TestName;

/// Who joins behind a loan does not have it to receive; its room is not free all the same.
#[test]
fn what_is_on_loan_is_not_overwritten_once_all_receivers_are_behind_it() {
    for full in [Full::Block, Full::DropOldest] {
        let name = TestName::posix();
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
