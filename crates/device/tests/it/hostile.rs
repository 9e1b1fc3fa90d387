//! Random accesses to every model, and drivers on devices that turn bad: errors, and nothing else.

use std::time::Duration;

use mapio_device::edu::Edu as EduDriver;
use mapio_device::model::edu::{Edu, EduFailure, Memory, Times};
use mapio_device::model::parallel::{Printer, PrinterFailure};
use mapio_device::model::screen::{Bochs, Tube};
use mapio_device::model::{Model, Simulated};
use mapio_device::parallel::ParallelPort;
use mapio_device::{Driven, Error, Interrupt, Polled, RegisterIo, Waiting, Width};
use proptest::prelude::*;

use crate::anything::TurnsBad;

/// An access: where, how wide, and what is written.
type Access = (usize, Width, Option<u64>);

/// Mostly near the registers, sometimes anywhere.
fn accesses(len: usize) -> impl Strategy<Value = Vec<Access>> {
    let offset = prop_oneof![8 => 0..len + 16, 1 => any::<usize>()];
    let value = prop_oneof![0..16_u64, any::<u64>()];
    prop::collection::vec((offset, prop::sample::select(&Width::ALL[..]), prop::option::of(value)), 0..60)
}

/// Runs them, and checks that an access answers exactly where it may.
fn run(bus: &impl RegisterIo, accesses: &[Access]) {
    for &(offset, width, value) in accesses {
        let answer = match value {
            Some(value) => bus.write(offset, width, value).map(|()| 0),
            None => bus.read(offset, width),
        };
        let is_inside = offset.checked_add(width.bytes()).is_some_and(|end| end <= bus.len());
        match answer {
            Ok(answer) => {
                assert!(is_inside && offset.is_multiple_of(width.bytes()));
                assert!(answer <= width.max(), "{answer:#x} has more than {width}");
            }
            Err(Error::OutOfBounds { .. }) => assert!(!is_inside),
            Err(Error::Misaligned { .. }) => assert!(!offset.is_multiple_of(width.bytes())),
            Err(Error::Refused { .. }) => assert!(is_inside),
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// The same with somebody who waits for the interrupt.
fn run_with_interrupt<M: Model>(bus: &Simulated<M>, accesses: &[Access]) {
    let mut interrupt = bus.interrupt().expect("a descriptor");
    for part in accesses.chunks(8) {
        run(bus, part);
        if interrupt.wait(Some(Duration::ZERO)).expect("no error") > 0 {
            interrupt.rearm().expect("no error");
        }
    }
}

fn use_edu(device: &TurnsBad<Edu>, waiting: impl Waiting) {
    let mut edu = EduDriver::new(device, waiting).expect("it is good");
    edu.set_timeout(Duration::from_micros(200));
    device.turn_bad();
    for _ in 0..5 {
        drop(edu.factorial(5));
        drop(edu.load(0, 0..8));
        drop(edu.store(0..8, 0));
    }
}

fn use_printer(device: &TurnsBad<Printer>, waiting: impl Waiting) {
    let mut port = ParallelPort::new(device, waiting).expect("it is good");
    port.set_timeout(Duration::from_micros(200));
    device.turn_bad();
    for _ in 0..5 {
        drop(port.send(b"ab"));
        drop(port.reset());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_access_to_a_printer_answers(
        accesses in accesses(3),
        failure in prop::option::of(prop::sample::select(vec![
            PrinterFailure::PaperOut, PrinterFailure::StuckBusy, PrinterFailure::LostInterrupt,
        ])),
        byte_time in prop::sample::select(vec![Duration::ZERO, Duration::from_micros(20), Duration::from_secs(1000)]),
    ) {
        let bus = Simulated::new(Printer::new(byte_time));
        bus.model().set_failure(failure);
        run_with_interrupt(&bus, &accesses);
    }

    #[test]
    fn any_access_to_edu_answers(
        accesses in accesses(0xa0),
        far in accesses(0x10_0000),
        failure in prop::option::of(prop::sample::select(vec![
            EduFailure::StuckBusy, EduFailure::LostInterrupt, EduFailure::Gone,
        ])),
        time in prop::sample::select(vec![Duration::ZERO, Duration::from_micros(20), Duration::from_secs(1000)]),
    ) {
        let bus = Simulated::new(Edu::new(Memory::new(0x100), Times { factorial: time, dma: time }));
        bus.model().set_failure(failure);
        run_with_interrupt(&bus, &accesses);
        run_with_interrupt(&bus, &far);
    }

    #[test]
    fn any_access_to_a_display_answers(near in accesses(0x20), far in accesses(0x1000)) {
        let bus = Simulated::new(Bochs::new(1 << 20));
        for start in [0x400, 0x500] {
            let near = near.iter().map(|(offset, width, value)| (offset.saturating_add(start), *width, *value));
            run(&bus, &near.collect::<Vec<_>>());
        }
        run(&bus, &far);
    }

    #[test]
    fn drivers_survive_devices_that_turn_bad(answers in prop::collection::vec(any::<u64>(), 1..40)) {
        let edu = || TurnsBad::new(Edu::new(Memory::new(64), Times { factorial: Duration::ZERO, dma: Duration::ZERO }), &answers);
        use_edu(&edu(), Polled);
        let device = edu();
        use_edu(&device, Driven::new(device.good.interrupt().expect("a descriptor")));
        let printer = || TurnsBad::new(Printer::new(Duration::ZERO), &answers);
        use_printer(&printer(), Polled);
        let device = printer();
        use_printer(&device, Driven::new(device.good.interrupt().expect("a descriptor")));
    }

    #[test]
    fn any_access_to_a_tube_answers(accesses in accesses(2)) {
        run(&Simulated::new(Tube::default()), &accesses);
    }
}
