//! Registers: what is known of them, and handles through which they are accessed.
//!
//! [`registers!`](crate::registers) writes both from one table: [`Block`], [`Register`] and [`Field`] for programs that
//! show registers, a type with accessors for those that use them. What a register does not allow does not compile: a
//! register that is only written has no `read`, one whose read has an effect needs `&mut` and has no `modify`, one
//! whose bits are cleared by writing ones has `clear` instead of both.
#![expect(unsafe_code, reason = "accesses whose place was checked when the block was made")]

use std::fmt;
use std::marker::PhantomData;

use crate::bus::RegisterIo;
use crate::error::Error;
use crate::width::{Value, Width};

/// A block of registers that belong together, as its datasheet describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// What the datasheet calls it, such as `16550`.
    pub name: &'static str,
    /// What it is.
    pub text: &'static str,
    /// Bytes that it takes.
    pub len: usize,
    /// In the order of the datasheet.
    pub registers: &'static [Register],
}

/// A register of a [`Block`], or an array of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What the datasheet calls it, such as `LCR`.
    pub name: &'static str,
    /// What it is.
    pub text: &'static str,
    /// Of the first one, in bytes from the start of the block.
    pub offset: usize,
    /// Of an access.
    pub width: Width,
    /// How many there are.
    pub count: usize,
    /// Bytes from one to the next.
    pub stride: usize,
    /// What reading does.
    pub read: Read,
    /// What writing does.
    pub write: Write,
    /// Under which condition it is at this offset, such as `LCR.DLAB=1`; empty: always. The number is decimal, or
    /// hexadecimal behind `0x`.
    pub when: &'static str,
    /// Bits that are in none are reserved, or the register is one number.
    pub fields: &'static [Field],
}

/// What reading a register does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    /// It can't be read.
    None,
    /// Nothing but answering.
    Pure,
    /// It changes the device: takes a byte out of a queue, clears an interrupt.
    Effect,
}

/// What writing a register does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    /// It can't be written.
    None,
    /// It takes the value.
    Plain,
    /// Ones clear bits, zeros keep them (W1C).
    OnesClear,
    /// Ones set bits, zeros keep them (W1S).
    OnesSet,
    /// Zeros clear bits, ones keep them (W0C).
    ZerosClear,
    /// It takes the value once, until the next reset.
    Once,
}

/// Bits of a register that mean something together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// What the datasheet calls it, such as `DLAB`.
    pub name: &'static str,
    /// What it is.
    pub text: &'static str,
    /// The lowest bit.
    pub shift: u32,
    /// How many bits.
    pub bits: u32,
    /// What writing does to these bits: what it does to the register, or in one that takes what is written something of
    /// their own, as to a flag beside bits that control.
    pub write: Write,
    /// Values that have names.
    pub values: &'static [(u64, &'static str)],
}

/// Under which condition a register is at its offset: another one has a field of this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The other register.
    pub register: &'static Register,
    /// Its field.
    pub field: &'static Field,
    /// What the field must be.
    pub value: u64,
}

impl Condition {
    /// Whether the other register's value fulfils it.
    #[must_use]
    pub const fn holds(&self, register: u64) -> bool {
        self.field.get(register) == self.value
    }
}

