//! One process, no waiting: every operation against a naive model.

use std::collections::VecDeque;
use std::time::Duration;

use mapio_shared::channel::{Channel, ChannelOptions, Full, History, Kind, Loan, Receiver, Sender, Wait};
use mapio_shared::{Error, SharedObject};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{combinations, message, number_of};
use crate::support::TestName;

/// What can be done; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// Reserves so much, shortens it, and sends it.
    Loan(usize, usize),
    Cancel(usize),
    Forget(usize),
    Receive(usize),
    Lend(usize),
    JoinReceiver(u64),
    LeaveReceiver(usize),
    ReplaceSender(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![8_usize..120, 100_usize..400];
    prop_oneof![
        8 => len.clone().prop_map(Step::Send),
        2 => (len.clone(), 8_usize..400).prop_map(|(most, len)| Step::Loan(most, len)),
        1 => len.clone().prop_map(Step::Cancel),
        1 => len.prop_map(Step::Forget),
        8 => any::<usize>().prop_map(Step::Receive),
        2 => any::<usize>().prop_map(Step::Lend),
        1 => (0_u64..12).prop_map(Step::JoinReceiver),
        1 => any::<usize>().prop_map(Step::LeaveReceiver),
        1 => any::<usize>().prop_map(Step::ReplaceSender),
    ]
}

/// A receiver, and what it has to receive: messages, and padding.
type Listener = (Receiver<[u8]>, VecDeque<Option<u64>>);

/// A channel, and beside it what it should hold.
struct Scene {
    channel: Channel<[u8]>,
    kind: Kind,
    full: Full,
    slots: usize,
    senders: Vec<Sender<[u8]>>,
    receivers: Vec<Listener>,
    had_receiver: bool,
    /// Of an SPSC channel, also while nobody receives; of a broadcast channel, all that was sent.
    kept: VecDeque<Option<u64>>,
    next: u64,
}

const MOST: usize = 400;

impl Scene {
    fn new(name: &str, kind: Kind, full: Full, slots: u64) -> Self {
        let options = ChannelOptions::new().kind(kind).full(full).capacity(slots).wait(Wait::Sleep);
        let options = if kind == Kind::Broadcast { options.senders(3).receivers(3) } else { options };
        let channel: Channel<[u8]> = options.message_len(400).buffer_bytes(1024).create(name).unwrap();
        let senders = (0..if kind == Kind::Spsc { 1 } else { 3 }).map(|_| channel.sender().unwrap()).collect();
        let slots = usize::try_from(slots).unwrap();
        let (receivers, kept, had_receiver) = (Vec::new(), VecDeque::new(), false);
        Self { channel, kind, full, slots, senders, receivers, had_receiver, kept, next: 0 }
    }

    /// Messages and padding that nobody may overwrite.
    fn held(&self) -> usize {
        match (self.kind, self.full) {
            (_, Full::DropOldest) => 0,
            (Kind::Spsc, _) => self.receivers.first().map_or(self.kept.len(), |(_, pending)| pending.len()),
            _ => self.receivers.iter().map(|(_, pending)| pending.len()).max().unwrap_or(0),
        }
    }

    /// Whether a message of that length has to find room, or must not find any; `None` if the buffer decides.
    fn expects_room(&self, len: usize) -> Option<bool> {
        match self.held() {
            0 => Some(true),
            held if held >= self.slots => Some(false),
            _ if len <= 104 => Some(true),
            _ => None,
        }
    }

    fn check_room(&self, len: usize, found: bool) {
        if let Some(expected) = self.expects_room(len) {
            assert_eq!(found, expected, "{} held of {}, {len} bytes", self.held(), self.slots);
        }
    }

    /// Who has no room is told if the receiver has left, and no other error.
    fn check_left(&self, len: usize, error: &Error) {
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        assert!(self.kind == Kind::Spsc && self.had_receiver && self.receivers.is_empty());
        self.check_room(len, false);
    }

    fn sent(&mut self, what: Option<u64>) {
        if self.kind == Kind::Spsc && what.is_none() {
            return;
        }
        self.kept.push_back(what);
        for (_, pending) in &mut self.receivers {
            pending.push_back(what);
        }
    }

