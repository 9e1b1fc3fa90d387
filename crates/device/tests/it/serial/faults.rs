//! Devices that are broken, gone, or others: errors in time, and never a panic.

use mapio_device::model::serial::{Fault, Peer, Timing, Uart};
use mapio_device::model::{Model, Simulated};
use mapio_device::serial::{Control, Flow, Ns16550, PC_CLOCK_HZ, Pl011, Serial, Settings};
use mapio_device::{Driven, Error, Polled, RegisterIo, Width};
use mapio_testkit::pattern;

use super::{Arm, ByInterrupt, ByPolling, Kind, Pc, SHORT, Way, for_each_port, lose_and_be_told, port};

fn a_stuck_transmitter<K: Kind, W: Way<K::Model>>() {
    let bus = K::model(Timing::Instant);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, Settings::default());
    port.set_timeout(SHORT);
    bus.model().port().set_fault(Fault::Stuck);
    assert!(matches!(port.write(b"x"), Err(Error::Timeout { .. })));
    assert!(matches!(port.flush(), Err(Error::Timeout { .. })));
    assert!(matches!(port.self_test(), Err(Error::Timeout { .. })));
    assert!(!port.is_writable().expect("a model"));
    bus.model().port().set_fault(Fault::None);
    port.write_all(b"y").expect("it is repaired");
    port.flush().expect("it is repaired");
    assert_eq!(peer.take(), b"y");
}

#[test]
fn a_transmitter_that_is_never_empty_is_a_timeout() {
    for_each_port!(a_stuck_transmitter);
}

fn lost_interrupts<K: Kind, W: Way<K::Model>>() {
    let bus = K::model(Timing::Real);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, Settings::default());
    port.set_timeout(SHORT);
    bus.model().port().set_fault(Fault::Silent);
    peer.send(b"ab");
    let mut buffer = [0; 2];
    port.read_exact(&mut buffer).expect("they are there, though nobody said so");
    assert_eq!(&buffer, b"ab");
    port.write_all(&[0; 40]).expect("there is room, though nobody said so");
    port.flush().expect("they are sent");
    assert_eq!(peer.take(), [0; 40]);
}

#[test]
fn interrupts_that_are_lost_cost_time_and_no_bytes() {
    for_each_port!(lost_interrupts);
}

fn a_device_that_is_gone<K: Kind, W: Way<K::Model>>() {
    let bus = K::model(Timing::Instant);
    let mut port = port::<K, W>(&bus, Settings::default());
    bus.model().port().set_fault(Fault::Gone);
    for result in [
        port.read(&mut [0; 4]).map(drop),
        port.write(b"x").map(drop),
        port.flush(),
        port.self_test(),
        port.configure(Settings::default()),
    ] {
        let error = result.expect_err("it is gone");
        assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    }
}

#[test]
fn a_device_that_was_taken_away_is_an_error_at_once() {
    for_each_port!(a_device_that_is_gone);
}

#[test]
fn another_device_or_none_is_not_taken_for_a_uart() {
    /// Reads as the same number everywhere.
    #[derive(Debug)]
    struct Constant(u64);
    impl RegisterIo for Constant {
        fn name(&self) -> &str {
            "a test"
        }

        fn len(&self) -> usize {
            0x1000
        }
        fn read(&self, _: usize, width: Width) -> Result<u64, Error> {
            Ok(self.0 & width.max())
        }
        fn write(&self, _: usize, _: Width, _: u64) -> Result<(), Error> {
            Ok(())
        }
    }
    for number in [0, 0x5a5a_5a5a, u64::MAX] {
        let chip = Ns16550::new(Constant(number), 1_843_200).expect("it is long enough");
        let error = Serial::new(chip, Polled, Settings::default()).expect_err("it is none");
        assert!(matches!(error, Error::Unexpected { .. }), "{number:#x}: {error}");
        let chip = Pl011::new(Constant(number), 24_000_000).expect("it is long enough");
        let error = Serial::new(chip, Polled, Settings::default()).expect_err("it is none");
        assert!(matches!(error, Error::Unexpected { .. }), "{number:#x}: {error}");
    }
    let error = Pl011::new(Pc::model(Timing::Instant), 24_000_000).expect_err("it is too short").to_string();
    assert_eq!(error, "pl011: it has 0x1000 bytes, and the bus only 0x8");
}

#[test]
fn a_speed_that_the_clock_does_not_make_is_refused_before_anything_is_written() {
    let bus = Pc::model(Timing::Instant);
    let chip = Ns16550::new(bus.clone(), 1_843_200).expect("it has 8 bytes");
    let settings = Settings { baud: 1_000_000, ..Settings::default() };
    let error = Serial::new(chip, Driven::new(bus.interrupt().expect("a descriptor")), settings);
    assert_eq!(error.expect_err("too fast").to_string(), "16550: a clock of 1843200 Hz does not make 1000000 baud");
    assert_eq!(bus.read(3, Width::U8).expect("a model"), 0, "LCR is as it was");
}

