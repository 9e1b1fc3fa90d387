//! Random accesses to the models, and drivers on devices that answer anything: errors, never a panic or a hang.

use std::cell::Cell;
use std::time::Duration;

use mapio_device::Polled;
use mapio_device::model::Simulated;
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::serial::{Chip, Control, Flow, Ns16550, Pl011, Serial, Settings};
use mapio_device::{Error, LineError, RegisterIo, Width};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};

use super::{Arm, Kind, Pc};

/// Random sequences a test; more by the environment.
fn cases(default: u32) -> TestRunner {
    let cases = std::env::var("MAPIO_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

fn width() -> impl Strategy<Value = Width> {
    (0usize..4).prop_map(|index| Width::ALL[index])
}

fn random_accesses<K: Kind>(len: usize) {
    let access = (0..len + 16, width(), any::<u64>(), 0u8..4);
    cases(64)
        .run(&(prop::collection::vec(access, 1..200), any::<bool>()), |(accesses, real)| {
            let bus = K::model(if real { Timing::Real } else { Timing::Instant });
            let peer = Peer::of(&bus);
            let _interrupt = bus.interrupt().expect("a descriptor");
            for (offset, width, value, what) in accesses {
                match what {
                    0 => drop(bus.read(offset, width)),
                    1 => drop(bus.write(offset, width, value)),
                    // Where something is, so that it is also reached.
                    2 => drop(bus.write((offset % 0x50) & !3, Width::U32, value & 0xffff)),
                    _ => {
                        peer.send_broken(offset.to_le_bytes()[0], LineError::Parity);
                        peer.send(&value.to_le_bytes());
                        drop(bus.write(offset % 8, Width::U8, value));
                        drop(peer.take());
                    }
                }
            }
            Ok(())
        })
        .expect("no access panics");
}

#[test]
fn models_answer_any_access() {
    random_accesses::<Pc>(8);
    random_accesses::<Arm>(0x1000);
}

/// A device that answers what it was given, again and again, refuses some accesses, and keeps nothing.
struct Anything {
    answers: Vec<u64>,
    next: Cell<usize>,
}

impl RegisterIo for Anything {
    fn name(&self) -> &str {
        "a test"
    }

    fn len(&self) -> usize {
        0x1000
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        let index = self.next.get();
        self.next.set(index + 1);
        let answer = self.answers[index % self.answers.len()];
        if answer % 23 == 22 {
            return Err(Error::Refused { object: self.name().to_owned(), offset, width, reason: "this time" });
        }
        Ok(answer & width.max())
    }

    fn write(&self, _: usize, _: Width, _: u64) -> Result<(), Error> {
        Ok(())
    }
}

fn use_port(chip: impl Chip, flow: Flow) {
    let Ok(mut port) = Serial::new(chip, Polled, Settings { flow, ..Settings::default() }) else { return };
    drive(&mut port);
}

fn drive(port: &mut Serial<impl Chip, Polled>) {
    port.set_timeout(Duration::from_micros(200));
    let mut buffer = [0; 100];
    for _ in 0..5 {
        drop(port.read(&mut buffer));
        drop(port.write(&buffer));
        drop(port.try_write(&buffer));
        drop(port.flush());
        drop(port.is_readable());
        drop(port.is_writable());
        drop(port.modem_lines());
        drop(port.set_control(Control::default()));
        drop(port.self_test());
        drop(port.send_break(Duration::ZERO));
    }
}

#[test]
fn drivers_survive_devices_that_answer_anything() {
    let answers = prop::collection::vec(any::<u64>(), 1..40);
    cases(64)
        .run(&(answers, 0usize..3), |(answers, flow)| {
            let flow = [Flow::None, Flow::RtsCts, Flow::XonXoff][flow];
            let device = || Anything { answers: answers.clone(), next: Cell::new(0) };
            use_port(Ns16550::new(device(), 1_843_200).expect("it is long enough"), flow);
            use_port(Pl011::new(device(), 24_000_000).expect("it is long enough"), flow);
            Ok(())
        })
        .expect("no device makes a driver panic");
}

/// A real model until it turns bad: then random answers, after the driver took it for its device.
struct TurnsBad<M: mapio_device::model::Model> {
    good: Simulated<M>,
    bad: Anything,
    is_bad: Cell<bool>,
}

impl<M: mapio_device::model::Model> RegisterIo for &TurnsBad<M> {
    fn name(&self) -> &str {
        "a test"
    }

    fn len(&self) -> usize {
        self.good.len()
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        if self.is_bad.get() { self.bad.read(offset, width) } else { self.good.read(offset, width) }
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.good.write(offset, width, value)
    }
}

#[test]
fn drivers_survive_devices_that_turn_bad() {
    let answers = prop::collection::vec(any::<u64>(), 1..40);
    cases(32)
        .run(&(answers, 0usize..3), |(answers, flow)| {
            let flow = [Flow::None, Flow::RtsCts, Flow::XonXoff][flow];
            let settings = Settings { flow, ..Settings::default() };
            let bad = || Anything { answers: answers.clone(), next: Cell::new(0) };
            let device = TurnsBad { good: Pc::model(Timing::Instant), bad: bad(), is_bad: Cell::new(false) };
            let chip = Ns16550::new(&device, 1_843_200).expect("8 bytes");
            let mut port = Serial::new(chip, Polled, settings).expect("a good device");
            device.is_bad.set(true);
            drive(&mut port);
            let device = TurnsBad { good: Arm::model(Timing::Instant), bad: bad(), is_bad: Cell::new(false) };
            let chip = Pl011::new(&device, 24_000_000).expect("4 KiB");
            let mut port = Serial::new(chip, Polled, settings).expect("a good device");
            device.is_bad.set(true);
            drive(&mut port);
            Ok(())
        })
        .expect("no device makes a driver panic");
}