    fn apply(&mut self, step: Step) {
        let sender = usize::try_from(self.next).unwrap() % self.senders.len();
        match step {
            Step::Send(len) => {
                let bytes = message(self.next, len);
                match self.senders[sender].try_send(&bytes) {
                    Ok(()) => {
                        self.check_room(len, true);
                        self.sent(Some(self.next));
                        self.next += 1;
                    }
                    Err(Error::WouldBlock { .. }) => self.check_room(len, false),
                    Err(error) => self.check_left(len, &error),
                }
            }
            Step::Loan(most, len) => self.loan(sender, most.max(len), Some(len)),
            Step::Cancel(len) => self.loan(sender, len, None),
            Step::Forget(len) => {
                if let Ok(Some(())) = self.senders[sender].try_loan(len).map(|loan| loan.map(std::mem::forget)) {
                    // What its sender does next gives it up.
                    assert!(matches!(self.senders[sender].try_loan(MOST), Ok(_) | Err(Error::Disconnected { .. })));
                    self.replace_sender(sender);
                    self.forgotten();
                }
            }
            Step::Receive(which) => self.receive(which),
            Step::Lend(which) => self.lend(which),
            Step::JoinReceiver(last) => self.join(last),
            Step::LeaveReceiver(which) if !self.receivers.is_empty() => {
                let (receiver, pending) = self.receivers.swap_remove(which % self.receivers.len());
                drop(receiver);
                if self.kind == Kind::Spsc {
                    self.kept = pending;
                }
            }
            Step::LeaveReceiver(_) => {}
            Step::ReplaceSender(which) => self.replace_sender(which % self.senders.len()),
        }
        self.channel.check().unwrap();
    }

    /// How much padding a forgotten loan, and one that was dropped after it, has left is told by the channel.
    fn forgotten(&mut self) {
        let sent = self.channel.stat().unwrap().sent;
        while self.kind == Kind::Broadcast && self.position() < sent {
            self.sent(None);
        }
    }

    /// How many were sent, with padding: only while nothing leaves `kept`.
    fn position(&self) -> u64 {
        u64::try_from(self.kept.len()).unwrap()
    }

    fn replace_sender(&mut self, which: usize) {
        drop(self.senders.remove(which));
        self.senders.insert(which, self.channel.sender().unwrap());
    }

