//! What the FIFOs of both models do as the data sheets say, seen in their registers, at times that are given to them.

use std::time::Instant;

use mapio_device::model::serial::{Peer, Timing};
use mapio_device::model::{Model, Simulated};
use mapio_device::serial::{Ns16550, PC_CLOCK_HZ, Pl011, Serial, Settings};
use mapio_device::{LineError, Polled, RegisterIo, Width};
use mapio_testkit::pattern;

use super::{Arm, CLOCK_HZ, Kind, Pc, lose_and_be_told};

const DATA: usize = 0;
const IIR: usize = 2;
const MCR: usize = 4;
const FCR: usize = 2;
const DR: usize = 0;
const RSR: usize = 4;
const LCR_H: usize = 0x2c;
const RIS: usize = 0x3c;
const ICR: usize = 0x44;
/// RIS: bytes were lost.
const OE: u64 = 1 << 10;
/// The parity is wrong.
const PE: u64 = 1 << 8;
/// There was no stop bit.
const FE: u64 = 1 << 7;
/// The line was held low.
const BE: u64 = 1 << 9;

/// A PL011 with its FIFOs on, and its other end.
fn arm() -> (Simulated<<Arm as Kind>::Model>, Peer) {
    let bus = Arm::model(Timing::Instant);
    bus.write(LCR_H, Width::U32, 0x70).expect("8 bits, FIFOs");
    let peer = Peer::of(&bus);
    (bus, peer)
}

fn read(bus: &Simulated<<Arm as Kind>::Model>, offset: usize) -> u64 {
    bus.read(offset, Width::U32).expect("a model")
}

#[test]
fn a_pl011_marks_the_first_byte_behind_those_that_were_lost() {
    let (bus, peer) = arm();
    peer.send(&[b'a'; 16]);
    assert_eq!((read(&bus, RSR), read(&bus, RIS) & OE), (0, 0));
    peer.send(b"lost");
    assert_eq!(read(&bus, RSR), 8, "told at once");
    assert_eq!(read(&bus, RIS) & OE, OE);
    for _ in 0..15 {
        assert_eq!(read(&bus, DR), b'a'.into(), "it came before");
    }
    peer.send(b"b");
    assert_eq!(read(&bus, DR), b'a'.into(), "it came before");
    assert_eq!(read(&bus, DR), u64::from(b'b') | 1 << 11, "the first one that came behind them");
    peer.send(b"c");
    assert_eq!(read(&bus, DR), b'c'.into(), "and only that");
}

#[test]
fn a_pl011_keeps_errors_until_they_are_written_away() {
    let (bus, peer) = arm();
    for (error, bits) in [(LineError::Framing, FE), (LineError::Parity, PE), (LineError::Break, FE | BE)] {
        peer.send(b"before");
        peer.send_broken(0x55, error);
        assert_eq!(read(&bus, RIS) & (FE | PE | BE | OE), bits, "{error:?}: as soon as it has come");
        for _ in 0..7 {
            read(&bus, DR);
        }
        assert_eq!(read(&bus, RIS) & (FE | PE | BE | OE), bits, "{error:?}: though it was taken");
        bus.write(ICR, Width::U32, bits).expect("a model");
        assert_eq!(read(&bus, RIS) & (FE | PE | BE | OE), 0, "{error:?}");
    }
}

#[test]
fn a_loss_behind_which_nothing_comes_is_an_error_and_is_told_once() {
    let (bus, peer) = arm();
    let chip = Pl011::new(bus, CLOCK_HZ).expect("it has 4 KiB");
    let mut port = Serial::new(chip, Polled, Settings::default()).expect("a model");
    for round in 1..4 {
        lose_and_be_told(&mut port, &peer, round);
    }
}

/// Reads bytes one by one, and answers what CTS was at the other end after each, and before.
fn cts_while_read(bus: &Simulated<<Pc as Kind>::Model>, peer: &Peer, count: usize) -> Vec<bool> {
    let mut seen = vec![peer.lines().cts];
    for _ in 0..count {
        bus.read(DATA, Width::U8).expect("a model");
        seen.push(peer.lines().cts);
    }
    seen
}

#[test]
fn automatic_rts_of_a_16550_rises_only_when_all_is_taken() {
    for (code, trigger) in [(0, 1), (1, 4), (2, 8)] {
        let bus = Pc::model(Timing::Instant);
        let peer = Peer::of(&bus);
        bus.write(FCR, Width::U8, 1 | code << 6).expect("a model");
        bus.write(MCR, Width::U8, 0x22).expect("RTS, AFE");
        peer.send(&pattern(trigger - 1));
        assert!(peer.lines().cts, "{trigger}: there is room");
        peer.send(b"x");
        let mut wanted = vec![false; trigger];
        wanted.push(true);
        assert_eq!(cts_while_read(&bus, &peer, trigger), wanted, "{trigger}");
    }
}

#[test]
fn with_the_largest_trigger_it_fills_the_fifo() {
    let bus = Pc::model(Timing::Instant);
    let peer = Peer::of(&bus);
    peer.heed_cts();
    bus.write(FCR, Width::U8, 0xc1).expect("a model");
    bus.write(MCR, Width::U8, 0x22).expect("RTS, AFE");
    peer.send(&pattern(40));
    let mut received = Vec::new();
    for _ in 0..40 {
        received.push(u8::try_from(bus.read(DATA, Width::U8).expect("a model")).expect("a byte"));
    }
    assert_eq!(received, pattern(40), "nothing is lost");
    assert_eq!(bus.read(5, Width::U8).expect("a model") & 2, 0, "no overrun");
}

#[test]
fn so_many_bytes_interrupt_as_the_trigger_says() {
    // So slow that no delay of this test counts.
    let settings = Settings { baud: 50, ..Settings::default() };
    let frame = settings.frame_time();
    // Wanted, what the chip has.
    for (wanted, trigger) in [(0, 1), (1, 1), (3, 1), (4, 4), (7, 4), (8, 8), (13, 8), (14, 14), (1000, 14)] {
        let bus = Simulated::new(mapio_device::model::Ns16550::new(Timing::Real));
        let peer = Peer::of(&bus);
        let chip = Ns16550::new(bus.clone(), PC_CLOCK_HZ).expect("it has 8 bytes").with_trigger(wanted);
        let _port = Serial::new(chip, Polled, settings).expect("a model");
        bus.write(1, Width::U8, 1).expect("received bytes interrupt");
        let sent = Instant::now();
        peer.send(&pattern(20));
        let cause_after = |frames: f64| {
            // A time to come, between two bytes.
            let at = sent + frame.mul_f64(frames);
            bus.model().read(IIR, Width::U8, at).expect("a model") & 0xf
        };
        let count = f64::from(u8::try_from(trigger).expect("small"));
        assert_eq!(cause_after(count - 0.5), 0x1, "{wanted}: one byte is missing");
        assert_eq!(cause_after(count + 0.5), 0x4, "{wanted}");
    }
}

#[test]
fn the_trigger_of_a_pl011_is_what_ifls_has() {
    for (wanted, code) in [(0, 0), (2, 0), (4, 1), (8, 2), (11, 2), (12, 3), (14, 4), (16, 4)] {
        let chip = Pl011::new(Arm::model(Timing::Instant), CLOCK_HZ).expect("it has 4 KiB").with_trigger(wanted);
        let mut port = Serial::new(chip, Polled, Settings::default()).expect("a model");
        assert_eq!(port.chip().registers().ifls().read().expect("a model").receive(), code, "{wanted}");
    }
}