#[test]
fn accesses_of_another_width_are_refused() {
    let (pc, arm) = (Pc::model(Timing::Instant), Arm::model(Timing::Instant));
    for width in [Width::U16, Width::U32, Width::U64] {
        let error = pc.read(0, width).expect_err("they are bytes").to_string();
        assert_eq!(
            error,
            format!("accessing {width} at offset 0x0 of a simulated device: the registers of a 16550 are bytes")
        );
    }
    for width in [Width::U8, Width::U16, Width::U64] {
        assert!(matches!(arm.write(0, width, 0), Err(Error::Refused { .. })));
    }
}

#[test]
fn registers_that_stand_apart_are_accessed_where_they_are() {
    use mapio_device::bus::Strided;
    /// A 16550 with 4 bytes a register, behind 32-bit accesses.
    struct Apart(Simulated<mapio_device::model::Ns16550>);
    impl Model for Apart {
        fn len(&self) -> usize {
            0x20
        }
        fn read(&mut self, offset: usize, width: Width, _: std::time::Instant) -> Result<u64, &'static str> {
            if width != Width::U32 { Err("32 bits") } else { self.0.read(offset / 4, Width::U8).map_err(|_| "inside") }
        }
        fn write(&mut self, at: usize, width: Width, value: u64, _: std::time::Instant) -> Result<(), &'static str> {
            let write = |value| self.0.write(at / 4, Width::U8, value).map_err(|_| "inside");
            if width != Width::U32 { Err("32 bits") } else { write(value) }
        }
    }
    let inner = Pc::model(Timing::Instant);
    let peer = Peer::of(&inner);
    let bus = Strided::new(Simulated::new(Apart(inner)), 4, Width::U32).expect("a stride");
    assert_eq!(bus.len(), 8);
    assert!(matches!(bus.read(8, Width::U8), Err(Error::OutOfBounds { len: 8, .. })));
    assert!(matches!(bus.read(0, Width::U32), Err(Error::Refused { .. })));
    let chip = Ns16550::new(bus, super::CLOCK_HZ).expect("8 registers");
    let mut port = Serial::new(chip, Polled, Settings::default()).expect("a model");
    port.write_all(b"apart").expect("a model");
    assert_eq!(peer.take(), b"apart");
    for stride in [0, 2, 6] {
        assert!(Strided::new(Pc::model(Timing::Instant), stride, Width::U32).is_err(), "{stride}");
    }
}

type PcPort = Serial<Ns16550<Simulated<<Pc as Kind>::Model>>, Polled>;

/// A port on a 16550 that takes bytes at once, and its other end.
fn pc_port(flow: Flow, automatic: bool) -> (PcPort, Peer) {
    let bus = Pc::model(Timing::Instant);
    let peer = Peer::of(&bus);
    let chip = Ns16550::new(bus, PC_CLOCK_HZ).expect("it has 8 bytes");
    let chip = if automatic { chip.with_automatic_flow() } else { chip };
    (Serial::new(chip, Polled, Settings { flow, ..Settings::default() }).expect("a model"), peer)
}

#[test]
fn what_a_16550_has_lost_stands_behind_what_its_fifo_held() {
    let (mut port, peer) = pc_port(Flow::None, false);
    lose_and_be_told(&mut port, &peer, 1);
}

#[test]
fn those_who_ask_again_and_again_let_the_other_end_send_while_there_is_room() {
    let (mut port, peer) = pc_port(Flow::RtsCts, false);
    assert!(!peer.lines().cts, "nobody reads yet");
    assert!(!port.is_readable().expect("a model") && peer.lines().cts);
    let mut sent = 0;
    while peer.lines().cts {
        peer.send(&pattern(16));
        sent += 16;
        assert!(port.is_readable().expect("a model") && sent < 10_000, "it never stops the other end");
    }
    let mut buffer = vec![0; sent];
    assert_eq!(port.try_read(&mut buffer).expect("a model"), sent);
    assert_eq!(port.try_read(&mut buffer).expect("a model"), 0);
    assert!(peer.lines().cts, "there is room again");
    assert_eq!(port.overruns(), 0);
}

#[test]
fn lines_that_a_program_sets_do_not_disturb_flow_control() {
    let (mut port, _peer) = pc_port(Flow::RtsCts, true);
    port.set_control(Control { dtr: false, ..Control::default() }).expect("a model");
    assert!(port.control().rts, "the chip moves it, and must be allowed to");
    assert_eq!(port.chip().registers().mcr().read().expect("a model").rts(), 1);
}
