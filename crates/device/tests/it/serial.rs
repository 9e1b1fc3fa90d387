//! Serial ports: both chips, both ways to wait, with and without time, on models.

mod cable;
mod contract;
mod faults;
mod fifo;
mod hostile;
mod others;

use std::time::Duration;

use mapio_device::model::serial::{Peer, Timing, Uart};
use mapio_device::model::{Ns16550 as Ns16550Model, Pl011 as Pl011Model, Simulated, SimulatedInterrupt};
use mapio_device::serial::{Chip, Ns16550, Pl011, Serial, Settings};
use mapio_device::{Driven, Error, LineError, Polled, Waiting};
use mapio_testkit::pattern;

/// Of both chips, so that a megabaud is in reach.
const CLOCK_HZ: u32 = 48_000_000;
/// Longer than any test takes.
const HANG_GUARD: Duration = Duration::from_secs(60);
/// For waits that are to end without what they wait for.
const SHORT: Duration = Duration::from_millis(20);

/// A chip with its model.
trait Kind {
    type Model: Uart + 'static;
    type Chip: Chip;
    const NAME: &'static str;
    fn model(timing: Timing) -> Simulated<Self::Model>;
    fn chip(bus: Simulated<Self::Model>) -> Self::Chip;
}

struct Pc;
struct Arm;

impl Kind for Pc {
    type Model = Ns16550Model;
    type Chip = Ns16550<Simulated<Ns16550Model>>;
    const NAME: &'static str = "16550";

    fn model(timing: Timing) -> Simulated<Ns16550Model> {
        Simulated::new(Ns16550Model::with_clock(timing, CLOCK_HZ))
    }

    fn chip(bus: Simulated<Ns16550Model>) -> Self::Chip {
        Ns16550::new(bus, CLOCK_HZ).expect("it has 8 bytes")
    }
}

impl Kind for Arm {
    type Model = Pl011Model;
    type Chip = Pl011<Simulated<Pl011Model>>;
    const NAME: &'static str = "pl011";

    fn model(timing: Timing) -> Simulated<Pl011Model> {
        Simulated::new(Pl011Model::with_clock(timing, CLOCK_HZ))
    }

    fn chip(bus: Simulated<Pl011Model>) -> Self::Chip {
        Pl011::new(bus, CLOCK_HZ).expect("it has 4 KiB")
    }
}

/// A way to wait for a model.
trait Way<M: Uart> {
    type Wait: Waiting;
    const NAME: &'static str;
    fn of(bus: &Simulated<M>) -> Self::Wait;
}

struct ByPolling;
struct ByInterrupt;

impl<M: Uart> Way<M> for ByPolling {
    type Wait = Polled;
    const NAME: &'static str = "polled";

    fn of(_: &Simulated<M>) -> Polled {
        Polled
    }
}

impl<M: Uart + 'static> Way<M> for ByInterrupt {
    type Wait = Driven<SimulatedInterrupt<M>>;
    const NAME: &'static str = "driven";

    fn of(bus: &Simulated<M>) -> Self::Wait {
        Driven::new(bus.interrupt().expect("a descriptor"))
    }
}

/// A port on a model.
fn port<K: Kind, W: Way<K::Model>>(bus: &Simulated<K::Model>, settings: Settings) -> Serial<K::Chip, W::Wait> {
    let mut port = Serial::new(K::chip(bus.clone()), W::of(bus), settings).expect("a model");
    port.set_timeout(HANG_GUARD);
    port
}

/// Sends more than a FIFO holds: what it held is read first, then the loss is told, for the `round`-th time, and then
/// goes on.
fn lose_and_be_told(port: &mut Serial<impl Chip, impl Waiting>, peer: &Peer, round: u64) {
    let sent = pattern(20);
    peer.send(&sent);
    let mut buffer = [0; 64];
    assert_eq!(port.read(&mut buffer).expect("a model"), 16);
    assert_eq!(buffer[..16], sent[..16]);
    let lost = port.read(&mut buffer);
    assert!(matches!(lost, Err(Error::Line { kind: LineError::Overrun, .. })), "{lost:?}");
    peer.send(b"x");
    assert_eq!(port.read(&mut buffer).expect("a model"), 1);
    assert_eq!((buffer[0], port.overruns()), (b'x', round));
}

/// Runs a generic function of a chip and a way to wait for all four.
macro_rules! for_each_port {
    ($case:ident $(, $argument:expr)*) => {
        $case::<Pc, ByPolling>($($argument),*);
        $case::<Pc, ByInterrupt>($($argument),*);
        $case::<Arm, ByPolling>($($argument),*);
        $case::<Arm, ByInterrupt>($($argument),*);
    };
}
use for_each_port;
