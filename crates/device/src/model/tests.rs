//! The simulated interrupt, on a model that interrupts when told so.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Memory, Model, Simulated};
use crate::bus::RegisterIo;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::width::Width;

/// Interrupts so many milliseconds after the number was written, until 0 is.
#[derive(Default)]
struct Alarm(Option<Instant>);

impl Model for Alarm {
    fn len(&self) -> usize {
        4
    }

    fn read(&mut self, _: usize, _: Width, now: Instant) -> Result<u64, &'static str> {
        Ok(u64::from(self.0.is_some_and(|at| at <= now)))
    }

    fn write(&mut self, _: usize, _: Width, value: u64, now: Instant) -> Result<(), &'static str> {
        self.0 = (value != 0).then(|| now + Duration::from_millis(value - 1));
        Ok(())
    }

    fn interrupts_at(&mut self, _: Instant) -> Option<Instant> {
        self.0
    }
}

fn is_readable(interrupt: &impl Interrupt) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(interrupt, PollFlags::IN)], Some(&now)) == Ok(1)
}

#[test]
fn a_line_that_is_up_interrupts_once_until_it_is_rearmed() {
    let bus = Simulated::new(Alarm::default());
    let mut interrupt = bus.interrupt().expect("a descriptor");
    assert_eq!(interrupt.wait(Some(Duration::ZERO)).expect("no error"), 0);
    bus.write(0, Width::U32, 1).expect("a model");
    assert_eq!(interrupt.wait(None).expect("no error"), 1);
    assert!(!is_readable(&interrupt));
    assert_eq!(interrupt.wait(Some(Duration::from_millis(1))).expect("no error"), 0);
    // Not served: it is up again at once.
    interrupt.rearm().expect("no error");
    assert_eq!(interrupt.wait(None).expect("no error"), 1);
    bus.write(0, Width::U32, 0).expect("a model");
    interrupt.rearm().expect("no error");
    assert_eq!(interrupt.wait(Some(Duration::from_millis(1))).expect("no error"), 0);
}

#[test]
fn time_alone_interrupts() {
    let bus = Simulated::new(Alarm::default());
    let mut interrupt = bus.interrupt().expect("a descriptor");
    let start = Instant::now();
    bus.write(0, Width::U32, 6).expect("a model");
    assert_eq!(interrupt.wait(Some(Duration::from_secs(60))).expect("no error"), 1);
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[test]
fn what_the_world_does_to_a_model_interrupts_too() {
    let bus = Simulated::new(Alarm::default());
    let mut interrupt = bus.interrupt().expect("a descriptor");
    bus.model().0 = Some(Instant::now());
    assert_eq!(interrupt.wait(Some(Duration::from_secs(60))).expect("no error"), 1);
    bus.model().0 = None;
    interrupt.rearm().expect("no error");
    assert_eq!(interrupt.wait(Some(Duration::ZERO)).expect("no error"), 0);
}

#[test]
fn an_interrupt_that_was_served_by_polling_is_waited_for_no_more() {
    let bus = Simulated::new(Alarm::default());
    let mut interrupt = bus.interrupt().expect("a descriptor");
    bus.write(0, Width::U32, 1).expect("a model");
    assert_eq!(bus.read(0, Width::U32).expect("a model"), 1);
    bus.write(0, Width::U32, 0).expect("a model");
    assert_eq!(interrupt.wait(Some(Duration::from_millis(2))).expect("no error"), 0);
}

#[test]
fn a_model_that_was_exchanged_is_asked_for_what_it_has() {
    let bus = Simulated::new(Memory::new(vec![1; 8]));
    *bus.model() = Memory::new(vec![2; 6]);
    assert_eq!((bus.len(), bus.read(5, Width::U8).expect("the last byte")), (8, 2));
    for (offset, width) in [(6, Width::U8), (6, Width::U16), (4, Width::U32), (0, Width::U64)] {
        let (read, written) = (bus.read(offset, width), bus.write(offset, width, 3));
        assert!(matches!(read, Err(Error::OutOfBounds { len: 6, .. })), "{width} at {offset}: {read:?}");
        assert!(matches!(written, Err(Error::OutOfBounds { len: 6, .. })), "{width} at {offset}: {written:?}");
    }
    *bus.model() = Memory::new(vec![4; 16]);
    assert_eq!((bus.len(), bus.read(0, Width::U64).expect("inside")), (8, 0x0404_0404_0404_0404));
    assert!(matches!(bus.read(8, Width::U8), Err(Error::OutOfBounds { len: 8, .. })));
}
