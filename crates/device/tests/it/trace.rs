//! Traces: what is told of an access, and that it is the same access.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use mapio_device::bus::trace::{Direction, Record};
use mapio_device::model::{Memory, Model, Simulated};
use mapio_device::{RegisterIo, Trace, Width, registers};

registers! {
    /// A device whose first register is three.
    block Banked "banked", 0x10 bytes {
        /// What has come.
        received: Received "RBR" @ 0x0: u8 { read effect, write none }
        /// What goes.
        sent: Sent "THR" @ 0x0: u8 { read none, write plain }
        /// The speed.
        divisor: Divisor "DLL" @ 0x0: u8 { read pure, write plain } when "LCR.DLAB=1"
        /// Chooses.
        line: Line "LCR" @ 0x3: u8 { read pure, write plain } fields {
            /// How many bits.
            length with_length "WLS" [0; 2] = { 0 "5 bits", 3 "8 bits" },
            /// Which register is at 0.
            divisor_latch with_divisor_latch "DLAB" [7],
        }
        /// Two of them.
        pair: Pair "PAIR" @ 0x8 [2; 4]: u32 { read pure, write plain }
    }
}

const BANKED: &mapio_device::register::Block = &Banked::BLOCK;

/// A record's text without the time.
fn told(record: &Record) -> String {
    record.to_string().trim_start().split_once(' ').expect("a time and more").1.to_owned()
}

#[test]
fn a_record_names_the_register_its_fields_and_their_values() {
    let told_to = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told_to);
    let bus = Trace::new(Simulated::new(Memory::new(vec![0; 0x10])))
        .block(BANKED)
        .tell(move |record| heard.lock().expect("no panic").push(told(record)));
    let mut device = Banked::new(&bus).expect("it is long enough");
    device.received().read().expect("a model");
    device.sent().write(0x41).expect("a model");
    device.line().write(Line(0).with_divisor_latch(1)).expect("a model");
    device.divisor().write(0x0c).expect("a model");
    device.line().modify(|line| line.with_divisor_latch(0).with_length(3)).expect("a model");
    device.sent().write(0x42).expect("a model");
    device.pair(1).expect("there are two").write(0x1234).expect("a model");
    bus.read(0xc, Width::U16).expect("a model");
    bus.read(0x10, Width::U8).expect_err("it is outside");
    let wanted = [
        "read  8 bits 0x0000 RBR = 0x00",
        "write 8 bits 0x0000 THR = 0x41",
        "write 8 bits 0x0003 LCR = 0x80 WLS=0 (5 bits) DLAB=1",
        "write 8 bits 0x0000 DLL = 0x0c",
        "read  8 bits 0x0003 LCR = 0x80 WLS=0 (5 bits) DLAB=1",
        "write 8 bits 0x0003 LCR = 0x03 WLS=3 (8 bits) DLAB=0",
        "write 8 bits 0x0000 THR = 0x42",
        "write 32 bits 0x000c PAIR[1] = 0x00001234",
        "read  16 bits 0x000c = 0x1234",
        "read  8 bits 0x0010 failed: accessing 8 bits at offset 0x10 of a simulated device: there are 0x10 bytes",
    ];
    assert_eq!(*told_to.lock().expect("no panic"), wanted);
    let records = bus.take();
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), wanted);
    assert!(records.is_sorted_by_key(|record| record.at));
    assert!(bus.take().is_empty());
}

#[test]
fn memory_keeps_the_last_records() {
    let bus = Trace::new(Simulated::new(Memory::new(vec![0; 0x10]))).keep(3);
    for value in 0..10 {
        bus.write(4, Width::U32, value).expect("a model");
    }
    assert_eq!(bus.dropped(), 7);
    let records = bus.take();
    let values: Vec<_> = records.iter().map(|record| (record.direction, record.value)).collect();
    assert_eq!(values, [7, 8, 9].map(|value| (Direction::Write, Some(value))));
    assert_eq!(records[0].register, None);
    let none = Trace::new(bus.into_bus()).keep(0);
    none.read(0, Width::U8).expect("a model");
    assert_eq!((none.take().len(), none.dropped()), (0, 1));
}

/// A device that refuses everything.
struct Closed;

impl Model for Closed {
    fn len(&self) -> usize {
        8
    }

    fn read(&mut self, _: usize, _: Width, _: Instant) -> Result<u64, &'static str> {
        Err("it is closed")
    }

    fn write(&mut self, _: usize, _: Width, _: u64, _: Instant) -> Result<(), &'static str> {
        Err("it is closed")
    }
}

#[test]
fn what_fails_is_told_and_fails_as_before() {
    let bus = Trace::new(Simulated::new(Closed));
    let error = bus.write(0, Width::U16, 0x1_2345).expect_err("it refuses").to_string();
    assert_eq!(error, "accessing 16 bits at offset 0x0 of a simulated device: it is closed");
    bus.read(4, Width::U32).expect_err("it refuses");
    let wanted = [
        "write 16 bits 0x0000 = 0x2345 failed: accessing 16 bits at offset 0x0 of a simulated device: it is closed",
        "read  32 bits 0x0004 failed: accessing 32 bits at offset 0x4 of a simulated device: it is closed",
    ];
    assert_eq!(bus.take().iter().map(told).collect::<Vec<_>>(), wanted);
}
