//! The parallel port's driver on a simulated printer, waiting in both ways.

use std::io::Write;
use std::time::{Duration, Instant};

use mapio_device::model::Simulated;
use mapio_device::model::parallel::{Printer, PrinterFailure};
use mapio_device::parallel::ParallelPort;
use mapio_device::{Driven, Error, Interrupt, Polled, PrinterError, RegisterIo, Waiting, Width};

const BYTE: Duration = Duration::from_micros(200);

fn printer() -> Simulated<Printer> {
    Simulated::new(Printer::new(BYTE))
}

fn driven(bus: &Simulated<Printer>) -> Driven<impl Interrupt> {
    Driven::new(bus.interrupt().expect("a descriptor"))
}

fn text() -> Vec<u8> {
    (0..100_u8).chain([0, 0xff, 0x55]).collect()
}

fn every_byte_arrives_once_and_in_order<W: Waiting>(bus: &Simulated<Printer>, waiting: W) {
    let mut port = ParallelPort::new(bus.clone(), waiting).expect("there is one");
    assert_eq!(port.send(&text()).expect("it prints"), text().len());
    port.drain().expect("it prints");
    assert_eq!(bus.model().received(), text());
    assert_eq!(port.status().expect("a model").not_busy(), 1);
    assert_eq!(port.send(&[]).expect("nothing to do"), 0);
    write!(port, "page {}", 2).and_then(|()| port.flush()).expect("it prints");
    assert_eq!(&bus.model().received()[text().len()..], b"page 2");
    port.reset().expect("it is ready afterwards");
}

#[test]
fn every_byte_arrives_once_and_in_order_polled() {
    let bus = printer();
    every_byte_arrives_once_and_in_order(&bus, Polled);
}

#[test]
fn every_byte_arrives_once_and_in_order_by_interrupt() {
    let bus = printer();
    let waiting = driven(&bus);
    every_byte_arrives_once_and_in_order(&bus, waiting);
}

#[test]
fn the_printer_interrupts_when_it_has_taken_a_byte_and_only_if_it_is_to() {
    let bus = printer();
    let mut interrupt = bus.interrupt().expect("a descriptor");
    let mut polled = ParallelPort::new(bus.clone(), Polled).expect("there is one");
    polled.send(b"a").and_then(|_| polled.drain()).expect("it prints");
    assert_eq!(interrupt.wait(Some(Duration::ZERO)).expect("no error"), 0);
    // With a way of waiting that never looks at the interrupt, so that it is there to be seen.
    let other = bus.interrupt().expect("a descriptor");
    let mut port = ParallelPort::new(bus.clone(), Driven::new(other)).expect("there is one");
    port.send(b"b").expect("it prints");
    assert_eq!(interrupt.wait(Some(Duration::from_secs(60))).expect("no error"), 1);
    assert_eq!(port.status().expect("a model").no_interrupt(), 0);
    assert_eq!(port.status().expect("a model").no_interrupt(), 1);
}

fn each_trouble_has_its_error<W: Waiting>(bus: &Simulated<Printer>, waiting: W) {
    let mut port = ParallelPort::new(bus.clone(), waiting).expect("there is one");
    port.set_timeout(Duration::from_millis(5));
    let cases = [
        (PrinterFailure::PaperOut, Some(PrinterError::PaperOut), "parallel port: the printer has no paper"),
        (PrinterFailure::Offline, Some(PrinterError::Offline), "parallel port: the printer is offline"),
        (PrinterFailure::Fault, Some(PrinterError::Fault), "parallel port: the printer says that something is wrong"),
        (PrinterFailure::StuckBusy, None, "parallel port: no answer within 5ms"),
    ];
    for (failure, wanted, message) in cases {
        bus.model().set_failure(Some(failure));
        let error = port.send(b"x").expect_err("it does not print");
        assert_eq!(error.to_string(), message);
        match (&error, wanted) {
            (Error::Printer { kind, .. }, Some(wanted)) => assert_eq!(*kind, wanted),
            (Error::Timeout { .. }, None) => {}
            _ => panic!("{error:?}"),
        }
        bus.model().set_failure(None);
        assert_eq!(port.send(b"y").expect("it prints again"), 1);
        port.drain().expect("it prints again");
    }
    assert_eq!(bus.model().received(), b"yyyy");
}

#[test]
fn each_trouble_has_its_error_polled() {
    let bus = printer();
    each_trouble_has_its_error(&bus, Polled);
}

#[test]
fn each_trouble_has_its_error_by_interrupt() {
    let bus = printer();
    let waiting = driven(&bus);
    each_trouble_has_its_error(&bus, waiting);
}

#[test]
fn what_was_taken_before_the_trouble_is_told() {
    // So slow that the second byte is not taken in time.
    let bus = Simulated::new(Printer::new(Duration::from_secs(600)));
    let mut port = ParallelPort::new(bus.clone(), Polled).expect("there is one");
    port.set_timeout(Duration::from_millis(1));
    assert_eq!(port.send(b"abc").expect("the first is taken"), 1);
    assert!(matches!(port.send(b"bc"), Err(Error::Timeout { .. })));
    let error = port.write(b"bc").expect_err("it is still busy");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(bus.model().received(), b"a");
}

#[test]
fn a_lost_interrupt_costs_time_and_nothing_else() {
    let bus = printer();
    bus.model().set_failure(Some(PrinterFailure::LostInterrupt));
    let waiting = driven(&bus);
    let mut port = ParallelPort::new(bus.clone(), waiting).expect("there is one");
    // The second byte has to wait for the first.
    let start = Instant::now();
    assert_eq!(port.send(b"ab").expect("it prints"), 2);
    assert!(start.elapsed() >= BYTE);
    assert_eq!(bus.model().received(), b"ab");
}

#[test]
fn where_there_is_no_port_is_an_error() {
    /// What the PC answers at ports where nothing is.
    #[derive(Debug)]
    struct Nothing;
    impl RegisterIo for Nothing {
        fn name(&self) -> &str {
            "a test"
        }

        fn len(&self) -> usize {
            3
        }
        fn read(&self, _: usize, _: Width) -> Result<u64, Error> {
            Ok(0xff)
        }
        fn write(&self, _: usize, _: Width, _: u64) -> Result<(), Error> {
            Ok(())
        }
    }
    let error = ParallelPort::new(Nothing, Polled).expect_err("there is none").to_string();
    assert_eq!(error, "parallel port: there is none: of 0x55 in its data register, 0xff was kept");
}

#[test]
fn a_strobe_to_a_busy_printer_is_lost() {
    let bus = Simulated::new(Printer::new(Duration::from_secs(600)));
    for byte in [1, 2] {
        for (offset, value) in [(0, byte), (2, 0x0c), (2, 0x0d), (2, 0x0c)] {
            bus.write(offset, Width::U8, value).expect("a model");
        }
    }
    assert_eq!(bus.model().received(), [1]);
    assert_eq!(bus.read(1, Width::U8).expect("a model") & 0x80, 0, "it is busy");
    // Reset, it is not.
    for control in [0x08, 0x0c] {
        bus.write(2, Width::U8, control).expect("a model");
    }
    assert_eq!(bus.read(1, Width::U8).expect("a model"), 0xdc);
}