/// A register's value as its fields, in one line, such as `DLAB=0 WLS=3 (8 bits)`; empty if it has none. A field that
/// is written in its own way is told by that, such as `EXPIRED=1 (ones clear)`.
#[derive(Debug, Clone, Copy)]
pub struct Decoded {
    register: &'static Register,
    value: u64,
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.register.fields.iter().enumerate() {
            let value = field.get(self.value);
            let space = if i == 0 { "" } else { " " };
            // Small numbers read the same, and large ones are told from them.
            if value < 10 {
                write!(f, "{space}{}={value}", field.name)?;
            } else {
                write!(f, "{space}{}={value:#x}", field.name)?;
            }
            match (field.value_name(value), field.own_write(self.register)) {
                (Some(name), Some(write)) => write!(f, " ({name}, {write})")?,
                (Some(name), None) => write!(f, " ({name})")?,
                (None, Some(write)) => write!(f, " ({write})")?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl Field {
    /// The largest value.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.mask() >> self.shift
    }

    /// The field's bits in the register.
    #[must_use]
    pub const fn mask(&self) -> u64 {
        (u64::MAX >> (64 - self.bits)) << self.shift
    }

    /// The field's value in the register's.
    #[must_use]
    pub const fn get(&self, register: u64) -> u64 {
        (register & self.mask()) >> self.shift
    }

    /// The register's value with another one of the field, of which bits that it does not have are cut off.
    #[must_use]
    pub const fn with(&self, register: u64, value: u64) -> u64 {
        (register & !self.mask()) | ((value << self.shift) & self.mask())
    }

    /// What writing does to it, where that is not what it does to the register that it is of.
    #[must_use]
    pub fn own_write(&self, register: &Register) -> Option<Write> {
        Some(self.write).filter(|write| *write != register.write)
    }

    /// The name of a value, if it has one.
    #[must_use]
    pub fn value_name(&self, value: u64) -> Option<&'static str> {
        self.values.iter().find(|(named, _)| *named == value).map(|(_, name)| *name)
    }
}

/// Bits of a register that are cleared or set by writing.
#[derive(Debug, Clone, Copy)]
struct Flags {
    /// By ones.
    ones_clear: u64,
    /// By ones.
    ones_set: u64,
    /// By zeros.
    zeros_clear: u64,
}

impl Flags {
    /// A value that leaves them as they are.
    const fn keep(self, value: u64) -> u64 {
        (value & !(self.ones_clear | self.ones_set)) | self.zeros_clear
    }

    /// The same clearing those that are ones in `mask`.
    const fn clear(self, value: u64, mask: u64) -> u64 {
        (self.keep(value) | (mask & self.ones_clear)) & !(mask & self.zeros_clear)
    }

    /// The same setting those that are ones in `mask`.
    const fn set(self, value: u64, mask: u64) -> u64 {
        self.keep(value) | (mask & self.ones_set)
    }
}

impl Register {
    /// Whether looking at it changes nothing.
    #[must_use]
    pub const fn is_safe_to_read(&self) -> bool {
        matches!(self.read, Read::Pure)
    }

    /// Whether reading it, changing some bits and writing it back [without effects](Self::without_effects) changes
    /// these bits and nothing else.
    #[must_use]
    pub const fn is_modifiable(&self) -> bool {
        matches!((self.read, self.write), (Read::Pure, Write::Plain))
    }

    /// The byte behind the last one; `None` for a description that is none.
    #[must_use]
    pub const fn end(&self) -> Option<usize> {
        let Some(last) = self.count.checked_sub(1) else { return None };
        let Some(last) = last.checked_mul(self.stride) else { return None };
        let Some(last) = last.checked_add(self.offset) else { return None };
        last.checked_add(self.width.bytes())
    }

    /// Whether it, or all of the array, lies inside of a block of `len` bytes, each at a multiple of its width and none
    /// on another.
    #[must_use]
    pub const fn is_within(&self, len: usize) -> bool {
        let width = self.width.bytes();
        let aligned = self.offset.is_multiple_of(width) && self.stride.is_multiple_of(width);
        let apart = self.count <= 1 || self.stride >= width;
        aligned && apart && matches!(self.end(), Some(end) if end <= len)
    }

    /// Whether each field has a bit, all its bits are the register's and no other field's, and hold its named values.
    #[must_use]
    pub const fn has_its_fields(&self) -> bool {
        let (mut rest, mut taken) = (self.fields, 0);
        while let [field, others @ ..] = rest {
            let fits = matches!(field.shift.checked_add(field.bits), Some(end) if end <= self.width.bits());
            if !fits || field.bits == 0 || taken & field.mask() != 0 {
                return false;
            }
            let mut values = field.values;
            while let [(value, _), more @ ..] = values {
                if *value > field.max() {
                    return false;
                }
                values = more;
            }
            taken |= field.mask();
            rest = others;
        }
        true
    }

    /// Whether each field is written as the register is, or in a way that goes with it: not at all, or, in a register
    /// that takes what is written, by ones or zeros that clear or set.
    #[must_use]
    pub const fn has_its_kinds(&self) -> bool {
        let mut rest = self.fields;
        while let [field, others @ ..] = rest {
            let goes = match (self.write, field.write) {
                (_, Write::None)
                | (Write::Plain, Write::Plain | Write::OnesClear | Write::OnesSet | Write::ZerosClear)
                | (Write::OnesClear, Write::OnesClear)
                | (Write::OnesSet, Write::OnesSet)
                | (Write::ZerosClear, Write::ZerosClear)
                | (Write::Once, Write::Once) => true,
                (_, _) => false,
            };
            if !goes {
                return false;
            }
            rest = others;
        }
        true
    }

