//! A driver by others on our bus and model, and ours on a device by others.
#![expect(unsafe_code, reason = "the other driver's constructor is unsafe")]

use std::time::Instant;

use mapio_device::Polled;
use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Model, Simulated};
use mapio_device::serial::{Ns16550, PC_CLOCK_HZ, Serial, Settings, Uart16550Backend};
use mapio_device::{RegisterIo, Width};
use uart_16550::{BaudRate, Config, Uart16550};

/// DLL, DLM, then LCR and SCR; MCR and IER say what a driver wants beside the line.
fn line(bus: &impl RegisterIo) -> [u64; 3] {
    let read = |offset| bus.read(offset, Width::U8).expect("a register");
    let lcr = read(3);
    bus.write(3, Width::U8, lcr | 0x80).expect("a register");
    let divisor = [read(0), read(1)];
    bus.write(3, Width::U8, lcr).expect("a register");
    [divisor[0], divisor[1], lcr]
}

#[test]
fn uart_16550_and_ours_leave_the_same_line_and_bytes() {
    let text = b"one driver, and another\n";
    for baud in [9600, 19_200, 115_200] {
        let theirs = Simulated::new(mapio_device::model::Ns16550::new(Timing::Instant));
        let their_peer = Peer::of(&theirs);
        // SAFETY: `new_with_backend` asks for a 16550 behind the backend that nobody else uses: the model is one.
        let mut driver = unsafe { Uart16550::new_with_backend(Uart16550Backend::new(theirs.clone())) };
        let config = Config { baud_rate: BaudRate::from_integer(baud), ..Config::DEFAULT };
        driver.init(config).expect("a 16550");
        driver.test_loopback().expect("a loopback");
        driver.check_connected().expect("a peer");
        driver.send_bytes_exact(text);
        their_peer.send(b"back");
        let mut back = [0; 4];
        driver.receive_bytes_exact(&mut back);
        assert_eq!(&back, b"back");
        assert!(driver.backend().error().is_none());

        let ours = Simulated::new(mapio_device::model::Ns16550::new(Timing::Instant));
        let our_peer = Peer::of(&ours);
        let chip = Ns16550::new(ours.clone(), PC_CLOCK_HZ).expect("8 bytes");
        let settings = Settings { baud, ..Settings::default() };
        let mut port = Serial::new(chip, Polled, settings).expect("a 16550");
        port.self_test().expect("a loopback");
        port.write_all(text).expect("a 16550");
        port.flush().expect("a 16550");

        assert_eq!((their_peer.take(), our_peer.take()), (text.to_vec(), text.to_vec()));
        assert_eq!(line(&theirs), line(&ours), "{baud}");
        let modem = |bus: &Simulated<_>| bus.read(4, Width::U8).expect("MCR") & 0x13;
        assert_eq!(modem(&theirs), modem(&ours), "DTR and RTS are up, and there is no loopback");
    }
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