    fn loan(&mut self, sender: usize, most: usize, len: Option<usize>) {
        let number = self.next;
        let fill = |loan: Option<Loan<'_>>| {
            loan.map(|mut loan| {
                let len = len?;
                loan.view().write_all_at(0, &message(number, most)).unwrap();
                loan.truncate(len).unwrap();
                assert!(loan.truncate(len + 1).is_err());
                loan.send().unwrap();
                Some(number)
            })
        };
        match self.senders[sender].try_loan(most).map(fill) {
            Ok(Some(sent)) => {
                self.check_room(most, true);
                self.sent(sent);
                self.next += u64::from(sent.is_some());
            }
            Ok(None) => self.check_room(most, false),
            Err(error) => self.check_left(most, &error),
        }
    }

    fn receive(&mut self, which: usize) {
        if self.receivers.is_empty() {
            return;
        }
        let which = which % self.receivers.len();
        let mut buf = [0; MOST];
        let received = self.receivers[which].0.try_receive(&mut buf);
        let received = received.map(|len| len.map(|len| number_of(&buf[..len])));
        self.compare(which, received);
    }

    fn lend(&mut self, which: usize) {
        if self.receivers.is_empty() {
            return;
        }
        let which = which % self.receivers.len();
        let lent = self.receivers[which].0.try_lend();
        let received = lent.map(|lent| {
            lent.map(|lent| {
                lent.check().unwrap();
                number_of(&lent.to_vec().unwrap())
            })
        });
        self.compare(which, received);
    }

    /// What was received must be what the model has next.
    fn compare(&mut self, which: usize, received: Result<Option<u64>, Error>) {
        let pending = &mut self.receivers[which].1;
        match received {
            Err(Error::Lagged { missed, .. }) => {
                assert_eq!(self.full, Full::DropOldest);
                for _ in 0..missed {
                    pending.pop_front().expect("no more can be missing than were sent");
                }
                assert!(pending.len() <= self.slots);
            }
            Ok(received) => {
                assert!(self.full == Full::Block || pending.len() <= self.slots, "{} are still there", pending.len());
                while pending.front() == Some(&None) {
                    pending.pop_front();
                }
                assert_eq!(received, pending.pop_front().flatten());
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn join(&mut self, last: u64) {
        let most = if self.kind == Kind::Spsc { 1 } else { 3 };
        if u64::try_from(self.receivers.len()) == Ok(most) {
            assert!(matches!(self.channel.receiver(), Err(Error::Crowded { places, .. }) if places == most));
            return;
        }
        let history = [History::Now, History::Oldest].into_iter().nth(usize::try_from(last).unwrap());
        let receiver = self.channel.receiver_from(history.unwrap_or(History::Last(last))).unwrap();
        let pending = if self.kind == Kind::Spsc {
            std::mem::take(&mut self.kept)
        } else {
            let behind = usize::try_from(self.position() - receiver.position()).unwrap();
            match history {
                Some(History::Now) => assert_eq!(behind, 0),
                None => assert!(behind <= usize::try_from(last).unwrap() && behind <= self.slots),
                _ => assert!(behind <= self.slots),
            }
            self.kept.iter().skip(self.kept.len() - behind).copied().collect()
        };
        self.receivers.push((receiver, pending));
        self.had_receiver = true;
        if self.kind == Kind::Spsc {
            // From here on what is kept is what the receiver has not received.
            self.kept.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_does_what_a_queue_does(
        kind in prop_oneof![Just(Kind::Spsc), Just(Kind::Broadcast)],
        full in prop_oneof![Just(Full::Block), Just(Full::DropOldest)],
        slots in prop_oneof![Just(2_u64), Just(4), Just(16)],
        steps in vec(step(), 1..120),
    ) {
        let name = TestName::memory();
        let mut scene = Scene::new(&name, kind, full, slots);
        for step in steps {
            scene.apply(step);
        }
    }
}

#[test]
fn each_combination_sends_values_and_bytes() {
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let options = ChannelOptions::new().kind(kind).full(full).wait(wait).capacity(4);
        let channel: Channel<[u32; 50]> = options.create(&*name).unwrap();
        let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
        for round in 0..20 {
            sender.send(&[round; 50]).unwrap();
            let mut loan = sender.loan().unwrap();
            assert!(loan.truncate(3).is_err());
            loan.view().fill(.., 7).unwrap();
            loan.send().unwrap();
            assert_eq!(receiver.lag().unwrap(), 2);
            let mut value = [0; 50];
            receiver.receive_into(&mut value).unwrap();
            assert_eq!(value, [round; 50]);
            assert_eq!(receiver.receive_timeout(Duration::from_secs(9)).unwrap(), [0x0707_0707; 50]);
            assert_eq!(receiver.try_receive().unwrap(), None);
        }
        let stat = channel.stat().unwrap();
        assert_eq!((stat.sent, stat.message_len, stat.senders.len(), stat.receivers.len()), (40, 200, 1, 1));
        assert_eq!((stat.receivers[0].lag, stat.capacity, stat.closed), (Some(0), 4, false));
    }
}

#[test]
fn a_channel_is_opened_as_what_it_is() {
    let name = TestName::memory();
    let options = ChannelOptions::new().kind(Kind::Broadcast).capacity(9);
    let _first: Channel<u64> = options.create(&*name).unwrap();
    let wrong = |found: Result<Channel<u64>, Error>| assert!(matches!(found, Err(Error::WrongLayout { .. })));
    options.open::<u64, _>(&*name).unwrap();
    wrong(options.clone().capacity(17).open(&*name));
    wrong(options.clone().kind(Kind::Spsc).open(&*name));
    wrong(options.clone().full(Full::DropOldest).open(&*name));
    wrong(options.clone().wait(Wait::Spin).open(&*name));
    wrong(options.clone().receivers(3).open(&*name));
    assert!(matches!(options.open::<i64, _>(&*name), Err(Error::WrongLayout { .. })));
    assert!(matches!(options.open::<[u8], _>(&*name), Err(Error::WrongLayout { .. })));
    assert!(matches!(options.create::<u64, _>(&*name), Err(Error::Exists { .. })));
    let tool: Channel<[u8]> = ChannelOptions::new().any_type().open(&*name).unwrap();
    let mut receiver = tool.receiver().unwrap();
    let mut sender = options.open_or_create::<u64, _>(&*name).unwrap().sender().unwrap();
    sender.send(&0x0102_0304).unwrap();
    assert!(matches!(receiver.receive(&mut [0; 7]), Err(Error::TooLong { len: 8, most: 7, .. })));
    let mut bytes = [0; 9];
    assert_eq!(receiver.receive(&mut bytes).unwrap(), 8);
    assert_eq!(bytes[..8], 0x0102_0304_u64.to_ne_bytes());
    assert!(matches!(tool.sender().unwrap().send(&[0; 7]), Err(Error::Invalid { .. })));
    let other = TestName::memory();
    let _object = SharedObject::options().len(9999).create(&*other).unwrap();
    wrong(options.open(&*other));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let name = TestName::memory();
    let options = ChannelOptions::new;
    for options in [
        options().capacity(0),
        options().capacity((1 << 24) + 1),
        options().capacity(u64::MAX),
        options().receivers(2),
        options().kind(Kind::Broadcast).receivers(0),
        options().kind(Kind::Broadcast).senders(1025),
        options().message_len(u64::MAX),
        options().message_len(1 << 32),
        options().message_len(5000).buffer_bytes(4096),
        options().buffer_bytes(u64::MAX),
    ] {
        assert!(matches!(options.create::<[u8], _>(&*name), Err(Error::Invalid { .. })), "{options:?}");
    }
}

#[test]
fn a_message_of_no_bytes_and_the_longest_one_arrive() {
    for kind in [Kind::Spsc, Kind::Broadcast] {
        let name = TestName::memory();
        let options = ChannelOptions::new().kind(kind).message_len(5000).capacity(2).buffer_bytes(5000);
        let channel: Channel<[u8]> = options.create(&*name).unwrap();
        let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
        let mut buf = [0; 5000];
        for len in [0, 5000, 104, 105, 5000, 1, 4999, 5000, 5000] {
            sender.try_send(&vec![9; len]).unwrap();
            assert_eq!(receiver.receive(&mut buf).unwrap(), len);
            assert!(buf[..len].iter().all(|&byte| byte == 9));
        }
        assert!(matches!(sender.send(&[0; 5001]), Err(Error::TooLong { len: 5001, most: 5000, .. })));
    }
}

#[test]
fn a_message_of_a_mebibyte_is_written_and_read_in_place() {
    let name = TestName::memory();
    let channel: Channel<[[u8; 1024]; 1024]> = ChannelOptions::new().capacity(2).create(&*name).unwrap();
    let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
    for round in 1..9_u8 {
        let loan = sender.try_loan().unwrap().unwrap();
        loan.view().store(0, round).unwrap();
        loan.view().store((1 << 20) - 1, round).unwrap();
        loan.send().unwrap();
        let lent = receiver.try_lend().unwrap().unwrap();
        assert_eq!(lent.len(), 1 << 20);
        assert_eq!((lent.view().load(0), lent.view().load((1 << 20) - 1)), (Ok(round), Ok(round)));
    }
}

#[test]
fn what_was_sent_before_closing_is_received_and_nothing_after() {
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let channel: Channel<u64> = ChannelOptions::new().kind(kind).full(full).wait(wait).create(&*name).unwrap();
        let (mut receiver, mut sender) = (channel.receiver().unwrap(), channel.sender().unwrap());
        sender.send(&1).unwrap();
        sender.send(&2).unwrap();
        receiver.close().unwrap();
        assert!(matches!(sender.send(&3), Err(Error::Closed { .. })));
        assert_eq!((receiver.receive().unwrap(), receiver.receive().unwrap()), (1, 2));
        assert!(matches!(receiver.receive(), Err(Error::Closed { .. })));
        assert!(matches!(receiver.try_receive(), Err(Error::Closed { .. })));
        assert!(channel.stat().unwrap().closed);
    }
}

#[test]
fn the_end_of_all_senders_is_seen_behind_their_last_message() {
    for (kind, full, wait) in combinations() {
        let name = TestName::memory();
        let channel: Channel<u64> = ChannelOptions::new().kind(kind).full(full).wait(wait).create(&*name).unwrap();
        let mut receiver = channel.receiver().unwrap();
        assert_eq!(receiver.try_receive().unwrap(), None);
        let short = Duration::from_millis(30);
        assert!(matches!(receiver.receive_timeout(short), Err(Error::Timeout { waited, .. }) if waited >= short));
        let mut sender = channel.sender().unwrap();
        sender.send(&1).unwrap();
        drop(sender);
        assert_eq!(receiver.receive().unwrap(), 1);
        assert!(matches!(receiver.receive(), Err(Error::Disconnected { .. })));
        assert!(matches!(receiver.try_receive(), Err(Error::Disconnected { .. })));
        let mut next = channel.sender().unwrap();
        assert_eq!(receiver.try_receive().unwrap(), None);
        next.send(&2).unwrap();
        assert_eq!(receiver.receive().unwrap(), 2);
    }
}

#[test]
fn a_full_channel_waits_for_its_first_receiver_and_not_for_one_that_has_left() {
    for wait in [Wait::Spin, Wait::SpinThenSleep, Wait::Sleep] {
        let name = TestName::memory();
        let channel: Channel<u64> = ChannelOptions::new().wait(wait).capacity(2).create(&*name).unwrap();
        let mut sender = channel.sender().unwrap();
        let short = Duration::from_millis(30);
        sender.send(&1).unwrap();
        sender.send(&2).unwrap();
        assert!(matches!(sender.try_send(&3), Err(Error::WouldBlock { .. })));
        assert!(matches!(sender.send_timeout(&3, short), Err(Error::Timeout { waited, .. }) if waited >= short));
        drop(channel.receiver().unwrap());
        assert!(matches!(sender.send(&3), Err(Error::Disconnected { .. })));
        let mut receiver = channel.receiver().unwrap();
        assert_eq!(receiver.receive().unwrap(), 1);
        sender.send(&3).unwrap();
        assert_eq!((receiver.receive().unwrap(), receiver.receive().unwrap()), (2, 3));
    }
}