    /// The bits of the fields that are written in each of these ways.
    const fn flags(&self) -> Flags {
        let (mut rest, mut flags) = (self.fields, Flags { ones_clear: 0, ones_set: 0, zeros_clear: 0 });
        while let [field, others @ ..] = rest {
            match field.write {
                Write::OnesClear => flags.ones_clear |= field.mask(),
                Write::OnesSet => flags.ones_set |= field.mask(),
                Write::ZerosClear => flags.zeros_clear |= field.mask(),
                Write::None | Write::Plain | Write::Once => {}
            }
            rest = others;
        }
        flags
    }

    /// A value to write, in which the fields that are cleared or set by writing are what leaves them as they are: zeros
    /// where ones clear or set, and ones where zeros clear.
    #[must_use]
    pub const fn without_effects(&self, value: u64) -> u64 {
        self.flags().keep(value)
    }

    /// The bits that are in a field.
    #[must_use]
    pub fn known_bits(&self) -> u64 {
        self.fields.iter().fold(0, |bits, field| bits | field.mask())
    }

    /// The fields of a value, to be shown.
    #[must_use]
    pub const fn decode(&'static self, value: u64) -> Decoded {
        Decoded { register: self, value }
    }

    /// A field by its name, whatever the case.
    #[must_use]
    pub const fn field(&self, name: &str) -> Option<&'static Field> {
        let mut rest = self.fields;
        while let [field, others @ ..] = rest {
            if field.name.eq_ignore_ascii_case(name) {
                return Some(field);
            }
            rest = others;
        }
        None
    }
}

impl Block {
    /// A register by its name, whatever the case.
    #[must_use]
    pub const fn register(&self, name: &str) -> Option<&'static Register> {
        let mut rest = self.registers;
        while let [register, others @ ..] = rest {
            if register.name.eq_ignore_ascii_case(name) {
                return Some(register);
            }
            rest = others;
        }
        None
    }

    /// What [`Register::when`] says; `None` if it says nothing, or what [is none](Self::has_its_condition).
    #[must_use]
    pub const fn condition(&self, register: &Register) -> Option<Condition> {
        let Some((place, value)) = split(register.when, b'=') else { return None };
        let Some((name, field)) = split(place, b'.') else { return None };
        let Some(register) = self.register(name) else { return None };
        let Some(field) = register.field(field) else { return None };
        match number(value) {
            Some(value) if value <= field.max() => Some(Condition { register, field, value }),
            _ => None,
        }
    }

    /// Whether [`Register::when`] is empty, or names a field of the block and a number that fits it.
    #[must_use]
    pub const fn has_its_condition(&self, register: &Register) -> bool {
        register.when.is_empty() || self.condition(register).is_some()
    }

    /// The registers that an access is of, as far as offset, width and direction tell, and the index in each.
    pub fn at(&self, offset: usize, width: Width) -> impl Iterator<Item = (&'static Register, usize)> {
        self.registers.iter().filter_map(move |register| {
            let within = offset.checked_sub(register.offset)?;
            let index = within.checked_div(register.stride).unwrap_or(0);
            let is_it = register.width == width && within == index * register.stride && index < register.count;
            is_it.then_some((register, index))
        })
    }
}

/// What is before and behind the first separator, without spaces around.
const fn split(text: &str, separator: u8) -> Option<(&str, &str)> {
    let mut index = 0;
    while index < text.len() {
        if text.as_bytes()[index] == separator {
            let (before, behind) = text.split_at(index);
            return Some((before.trim_ascii(), behind.split_at(1).1.trim_ascii()));
        }
        index += 1;
    }
    None
}

/// A number, hexadecimal behind `0x`, else decimal.
const fn number(text: &str) -> Option<u64> {
    let parsed = match text.as_bytes() {
        [b'0', b'x', ..] => u64::from_str_radix(text.split_at(2).1, 16),
        _ => u64::from_str_radix(text, 10),
    };
    match parsed {
        Ok(number) => Some(number),
        Err(_) => None,
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no read",
            Self::Pure => "read",
            Self::Effect => "read with effect",
        })
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no write",
            Self::Plain => "write",
            Self::OnesClear => "ones clear",
            Self::OnesSet => "ones set",
            Self::ZerosClear => "zeros clear",
            Self::Once => "write once",
        })
    }
}

