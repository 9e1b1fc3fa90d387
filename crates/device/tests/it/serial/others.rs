//! A driver by others on our bus and model, and ours on a device by others.
#![expect(unsafe_code, reason = "the other driver's constructor is unsafe")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Model, Ns16550 as Ns16550Model, Simulated};
use mapio_device::serial::{
    DataBits, Flow, Ns16550, PC_CLOCK_HZ, Parity, Serial, Settings, StopBits, Uart16550Backend,
};
use mapio_device::{Error, Polled, RegisterIo, Width};
use proptest::prelude::*;
use uart_16550::spec::registers::{FifoTriggerLevel, Parity as TheirParity, WordLength};
use uart_16550::{BaudRate, Config, Uart16550};

/// A bus that remembers what was last written to each register.
#[derive(Clone)]
struct Remembering {
    device: Simulated<Ns16550Model>,
    written: Rc<RefCell<[u64; 8]>>,
}

impl Remembering {
    fn new() -> Self {
        Self { device: Simulated::new(Ns16550Model::new(Timing::Instant)), written: Rc::default() }
    }

    /// DLL and DLM; IER, LCR, MCR; of FCR what stays; LSR and MSR. SCR is not the line's: the other driver tests it.
    fn state(&self) -> [u64; 8] {
        let read = |offset| self.device.read(offset, Width::U8).expect("a register");
        let [ier, lcr, mcr, lsr, msr] = [1, 3, 4, 5, 6].map(read);
        self.device.write(3, Width::U8, lcr | 0x80).expect("a register");
        let [dll, dlm] = [0, 1].map(read);
        self.device.write(3, Width::U8, lcr).expect("a register");
        [dll, dlm, ier, lcr, mcr, self.written.borrow()[2] & 0xc9, lsr, msr]
    }
}

impl RegisterIo for Remembering {
    fn name(&self) -> &str {
        self.device.name()
    }

    fn len(&self) -> usize {
        self.device.len()
    }

    fn read(&self, offset: usize, width: Width) -> Result<u64, Error> {
        self.device.read(offset, width)
    }

    fn write(&self, offset: usize, width: Width, value: u64) -> Result<(), Error> {
        self.written.borrow_mut()[offset] = value;
        self.device.write(offset, width, value)
    }
}

/// How a line is set up, for both.
fn settings() -> impl Strategy<Value = (Settings, usize)> {
    let bauds = prop::sample::select(vec![50, 300, 1200, 9600, 19_200, 38_400, 57_600, 115_200]);
    let bits = prop::sample::select(vec![DataBits::Five, DataBits::Six, DataBits::Seven, DataBits::Eight]);
    let parities = vec![Parity::None, Parity::Odd, Parity::Even, Parity::Mark, Parity::Space];
    let stop = prop::sample::select(vec![StopBits::One, StopBits::Two]);
    let trigger = prop::sample::select(vec![1, 4, 8, 14]);
    (bauds, bits, prop::sample::select(parities), stop, trigger).prop_map(
        |(baud, data_bits, parity, stop_bits, trigger)| {
            (Settings { baud, data_bits, parity, stop_bits, flow: Flow::None }, trigger)
        },
    )
}

/// The same in the other driver's words.
fn config(settings: &Settings, trigger: usize) -> Config {
    Config {
        baud_rate: BaudRate::from_integer(settings.baud),
        data_bits: match settings.data_bits {
            DataBits::Five => WordLength::FiveBits,
            DataBits::Six => WordLength::SixBits,
            DataBits::Seven => WordLength::SevenBits,
            DataBits::Eight => WordLength::EightBits,
        },
        parity: match settings.parity {
            Parity::None => TheirParity::Disabled,
            Parity::Odd => TheirParity::Odd,
            Parity::Even => TheirParity::Even,
            Parity::Mark => TheirParity::Forced1,
            Parity::Space => TheirParity::Forced0,
        },
        extra_stop_bits: settings.stop_bits == StopBits::Two,
        fifo_trigger_level: Some(match trigger {
            1 => FifoTriggerLevel::One,
            4 => FifoTriggerLevel::Four,
            8 => FifoTriggerLevel::Eight,
            _ => FifoTriggerLevel::Fourteen,
        }),
        ..Config::DEFAULT
    }
}

