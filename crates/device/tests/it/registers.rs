//! What `registers!` makes: offsets, widths and kinds of access, on a model that writes down what reaches it.

use std::time::Instant;

use mapio_device::model::{Model, Simulated};
use mapio_device::register::{Field, Read, Register, Spec, Write};
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
            speed with_speed "SPEED" [4; 3] = { 0 "slow", 3 SPEED_MEDIUM "medium", 5 SPEED_FAST "fast" },
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
        /// Flags beside bits that control.
        mixed: Mixed "MIXED" @ 0x24: u16 { read pure, write plain } fields {
            /// Plain.
            enabled with_enabled "EN" [0],
            /// Ones clear.
            expired with_expired "EXP" [1; 2] write ones_clear = { 3 "both" },
            /// Ones set.
            reload with_reload "LOAD" [4; 2] write ones_set,
            /// Zeros clear.
            lost with_lost "LOST" [8; 2] write zeros_clear,
            /// Only read.
            state with_state "STATE" [15] write none,
        }
        /// The same at another time.
        other: Other "OTHER" @ 0x26: u16 { read pure, write plain } when " ctrl.speed = 0x5 "
    }
}

/// A table where everything has other names.
mod shadowed {
    #![allow(dead_code, unused_macros, reason = "what the macro must not use")]

    use mapio_device::registers;

    pub(super) struct Error;
    type Result<T> = std::result::Result<T, Error>;
    type Option = Error;
    struct Ok;
    struct Some;
    trait From {}
    trait Into {}
    trait Default {}
    trait Clone {}
    trait Copy {}
    trait Debug {}

    macro_rules! concat {
        ($($anything:tt)*) => {
            compile_error!("it is not this one")
        };
    }
    macro_rules! assert {
        ($($anything:tt)*) => {
            compile_error!("it is not this one")
        };
    }

    registers! {
        /// A device among other names.
        pub(super) block Shadowed "shadowed", 0x10 bytes {
            /// Reading takes something out.
            queue: Queue "QUEUE" @ 0x0 [2; 1]: u8 { read effect, write none } fields {
                /// One bit.
                bit with_bit "BIT" [0] = { 1 BIT_SET "set" },
            }
            /// An array.
            number: Number "NUM" @ 0x8 [2; 4]: u32 { read pure, write plain }
        }
    }