/// A register as [`registers!`](crate::registers) knows it at compile time; the type is that of its value.
pub trait Spec: From<Self::Bits> + Into<Self::Bits> + Copy {
    /// The number that an access moves.
    type Bits: Value;
    /// Its description.
    const REGISTER: Register;
    /// [`Register::offset`], for those who tell registers apart by it, such as a `match` of a model.
    const OFFSET: usize = Self::REGISTER.offset;
}

/// A register that can be read, with or without an effect.
pub trait Readable: Spec {}
/// A register that takes what is written.
pub trait Writable: Spec {}
/// A register that reads as it was written, without an effect: some of its bits can be changed.
pub trait Modifiable: Readable + Writable {}
/// A register whose bits are cleared by writing ones, or zeros.
pub trait Clearable: Spec {}
/// A register whose bits are set by writing ones.
pub trait Settable: Spec {}

/// A bus that has room for a block of `LEN` bytes, which was checked once.
///
/// A register that is not within the block, not at a multiple of its width, or without room for its fields, does not
/// compile when it is used, whoever wrote its [`Spec`]; [`registers!`](crate::registers) asks the same of all of them:
/// ```compile_fail,E0080
/// use mapio_device::register::{Block, Bounded, Read, Readable, Register, Spec, Write};
/// use mapio_device::{Width, model};
///
/// #[derive(Clone, Copy)]
/// struct Late(u32);
/// impl From<u32> for Late {
///     fn from(bits: u32) -> Self {
///         Self(bits)
///     }
/// }
/// impl From<Late> for u32 {
///     fn from(late: Late) -> Self {
///         late.0
///     }
/// }
/// impl Spec for Late {
///     type Bits = u32;
///     // Its last byte would be the eighth.
///     const REGISTER: Register = Register {
///         name: "LATE", text: "", offset: 4, width: Width::U32, count: 1, stride: 0,
///         read: Read::Pure, write: Write::None, when: "", fields: &[],
///     };
/// }
/// impl Readable for Late {}
///
/// let bus = model::Simulated::new(model::Memory::new(vec![0; 4]));
/// let block = Block { name: "short", text: "", len: 4, registers: &[] };
/// let _ = Bounded::<_, 4>::new(bus, &block).unwrap().register::<Late>().read();
/// ```
///
/// Invariant: `LEN` is at most the bus's `len()`, which never changes, and the bus is never handed out to be changed.
#[derive(Debug)]
pub struct Bounded<B, const LEN: usize> {
    bus: B,
}

impl<B: RegisterIo, const LEN: usize> Bounded<B, LEN> {
    /// Checks that there is room, and that the bus begins where the widest register is aligned.
    ///
    /// # Errors
    /// [`Error::Invalid`] if not.
    pub fn new(bus: B, block: &Block) -> Result<Self, Error> {
        if bus.len() < LEN {
            let reason = format!("it has {LEN:#x} bytes, and the bus only {:#x}", bus.len());
            return Err(Error::invalid(block.name, reason));
        }
        let widest = block.registers.iter().map(|register| register.width.bytes()).max().unwrap_or(1);
        if bus.alignment() < widest {
            let reason = format!("the bus does not begin at a multiple of {widest} bytes, as its registers do");
            return Err(Error::invalid(block.name, reason));
        }
        Ok(Self { bus })
    }

    /// The bus.
    #[inline(always)]
    pub fn bus(&self) -> &B {
        &self.bus
    }

    /// Takes the bus out again.
    pub fn into_bus(self) -> B {
        self.bus
    }

    /// A register of the block.
    #[must_use]
    #[inline(always)]
    pub fn register<R: Spec>(&self) -> Handle<'_, B, R> {
        const { Self::assert_is_of_the_block::<R>() };
        Handle { bus: &self.bus, offset: R::REGISTER.offset, register: PhantomData }
    }

    /// A register of an array; `None` if there are not as many.
    #[must_use]
    #[inline(always)]
    pub fn element<R: Spec>(&self, index: usize) -> Option<Handle<'_, B, R>> {
        const { Self::assert_is_of_the_block::<R>() };
        if index >= R::REGISTER.count {
            return None;
        }
        // It ends before the array does, which has an end.
        let offset = R::REGISTER.offset + index * R::REGISTER.stride;
        Some(Handle { bus: &self.bus, offset, register: PhantomData })
    }

    /// What a [`Handle`] stands on, at compile time: neither `Spec` nor the description in it is believed.
    const fn assert_is_of_the_block<R: Spec>() {
        assert!(R::REGISTER.width.bytes() == R::Bits::WIDTH.bytes(), "the register has another width than its value");
        assert!(R::REGISTER.is_within(LEN), "the register is not within the block, or not aligned");
        assert!(R::REGISTER.has_its_fields(), "a field is not within the register");
    }
}