/// What is done with both: bytes in one direction or the other.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<u8>),
    Receive(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..17);
    prop::collection::vec(prop_oneof![bytes().prop_map(Step::Send), bytes().prop_map(Step::Receive)], 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn uart_16550_and_ours_leave_the_same_state_and_bytes((settings, trigger) in settings(), steps in steps()) {
        let (theirs, ours) = (Remembering::new(), Remembering::new());
        let (their_peer, our_peer) = (Peer::of(&theirs.device), Peer::of(&ours.device));
        // SAFETY: `new_with_backend` asks for a 16550 behind the backend that nobody else uses: the model is one.
        let mut driver = unsafe { Uart16550::new_with_backend(Uart16550Backend::new(theirs.clone())) };
        driver.init(config(&settings, trigger)).expect("a 16550");
        let chip = Ns16550::new(ours.clone(), PC_CLOCK_HZ).expect("8 bytes").with_trigger(trigger);
        let mut port = Serial::new(chip, Polled, settings).expect("a 16550");
        prop_assert_eq!(theirs.state(), ours.state());
        for step in steps {
            match step {
                Step::Send(bytes) => {
                    driver.send_bytes_exact(&bytes);
                    port.write_all(&bytes).expect("a 16550");
                    port.flush().expect("a 16550");
                    let sent: Vec<_> = bytes.iter().map(|byte| byte & settings.data_bits.mask()).collect();
                    prop_assert_eq!((their_peer.take(), our_peer.take()), (sent.clone(), sent));
                }
                Step::Receive(bytes) => {
                    // A line carries no others.
                    let bytes: Vec<_> = bytes.iter().map(|byte| byte & settings.data_bits.mask()).collect();
                    their_peer.send(&bytes);
                    our_peer.send(&bytes);
                    let (mut to_them, mut to_us) = (vec![0; bytes.len()], vec![0; bytes.len()]);
                    driver.receive_bytes_exact(&mut to_them);
                    port.read_exact(&mut to_us).expect("a 16550");
                    prop_assert_eq!((&to_them, &to_us), (&bytes, &bytes));
                }
            }
            prop_assert_eq!(theirs.state(), ours.state());
        }
        prop_assert!(driver.backend().error().is_none());
    }
}

#[test]
fn both_find_the_model_to_pass_their_own_tests() {
    let (theirs, ours) = (Remembering::new(), Remembering::new());
    let _peers = [Peer::of(&theirs.device), Peer::of(&ours.device)];
    // SAFETY: as above.
    let mut driver = unsafe { Uart16550::new_with_backend(Uart16550Backend::new(theirs)) };
    driver.init(Config::DEFAULT).expect("a 16550");
    driver.test_loopback().expect("a loopback");
    driver.check_connected().expect("a peer");
    let chip = Ns16550::new(ours, PC_CLOCK_HZ).expect("8 bytes");
    let mut port = Serial::new(chip, Polled, Settings::default()).expect("a 16550");
    port.self_test().expect("a loopback");
}

/// `vm_superio`'s device, as it is.
struct Superio(vm_superio::Serial<Nobody, vm_superio::serial::NoEvents, Vec<u8>>);

struct Nobody;

impl vm_superio::Trigger for Nobody {
    type E = ();

    fn trigger(&self) -> Result<(), ()> {
        Ok(())
    }
}

impl Model for Superio {
    fn len(&self) -> usize {
        8
    }

    fn read(&mut self, offset: usize, _: Width, _: Instant) -> Result<u64, &'static str> {
        Ok(self.0.read(u8::try_from(offset).expect("inside")).into())
    }

    fn write(&mut self, offset: usize, _: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        let value = u8::try_from(value & 0xff).expect("a byte");
        self.0.write(u8::try_from(offset).expect("inside"), value).map_err(|_| "it has failed")
    }
}

#[test]
fn our_driver_runs_on_the_device_of_vm_superio() {
    let bus = Simulated::new(Superio(vm_superio::Serial::new(Nobody, Vec::new())));
    let chip = Ns16550::new(bus.clone(), PC_CLOCK_HZ).expect("8 bytes");
    let mut port = Serial::new(chip, Polled, Settings::default()).expect("a 16550");
    port.self_test().expect("a loopback");
    port.write_all(&mapio_testkit::pattern(1000)).expect("a 16550");
    port.flush().expect("a 16550");
    assert_eq!(*bus.model().0.writer(), mapio_testkit::pattern(1000));
    bus.model().0.enqueue_raw_bytes(b"incoming").expect("room");
    let mut received = [0; 8];
    port.read_exact(&mut received).expect("a 16550");
    assert_eq!(&received, b"incoming");
}
