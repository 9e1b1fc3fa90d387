//! Two ports that are joined by a cable, each in a thread of its own.

use std::thread;

use mapio_device::Waiting;
use mapio_device::model::Simulated;
use mapio_device::model::serial::{Timing, null_modem};
use mapio_device::serial::{Chip, Flow, Ns16550, Serial, Settings};
use mapio_device::{Error, LineError};
use mapio_testkit::pattern;

use super::{Arm, ByInterrupt, ByPolling, CLOCK_HZ, HANG_GUARD, Kind, Pc, Way, port};

const SETTINGS: Settings = Settings {
    baud: 3_000_000,
    data_bits: mapio_device::serial::DataBits::Eight,
    parity: mapio_device::serial::Parity::None,
    stop_bits: mapio_device::serial::StopBits::One,
    flow: Flow::RtsCts,
};

/// A 16550 whose flow control is automatic, or a PL011, whose always is.
trait Stops: Kind {
    fn port<W: Way<Self::Model>>(bus: &Simulated<Self::Model>) -> Serial<Self::Chip, W::Wait>;
}

impl Stops for Pc {
    fn port<W: Way<Self::Model>>(bus: &Simulated<Self::Model>) -> Serial<Self::Chip, W::Wait> {
        let chip = Ns16550::new(bus.clone(), CLOCK_HZ).expect("it has 8 bytes").with_automatic_flow();
        Serial::new(chip, W::of(bus), SETTINGS).expect("a model")
    }
}

impl Stops for Arm {
    fn port<W: Way<Self::Model>>(bus: &Simulated<Self::Model>) -> Serial<Self::Chip, W::Wait> {
        port::<Self, W>(bus, SETTINGS)
    }
}

#[test]
fn a_port_has_no_cable_to_itself() {
    let model = Pc::model(Timing::Instant);
    // It does not wait for itself either.
    null_modem(&model, &model);
    assert!(Pc::port::<ByPolling>(&model).try_write(b"x").is_ok());
}

fn send<C: Chip>(mut port: Serial<C, impl Waiting>, count: usize) {
    port.set_timeout(HANG_GUARD);
    port.write_all(&pattern(count)).expect("the other end reads");
    port.flush().expect("the other end reads");
}

fn receive<C: Chip>(mut port: Serial<C, impl Waiting>, count: usize) {
    port.set_timeout(HANG_GUARD);
    let mut received = vec![0; count];
    port.read_exact(&mut received).expect("the other end sends");
    assert!(received == pattern(count), "bytes have changed");
    assert_eq!(port.overruns(), 0);
}

fn joined<A: Stops, B: Stops, W: Way<A::Model>, V: Way<B::Model>>(timing: Timing, count: usize) {
    let (one, other) = (A::model(timing), B::model(timing));
    null_modem(&one, &other);
    // The receiver first: who sends to a port that is not set up yet may lose bytes.
    let (receiver, sender) = (other, one);
    thread::scope(|scope| {
        let receiver = B::port::<V>(&receiver);
        // Ports belong to their thread; models do not.
        let sender = &sender;
        scope.spawn(move || send(A::port::<W>(sender), count));
        receive(receiver, count);
    });
}

#[test]
fn everything_arrives_by_automatic_flow_control() {
    joined::<Pc, Pc, ByInterrupt, ByInterrupt>(Timing::Real, 20_000);
    joined::<Arm, Arm, ByInterrupt, ByInterrupt>(Timing::Real, 20_000);
    joined::<Pc, Arm, ByPolling, ByInterrupt>(Timing::Instant, 20_000);
    joined::<Arm, Pc, ByInterrupt, ByPolling>(Timing::Instant, 100_000);
}

#[test]
fn a_driver_that_looks_at_cts_itself_loses_nothing() {
    // One after the other: RTS is up only during calls that read, and these take everything.
    for timing in [Timing::Instant, Timing::Real] {
        let (one, other) = (Pc::model(timing), Pc::model(timing));
        null_modem(&one, &other);
        let (mut from, mut to) = (port::<Pc, ByPolling>(&one, SETTINGS), port::<Pc, ByInterrupt>(&other, SETTINGS));
        let sent = pattern(300);
        let (mut count, mut received) = (0, Vec::new());
        while received.len() < sent.len() {
            from.set_timeout(std::time::Duration::from_millis(1));
            assert!(matches!(from.write(&sent[count..]), Err(Error::Timeout { .. })) || count == sent.len());
            // RTS rises and falls again, as nothing comes; what was sent in between is in the FIFO.
            thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    to.set_timeout(std::time::Duration::from_millis(3));
                    let mut buffer = [0; 64];
                    match to.read(&mut buffer) {
                        Ok(taken) => buffer[..taken].to_vec(),
                        Err(Error::Timeout { .. }) => Vec::new(),
                        Err(error) => panic!("{error}"),
                    }
                });
                from.set_timeout(std::time::Duration::from_millis(2));
                if let Ok(taken) = from.write(&sent[count..]) {
                    count += taken;
                }
                received.extend(reader.join().expect("no panic"));
            });
        }
        assert_eq!(received, sent);
        assert_eq!(to.overruns(), 0);
    }
}

#[test]
fn ends_that_disagree_on_the_speed_hear_no_stop_bits() {
    let (one, other) = (Pc::model(Timing::Real), Arm::model(Timing::Real));
    null_modem(&one, &other);
    let mut from = port::<Pc, ByPolling>(&one, Settings { baud: 1_000_000, flow: Flow::None, ..SETTINGS });
    let mut to = port::<Arm, ByInterrupt>(&other, Settings { baud: 500_000, flow: Flow::None, ..SETTINGS });
    from.write_all(b"?").expect("a model");
    let error = to.read(&mut [0; 4]).expect_err("it is another speed");
    assert!(matches!(error, Error::Line { kind: LineError::Framing, .. }), "{error}");
}
