//! The macro that makes drivers' registers from a table.

/// Describes a block of registers, and makes a type through which a driver accesses it.
///
/// ```
/// use mapio_device::{RegisterIo, registers};
///
/// registers! {
///     /// A timer.
///     pub block Timer "timer", 0x10 bytes {
///         /// What is counted down.
///         count: Count "COUNT" @ 0x0: u32 { read pure, write plain }
///         /// How it counts.
///         control: Control "CTRL" @ 0x4: u32 { read pure, write plain } fields {
///             /// Whether it counts.
///             enabled with_enabled "EN" [0],
///             /// How fast.
///             speed with_speed "SPEED" [4; 2] = { 0 "slow", 1 "medium", 2 SPEED_FAST "fast" },
///             /// It has come to zero; a written one forgets it.
///             expired with_expired "EXPIRED" [31] write ones_clear,
///         }
///         /// What has happened; written ones forget it.
///         events: Events "EVENTS" @ 0x8: u32 { read pure, write ones_clear }
///     }
/// }
///
/// fn start(timer: &Timer<impl RegisterIo>) -> Result<(), mapio_device::Error> {
///     timer.events().clear(1)?;
///     timer.count().write(1000)?;
///     timer.control().clear_fields(Control::default().with_expired(1))?;
///     timer.control().modify(|control| control.with_speed(Control::SPEED_FAST).with_enabled(1))
/// }
///
/// let control = Timer::BLOCK.register("ctrl").unwrap();
/// assert_eq!(control.field("speed").unwrap().value_name(2), Some("fast"));
/// ```
///
/// A register is `accessor: Type "NAME" @ offset: width { read KIND, write KIND }`. Kinds of reading are `none`, `pure`
/// and `effect`; of writing `none`, `plain`, `ones_clear`, `ones_set`, `zeros_clear` and `once`. `Type` is made, for
/// the register's value; it is made from the integer and into it.
/// - A field is `getter with_getter "NAME" [lowest bit]`, or `[lowest bit; how many]`. Getters and `with` functions,
///   which cut off what the field does not hold, have the register's own integer.
/// - `write KIND` behind it says that its bits are not written as the register is: in a `plain` one flags that are
///   cleared or set, which [`modify`](crate::register::Handle::modify) leaves alone; in any, `none` for what is only
///   read.
/// - `= { 2 "fast" }` names values for people, and `= { 2 SPEED_FAST "fast" }` for the program too:
///   `Control::SPEED_FAST`.
/// - `@ offset [count; stride]` is an array; the accessor takes the index and answers `None` outside.
/// - `when "LCR.DLAB=1"` behind the kinds says that another register decides whether it is this one.
///
/// A table that can't be right does not compile, whether or not its registers are used:
/// ```compile_fail,E0080
/// mapio_device::registers! {
///     /// A block of eight bytes.
///     block Short "short", 8 bytes {
///         /// Behind its end.
///         late: Late "LATE" @ 64: u32 { read pure, write plain }
///     }
/// }
/// ```
/// nor does a field that is not within its register,
/// ```compile_fail,E0080
/// mapio_device::registers! {
///     /// A block of eight bytes.
///     block Far "far", 8 bytes {
///         /// Its field has bits 30 to 37.
///         wide: Wide "WIDE" @ 0: u32 { read pure, write plain } fields {
///             /// Too far up.
///             far with_far "FAR" [30; 8],
///         }
///     }
/// }
/// ```
/// nor a condition that names what is not there:
/// ```compile_fail,E0080
/// mapio_device::registers! {
///     /// Two registers at one offset.
///     block Banked "banked", 2 bytes {
///         /// It is `BANK` that decides.
///         low: Low "LOW" @ 0: u8 { read pure, write plain } when "CTRL.BNAK=1"
///         /// Decides.
///         control: Control "CTRL" @ 1: u8 { read pure, write plain } fields {
///             /// Which of them.
///             bank with_bank "BANK" [0],
///         }
///     }
/// }
/// ```
///
/// `Timer::new(bus)` checks that the block lies inside the bus; accesses are not checked again. The accessor of a
/// register whose read has an effect takes `&mut self`.
#[macro_export]
macro_rules! registers {
    (
        $(#[doc = $block_text:literal])+
        $vis:vis block $block:ident $block_name:literal, $len:literal bytes {
            $(
                $(#[doc = $text:literal])+
                $accessor:ident: $value:ident $name:literal @ $offset:literal $([$count:literal; $stride:literal])?: $bits:ident
                { read $read:ident, write $write:ident }
                $(when $when:literal)?
                $(fields {
                    $(
                        $(#[doc = $field_text:literal])+
                        $get:ident $with:ident $field_name:literal [$shift:literal $(; $field_bits:literal)?]
                        $(write $field_write:ident)?
                        $(= { $($number:literal $($constant:ident)? $number_name:literal),+ $(,)? })?
                    ),+
                    $(,)?
                })?
            )+
        }
    ) => {
        $(#[doc = $block_text])+
        #[derive(::core::fmt::Debug)]
        $vis struct $block<B> {
            registers: $crate::register::Bounded<B, $len>,
        }

        impl $block<()> {
            /// What its registers are, by name.
            $vis const BLOCK: $crate::register::Block = $crate::register::Block {
                name: $block_name,
                text: ::core::concat!($($block_text),+).trim_ascii(),
                len: $len,
                registers: &[$(<$value as $crate::register::Spec>::REGISTER),+],
            };
        }

        impl<B: $crate::RegisterIo> $block<B> {
            /// The block at the start of a bus.
            ///
            /// # Errors
            /// [`Error::Invalid`]($crate::Error::Invalid) if the bus is shorter, or begins where the widest register
            /// would be misaligned.
            $vis fn new(bus: B) -> ::core::result::Result<Self, $crate::Error> {
                let registers = $crate::register::Bounded::new(bus, &$block::<()>::BLOCK)?;
                ::core::result::Result::Ok(Self { registers })
            }

            /// The bus.
            $vis fn bus(&self) -> &B {
                self.registers.bus()
            }

            /// Takes the bus out again.
            $vis fn into_bus(self) -> B {
                self.registers.into_bus()
            }

            $($crate::registers!(@accessor $vis [$($text)+] $accessor $value $read $([$count])?);)+
        }

        $(
            $(#[doc = $text])+
            #[derive(
                ::core::fmt::Debug,
                ::core::clone::Clone,
                ::core::marker::Copy,
                ::core::cmp::PartialEq,
                ::core::cmp::Eq,
                ::core::hash::Hash,
                ::core::default::Default,
            )]
            $vis struct $value(pub $bits);

            impl ::core::convert::From<$bits> for $value {
                #[inline(always)]
                fn from(bits: $bits) -> Self {
                    Self(bits)
                }
            }

            impl ::core::convert::From<$value> for $bits {
                #[inline(always)]
                fn from(value: $value) -> Self {
                    value.0
                }
            }

            impl $crate::register::Spec for $value {
                type Bits = $bits;
                const REGISTER: $crate::register::Register = $crate::register::Register {
                    name: $name,
                    text: ::core::concat!($($text),+).trim_ascii(),
                    offset: $offset,
                    width: <$bits as $crate::Value>::WIDTH,
                    count: $crate::registers!(@or 1 $($count)?),
                    stride: $crate::registers!(@or 0 $($stride)?),
                    read: $crate::registers!(@read $read),
                    write: $crate::registers!(@write $write),
                    when: $crate::registers!(@or "" $($when)?),
                    fields: &[$($($crate::register::Field {
                        name: $field_name,
                        text: ::core::concat!($($field_text),+).trim_ascii(),
                        shift: $shift,
                        bits: $crate::registers!(@or 1 $($field_bits)?),
                        write: $crate::registers!(@write_field $write $($field_write)?),
                        values: &[$($(($number, $number_name)),+)?],
                    }),+)?],
                };
            }

            // Before anybody uses it, and whether or not: programs that show registers believe the description.
            const _: () = {
                let block = $block::<()>::BLOCK;
                let register = <$value as $crate::register::Spec>::REGISTER;
                ::core::assert!(
                    register.is_within(block.len),
                    "{}",
                    ::core::concat!($name, ": its place is not within the block, not a multiple of its width, or on itself"),
                );
                ::core::assert!(
                    register.has_its_fields(),
                    "{}",
                    ::core::concat!($name, ": a field is not within it, shares a bit, or does not hold a value that it names"),
                );
                ::core::assert!(
                    register.has_its_kinds(),
                    "{}",
                    ::core::concat!($name, ": a field is written in a way that does not go with the register's"),
                );
                ::core::assert!(
                    block.has_its_condition(&register),
                    "{}",
                    ::core::concat!($name, ": its condition names no field of the block, or no value of that field"),
                );
            };

            $crate::registers!(@kinds $value $read $write);

            $(
                #[allow(clippy::as_conversions, reason = "a field fits the register that it is of")]
                impl $value {
                    $(
                        $(#[doc = $field_text])+
                        #[must_use]
                        #[inline(always)]
                        $vis const fn $get(self) -> $bits {
                            const BITS: u32 = $crate::registers!(@or 1 $($field_bits)?);
                            (self.0 >> $shift) & (<$bits>::MAX >> (<$bits>::BITS - BITS))
                        }

                        #[doc = ::core::concat!("The same with another `", $field_name, "`.")]
                        #[must_use]
                        #[inline(always)]
                        $vis const fn $with(self, value: $bits) -> Self {
                            const BITS: u32 = $crate::registers!(@or 1 $($field_bits)?);
                            const MASK: $bits = (<$bits>::MAX >> (<$bits>::BITS - BITS)) << $shift;
                            Self((self.0 & !MASK) | ((value << $shift) & MASK))
                        }

                        $($($(
                            #[doc = ::core::concat!("`", $field_name, "`: ", $number_name, ".")]
                            $vis const $constant: $bits = $number;
                        )?)+)?
                    )+
                }
            )?
        )+
    };

    (@accessor $vis:vis [$($text:literal)+] $accessor:ident $value:ident effect) => {
        $(#[doc = $text])+
        #[inline(always)]
        $vis fn $accessor(&mut self) -> $crate::register::Handle<'_, B, $value> {
            self.registers.register()
        }
    };
    (@accessor $vis:vis [$($text:literal)+] $accessor:ident $value:ident $read:ident) => {
        $(#[doc = $text])+
        #[inline(always)]
        $vis fn $accessor(&self) -> $crate::register::Handle<'_, B, $value> {
            self.registers.register()
        }
    };
    (@accessor $vis:vis [$($text:literal)+] $accessor:ident $value:ident effect [$count:literal]) => {
        $(#[doc = $text])+
        #[inline(always)]
        $vis fn $accessor(&mut self, index: usize) -> ::core::option::Option<$crate::register::Handle<'_, B, $value>> {
            self.registers.element(index)
        }
    };
    (@accessor $vis:vis [$($text:literal)+] $accessor:ident $value:ident $read:ident [$count:literal]) => {
        $(#[doc = $text])+
        #[inline(always)]
        $vis fn $accessor(&self, index: usize) -> ::core::option::Option<$crate::register::Handle<'_, B, $value>> {
            self.registers.element(index)
        }
    };

    (@or $default:literal) => { $default };
    (@or $default:literal $given:literal) => { $given };

    (@read none) => { $crate::register::Read::None };
    (@read pure) => { $crate::register::Read::Pure };
    (@read effect) => { $crate::register::Read::Effect };

    (@write_field $register:ident) => { $crate::registers!(@write $register) };
    (@write_field $register:ident $field:ident) => { $crate::registers!(@write $field) };

    (@write none) => { $crate::register::Write::None };
    (@write plain) => { $crate::register::Write::Plain };
    (@write ones_clear) => { $crate::register::Write::OnesClear };
    (@write ones_set) => { $crate::register::Write::OnesSet };
    (@write zeros_clear) => { $crate::register::Write::ZerosClear };
    (@write once) => { $crate::register::Write::Once };

    (@kinds $value:ident pure plain) => {
        $crate::registers!(@kinds $value pure none);
        $crate::registers!(@kinds $value none plain);
        impl $crate::register::Modifiable for $value {}
    };
    (@kinds $value:ident none none) => {};
    (@kinds $value:ident pure none) => {
        impl $crate::register::Readable for $value {}
    };
    (@kinds $value:ident effect none) => {
        impl $crate::register::Readable for $value {}
    };
    (@kinds $value:ident none plain) => {
        impl $crate::register::Writable for $value {}
    };
    (@kinds $value:ident none once) => {
        impl $crate::register::Writable for $value {}
    };
    (@kinds $value:ident none ones_set) => {
        impl $crate::register::Settable for $value {}
    };
    (@kinds $value:ident none $clear:ident) => {
        impl $crate::register::Clearable for $value {}
    };
    (@kinds $value:ident $read:ident $write:ident) => {
        $crate::registers!(@kinds $value $read none);
        $crate::registers!(@kinds $value none $write);
    };
}
