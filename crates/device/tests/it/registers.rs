//! What `registers!` makes: offsets, widths and kinds of access, on a model that writes down what reaches it.

use std::time::Instant;

use mapio_device::model::{Model, Simulated};
use mapio_device::register::{Read, Write};
use mapio_device::{Error, RegisterIo, Width, registers};

registers! {
    /// A device with one register of each kind.
    block Everything "everything", 0x40 bytes {
        /// A number.
        number: Number "NUM" @ 0x0: u32 { read pure, write plain }
        /// Some fields.
        control: Control "CTRL" @ 0x4: u16 { read pure, write plain } fields {
            /// One bit.
            on with_on "ON" [0],
            /// Three.
            speed with_speed "SPEED" [4; 3] = { 0 "slow", 5 "fast" },
        }
        /// A queue.
        queue: Queue "QUEUE" @ 0x8: u8 { read effect, write none }
        /// Ones clear.
        events: Events "EVT" @ 0xc: u32 { read pure, write ones_clear }
        /// Ones set.
        start: Start "START" @ 0x10: u32 { read none, write ones_set }
        /// Zeros clear.
        old: Old "OLD" @ 0x14: u8 { read pure, write zeros_clear }
        /// Once.
        lock: Lock "LOCK" @ 0x18: u64 { read none, write once }
        /// Four of them.
        channel: Channel "CH" @ 0x20 [4; 8]: u32 { read pure, write plain }
    }
}

/// Memory that writes down accesses.
struct Memory {
    bytes: [u8; 0x40],
    accesses: Vec<(char, usize, Width, u64)>,
}

impl Memory {
    fn bus() -> Simulated<Self> {
        Simulated::new(Self { bytes: [0; 0x40], accesses: Vec::new() })
    }
}

impl Model for Memory {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn read(&mut self, offset: usize, width: Width, _: Instant) -> Result<u64, &'static str> {
        let mut value = [0; 8];
        value[..width.bytes()].copy_from_slice(&self.bytes[offset..offset + width.bytes()]);
        self.accesses.push(('r', offset, width, u64::from_le_bytes(value)));
        Ok(u64::from_le_bytes(value))
    }

    fn write(&mut self, offset: usize, width: Width, value: u64, _: Instant) -> Result<(), &'static str> {
        self.accesses.push(('w', offset, width, value));
        self.bytes[offset..offset + width.bytes()].copy_from_slice(&value.to_le_bytes()[..width.bytes()]);
        Ok(())
    }
}

fn accesses(bus: &Simulated<Memory>) -> Vec<(char, usize, Width, u64)> {
    std::mem::take(&mut bus.model().accesses)
}

#[test]
fn each_access_has_its_offset_and_width() {
    let bus = Memory::bus();
    let mut device = Everything::new(bus.clone()).expect("it is long enough");
    device.number().write(0x1234_5678).expect("a model");
    assert_eq!(device.number().read().expect("a model"), Number(0x1234_5678));
    device.lock().write(u64::MAX).expect("a model");
    device.start().set(2).expect("a model");
    device.events().clear(4).expect("a model");
    device.old().clear(1).expect("a model");
    device.queue().read().expect("a model");
    device.channel(3).expect("there are four").write(7).expect("a model");
    assert!(device.channel(4).is_none() && device.channel(usize::MAX).is_none());
    let wanted = [
        ('w', 0x0, Width::U32, 0x1234_5678),
        ('r', 0x0, Width::U32, 0x1234_5678),
        ('w', 0x18, Width::U64, u64::MAX),
        ('w', 0x10, Width::U32, 2),
        ('w', 0xc, Width::U32, 4),
        ('w', 0x14, Width::U8, 0xfe),
        ('r', 0x8, Width::U8, 0),
        ('w', 0x38, Width::U32, 7),
    ];
    assert_eq!(accesses(&bus), wanted);
}

#[test]
fn modify_keeps_the_bits_that_nobody_names() {
    let bus = Memory::bus();
    let device = Everything::new(bus.clone()).expect("it is long enough");
    device.control().write(0xff00).expect("a model");
    device.control().modify(|control| control.with_speed(0xd).with_on(3)).expect("a model");
    let control = device.control().read().expect("a model");
    assert_eq!((control, control.speed(), control.on()), (Control(0xff51), 5, 1));
    let wanted = [
        ('w', 0x4, Width::U16, 0xff00),
        ('r', 0x4, Width::U16, 0xff00),
        ('w', 0x4, Width::U16, 0xff51),
        ('r', 0x4, Width::U16, 0xff51),
    ];
    assert_eq!(accesses(&bus), wanted);
}

#[test]
fn the_description_tells_what_the_accessors_do() {
    let block = Everything::BLOCK;
    assert_eq!((block.name, block.text, block.len), ("everything", "A device with one register of each kind.", 0x40));
    let control = block.register("ctrl").expect("there is one");
    assert!(control.is_modifiable() && control.is_safe_to_read());
    let speed = control.field("Speed").expect("there is one");
    assert_eq!(
        (speed.mask(), speed.get(0x51), speed.with(0xff, 0), speed.value_name(5)),
        (0x70, 5, 0x8f, Some("fast"))
    );
    assert_eq!(control.known_bits(), 0x71);
    let queue = block.register("QUEUE").expect("there is one");
    assert_eq!((queue.read, queue.write, queue.is_safe_to_read()), (Read::Effect, Write::None, false));
    let channel = block.at(0x30, Width::U32).map(|(register, index)| (register.name, index)).collect::<Vec<_>>();
    assert_eq!(channel, [("CH", 2)]);
    assert_eq!(block.at(0x30, Width::U8).count() + block.at(0x34, Width::U32).count(), 0);
}

#[test]
fn a_bus_that_is_too_short_and_an_access_outside_are_errors() {
    #[derive(Debug)]
    struct Short;
    impl RegisterIo for Short {
        fn len(&self) -> usize {
            0x3f
        }
        fn name(&self) -> &str {
            "short"
        }
        fn read(&self, _: usize, _: Width) -> Result<u64, Error> {
            panic!("nothing is accessed")
        }
        fn write(&self, _: usize, _: Width, _: u64) -> Result<(), Error> {
            panic!("nothing is accessed")
        }
    }
    let error = Everything::new(Short).expect_err("one byte is missing").to_string();
    assert_eq!(error, "everything: it has 0x40 bytes, and the bus only 0x3f");
    let bus = Memory::bus();
    for (offset, width) in [(0x40, Width::U8), (0x3e, Width::U32), (usize::MAX, Width::U16), (0x3c, Width::U64)] {
        assert!(matches!(bus.read(offset, width), Err(Error::OutOfBounds { .. })), "{offset:#x} {width}");
    }
    for (offset, width) in [(1, Width::U16), (2, Width::U32), (4, Width::U64)] {
        assert!(matches!(bus.write(offset, width, 0), Err(Error::Misaligned { .. })), "{offset:#x} {width}");
    }
    assert_eq!(accesses(&bus), []);
}
