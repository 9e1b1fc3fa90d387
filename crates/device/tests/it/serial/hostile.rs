//! Random accesses to the models, and drivers on devices that answer anything: errors, never a panic or a hang.

use std::time::Duration;

use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Ns16550 as Ns16550Model, Pl011 as Pl011Model};
use mapio_device::serial::{Chip, Control, Flow, Ns16550, Pl011, Serial, Settings};
use mapio_device::{LineError, Polled, RegisterIo, Waiting, Width};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};

use super::{Arm, ByInterrupt, CLOCK_HZ, Kind, Pc, Way};
use crate::anything::{Anything, TurnsBad};

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

fn use_port(chip: impl Chip, waiting: impl Waiting, flow: Flow, turn_bad: impl FnOnce()) {
    let Ok(mut port) = Serial::new(chip, waiting, Settings { flow, ..Settings::default() }) else { return };
    turn_bad();
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

const FLOWS: [Flow; 3] = [Flow::None, Flow::RtsCts, Flow::XonXoff];

#[test]
fn drivers_survive_devices_that_answer_anything() {
    let answers = prop::collection::vec(any::<u64>(), 1..40);
    cases(64)
        .run(&(answers, prop::sample::select(&FLOWS[..])), |(answers, flow)| {
            let device = || Anything::new(&answers);
            use_port(Ns16550::new(device(), CLOCK_HZ).expect("it is long enough"), Polled, flow, || ());
            use_port(Pl011::new(device(), CLOCK_HZ).expect("it is long enough"), Polled, flow, || ());
            Ok(())
        })
        .expect("no device makes a driver panic");
}

#[test]
fn drivers_survive_devices_that_turn_bad() {
    let answers = prop::collection::vec(any::<u64>(), 1..40);
    cases(32)
        .run(&(answers, prop::sample::select(&FLOWS[..])), |(answers, flow)| {
            let pc = || TurnsBad::new(Ns16550Model::with_clock(Timing::Instant, CLOCK_HZ), &answers);
            let arm = || TurnsBad::new(Pl011Model::with_clock(Timing::Instant, CLOCK_HZ), &answers);
            let device = pc();
            let chip = Ns16550::new(&device, CLOCK_HZ).expect("8 bytes");
            use_port(chip, Polled, flow, || device.turn_bad());
            let device = pc();
            let chip = Ns16550::new(&device, CLOCK_HZ).expect("8 bytes");
            use_port(chip, ByInterrupt::of(&device.good), flow, || device.turn_bad());
            let device = arm();
            let chip = Pl011::new(&device, CLOCK_HZ).expect("4 KiB");
            use_port(chip, Polled, flow, || device.turn_bad());
            let device = arm();
            let chip = Pl011::new(&device, CLOCK_HZ).expect("4 KiB");
            use_port(chip, ByInterrupt::of(&device.good), flow, || device.turn_bad());
            Ok(())
        })
        .expect("no device makes a driver panic");
}