    pub(super) fn outcome() -> Result<()> {
        Err(Error)
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

#[test]
fn modify_leaves_flags_as_they_are() {
    let bus = Memory::bus();
    let device = Everything::new(bus.clone()).expect("it is long enough");
    let written = |access: &dyn Fn() -> Result<(), Error>| {
        // Everything is set: EN, EXP, LOAD, LOST, STATE, and reserved bits.
        bus.write(0x24, Width::U16, 0xffff).expect("a model");
        accesses(&bus);
        access().expect("a model");
        let [('r', 0x24, Width::U16, 0xffff), ('w', 0x24, Width::U16, value)] = accesses(&bus)[..] else {
            panic!("it is a read and a write")
        };
        value
    };
    let all = Mixed(0xffff);
    // Without EXP and LOAD, and with LOST, whatever becomes of the value.
    assert_eq!(written(&|| device.mixed().modify(|mixed| mixed.with_enabled(0))), 0xffc8);
    assert_eq!(written(&|| device.mixed().modify(|_| all)), 0xffc9);
    assert_eq!(written(&|| device.mixed().modify(|_| Mixed(0))), 0x0300);
    // What was read is seen.
    assert_eq!(written(&|| device.mixed().modify(|mixed| Mixed(mixed.expired() / 3))), 0x0301);
    // On purpose, and nothing else.
    assert_eq!(written(&|| device.mixed().clear_fields(Mixed(0).with_expired(2))), 0xffcd);
    assert_eq!(written(&|| device.mixed().clear_fields(Mixed(0).with_lost(1))), 0xfec9);
    assert_eq!(written(&|| device.mixed().clear_fields(all)), 0xfccf);
    assert_eq!(written(&|| device.mixed().clear_fields(Mixed(0))), 0xffc9);
    assert_eq!(written(&|| device.mixed().set_fields(Mixed(0).with_reload(1))), 0xffd9);
    assert_eq!(written(&|| device.mixed().set_fields(all)), 0xfff9);
    // All of it is what it says.
    device.mixed().write(0x1234).expect("a model");
    assert_eq!(accesses(&bus), [('w', 0x24, Width::U16, 0x1234)]);
}

#[test]
fn fields_say_how_they_are_written() {
    let register = Everything::BLOCK.register("MIXED").expect("there is one");
    let kinds: Vec<_> = register.fields.iter().map(|field| (field.name, field.write)).collect();
    let wanted = [
        ("EN", Write::Plain),
        ("EXP", Write::OnesClear),
        ("LOAD", Write::OnesSet),
        ("LOST", Write::ZerosClear),
        ("STATE", Write::None),
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(
        register.decode(0x0107).to_string(),
        "EN=1 EXP=3 (both, ones clear) LOAD=0 (ones set) LOST=1 (zeros clear) STATE=0 (no write)"
    );
    assert_eq!((register.without_effects(0xffff), register.without_effects(0)), (0xffc9, 0x0300));
    let status = mapio_device::pci::header::Header::BLOCK.register("STATUS").expect("there is one");
    assert!(status.fields.iter().all(|field| field.own_write(status).is_none()), "{status:?}");
}

#[test]
fn named_values_and_offsets_are_constants() {
    assert_eq!((Control::SPEED_MEDIUM, Control::SPEED_FAST), (3_u16, 5_u16));
    let control = Control::default().with_speed(Control::SPEED_FAST);
    let register = Everything::BLOCK.register("CTRL").expect("there is one");
    assert_eq!(register.decode(control.0.into()).to_string(), "ON=0 SPEED=5 (fast)");
    for register in Everything::BLOCK.registers {
        let place = match register.offset {
            Number::OFFSET => "NUM",
            Control::OFFSET => "CTRL",
            Mixed::OFFSET => "MIXED",
            _ => continue,
        };
        assert_eq!(register.name, place);
    }
}

#[test]
fn a_table_stands_among_other_names() {
    let mut device = shadowed::Shadowed::new(Simulated::new(mapio_device::model::Memory::new(vec![1; 0x10])))
        .expect("it is long enough");
    assert_eq!(device.queue(1).expect("there are two").read().expect("a model").bit(), shadowed::Queue::BIT_SET);
    assert_eq!(device.number(0).expect("there are two").read().expect("a model").0, 0x0101_0101);
    assert!(shadowed::outcome().is_err());
}

/// A block that a table would not make, of which each register has its own mistake, or none.
mod mistakes {
    use mapio_device::Width;
    use mapio_device::register::{Block, Field, Read, Register, Write};

    pub(super) const FIELD: Field = Field { name: "F", text: "", shift: 4, bits: 4, write: Write::Plain, values: &[] };
    pub(super) const RIGHT: Register = Register {
        name: "R",
        text: "",
        offset: 4,
        width: Width::U32,
        count: 1,
        stride: 0,
        read: Read::Pure,
        write: Write::Plain,
        when: "",
        fields: &[FIELD],
    };
    pub(super) const BLOCK: Block = Block { name: "block", text: "", len: 12, registers: &[RIGHT] };
}

#[test]
fn what_is_not_in_the_block_or_the_register_is_found() {
    use mistakes::{BLOCK, FIELD, RIGHT};
    let is_within = |register: Register| register.is_within(BLOCK.len);
    assert!(is_within(RIGHT) && is_within(Register { offset: 8, ..RIGHT }));
    assert!(is_within(Register { count: 2, stride: 4, ..RIGHT }));
    for wrong in [
        Register { offset: 12, ..RIGHT },
        Register { offset: 6, ..RIGHT },
        Register { offset: usize::MAX - 3, ..RIGHT },
        Register { count: 0, ..RIGHT },
        Register { count: 2, stride: 0, ..RIGHT },
        Register { count: 2, stride: 2, ..RIGHT },
        Register { count: 3, stride: 4, ..RIGHT },
        Register { count: usize::MAX, stride: 4, ..RIGHT },
    ] {
        assert!(!is_within(wrong), "{wrong:?}");
    }
    let has = |fields: &'static [Field]| Register { fields, ..RIGHT }.has_its_fields();
    assert!(has(&[]) && has(&[FIELD, Field { shift: 8, ..FIELD }, Field { shift: 0, ..FIELD }]));
    assert!(has(&[Field { values: &[(0, "none"), (15, "all")], ..FIELD }]) && has(&[Field { shift: 28, ..FIELD }]));
    assert!(!has(&[Field { shift: 29, ..FIELD }]) && !has(&[Field { shift: u32::MAX, ..FIELD }]));
    assert!(!has(&[Field { bits: 0, ..FIELD }]) && !has(&[Field { bits: 29, ..FIELD }]));
    assert!(
        !has(&[FIELD, Field { shift: 7, bits: 1, ..FIELD }]) && !has(&[Field { shift: 3, bits: 2, ..FIELD }, FIELD])
    );
    assert!(!has(&[Field { values: &[(0, "none"), (16, "too many")], ..FIELD }]));
}

#[test]
fn kinds_of_fields_that_do_not_go_with_their_register_are_found() {
    use mistakes::{FIELD, RIGHT};
    const KINDS: [&[Field]; 6] = [
        &[Field { write: Write::None, ..FIELD }],
        &[Field { write: Write::Plain, ..FIELD }],
        &[Field { write: Write::OnesClear, ..FIELD }],
        &[Field { write: Write::OnesSet, ..FIELD }],
        &[Field { write: Write::ZerosClear, ..FIELD }],
        &[Field { write: Write::Once, ..FIELD }],
    ];
    for fields in KINDS {
        for register in KINDS.map(|fields| fields[0].write) {
            let field = fields[0].write;
            let own = !matches!(field, Write::Plain | Write::Once) && register == Write::Plain;
            let wanted = field == register || field == Write::None || own;
            assert_eq!(Register { write: register, fields, ..RIGHT }.has_its_kinds(), wanted, "{field:?} {register:?}");
        }
    }
}

#[test]
fn conditions_name_a_field_and_a_value_that_fits_it() {
    use mistakes::{BLOCK, RIGHT};
    let condition = |when| BLOCK.condition(&Register { when, ..RIGHT });
    for (when, value) in [("R.F=1", 1), ("r.f=15", 15), ("R.F=0xf", 15), (" R . F = 0x0a ", 10), ("R.F=0", 0)] {
        let condition = condition(when).unwrap_or_else(|| panic!("{when}"));
        assert_eq!((condition.register.name, condition.field.name, condition.value), ("R", "F", value), "{when}");
        assert!(BLOCK.has_its_condition(&Register { when, ..RIGHT }));
        assert!(condition.holds(value << 4) && !condition.holds(!(value << 4)));
    }
    for when in
        ["R", "R.F", "R=1", "R.F=", "R.G=1", "S.F=1", "R.F=16", "R.F=0x10", "R.F=-1", "R.F=x", "R.F=0x", "R.F=1=1"]
    {
        assert!(condition(when).is_none() && !BLOCK.has_its_condition(&Register { when, ..RIGHT }), "{when}");
    }
    assert!(condition("").is_none() && BLOCK.has_its_condition(&RIGHT));
    let other = Everything::BLOCK.register("OTHER").expect("there is one");
    let condition = Everything::BLOCK.condition(other).expect("it has one");
    assert_eq!((condition.register.name, condition.field.name, condition.value), ("CTRL", "SPEED", 5));
}