/// A register of a device, to be accessed.
///
/// Invariant: `offset` and the width of `R::Bits` lie inside the bus.
#[derive(Debug)]
pub struct Handle<'a, B, R> {
    bus: &'a B,
    offset: usize,
    register: PhantomData<R>,
}

impl<B: RegisterIo, R: Spec> Handle<'_, B, R> {
    #[inline(always)]
    fn load(&self) -> Result<R, Error> {
        // SAFETY: 1: by the invariant, which `Bounded` establishes: it has asserted that all of the register is within
        // `LEN` bytes, and that its width is this one.
        unsafe { self.bus.read_unchecked(self.offset, R::Bits::WIDTH) }.map(|bits| R::Bits::from_bits(bits).into())
    }

    #[inline(always)]
    fn store(&self, bits: u64) -> Result<(), Error> {
        // SAFETY: as in `load`.
        unsafe { self.bus.write_unchecked(self.offset, R::Bits::WIDTH, bits) }
    }
}

impl<B: RegisterIo, R: Readable> Handle<'_, B, R> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn read(&self) -> Result<R, Error> {
        self.load()
    }
}

impl<B: RegisterIo, R: Writable> Handle<'_, B, R> {
    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn write(&self, value: impl Into<R>) -> Result<(), Error> {
        self.store(bits::<R>(value))
    }
}

impl<B: RegisterIo, R: Modifiable> Handle<'_, B, R> {
    /// Reads it, changes some bits, and writes it back: two accesses, between which somebody else's may come. Bits that
    /// `change` leaves alone, reserved ones for example, are written as they were read.
    ///
    /// Fields that are cleared or set by writing stay as they are, whatever `change` makes of them: they are for
    /// [`clear_fields`](Self::clear_fields) and [`set_fields`](Self::set_fields).
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn modify(&self, change: impl FnOnce(R) -> R) -> Result<(), Error> {
        let value = self.load()?;
        self.store(const { R::REGISTER.flags() }.keep(bits::<R>(change(value))))
    }

    /// Clears, of the fields that are cleared by writing, the bits that are ones in `mask`, and changes nothing else:
    /// what is in no such field is written as it was read. Two accesses, as [`modify`](Self::modify) makes.
    ///
    /// Does not compile for a register without such a field.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn clear_fields(&self, mask: impl Into<R>) -> Result<(), Error> {
        let flags = const {
            let flags = R::REGISTER.flags();
            assert!(flags.ones_clear | flags.zeros_clear != 0, "the register has no field that is cleared by writing");
            flags
        };
        let value = bits::<R>(self.load()?);
        self.store(flags.clear(value, bits::<R>(mask)))
    }

    /// Sets, of the fields of which written ones set bits, those that are ones in `mask`; otherwise as
    /// [`clear_fields`](Self::clear_fields).
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn set_fields(&self, mask: impl Into<R>) -> Result<(), Error> {
        let flags = const {
            let flags = R::REGISTER.flags();
            assert!(flags.ones_set != 0, "the register has no field that is set by writing");
            flags
        };
        let value = bits::<R>(self.load()?);
        self.store(flags.set(value, bits::<R>(mask)))
    }
}

impl<B: RegisterIo, R: Clearable> Handle<'_, B, R> {
    /// Clears the bits that are ones in `mask`, and no others, by one write.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn clear(&self, mask: impl Into<R>) -> Result<(), Error> {
        let mask = bits::<R>(mask);
        self.store(if matches!(R::REGISTER.write, Write::ZerosClear) { !mask } else { mask })
    }
}

impl<B: RegisterIo, R: Settable> Handle<'_, B, R> {
    /// Sets the bits that are ones in `mask`, and no others, by one write.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Refused`].
    #[inline(always)]
    pub fn set(&self, mask: impl Into<R>) -> Result<(), Error> {
        self.store(bits::<R>(mask))
    }
}

#[inline(always)]
fn bits<R: Spec>(value: impl Into<R>) -> u64 {
    let value: R = value.into();
    let bits: R::Bits = value.into();
    bits.to_bits()
}
