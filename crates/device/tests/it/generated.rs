//! The instructions that an access takes, in the code that was built.
//!
//! Functions of this file are read back from the executable and followed from their first instruction to their
//! return, on the way that is taken when nothing faults.

use std::fmt::Pointer;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use mapio_device::{Mmio, RegisterIo, registers};
use mapio_testkit::skip;

cfg_select! {
    target_arch = "x86_64" => {
        mod x86_64;
        use x86_64::{MOST, follow};
    }
    target_arch = "aarch64" => {
        mod aarch64;
        use aarch64::{MOST, follow};
    }
    _ => {
        mod other;
        use other::{MOST, follow};
    }
}

registers! {
    /// Registers of several widths.
    block Uart "uart", 0x10 bytes {
        /// Holds what is sent.
        holding: Holding "THR" @ 0x0: u8 { read none, write plain }
        /// What the line does.
        status: Status "LSR" @ 0x5: u8 { read pure, write none }
        /// A number.
        number: Number "NUM" @ 0x8: u32 { read pure, write plain }
    }
}

/// What an instruction does, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A load from the device, of so many bytes.
    Load(u32),
    /// A store to the device, of so many bytes.
    Store(u32),
    /// A barrier that orders a load before all behind it.
    LoadBarrier,
    /// A barrier that orders stores before it before a store.
    StoreBarrier,
    /// A branch that is not taken.
    Branch,
    /// A call, or what else leaves the function.
    Call,
}

/// A function, followed on its way to its return.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Path {
    /// What matters of it, in order.
    steps: Vec<Step>,
    /// How much there is on the way.
    size: Size,
}

/// How much a function does besides an access: what the access stands on, and the function's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    /// Instructions, the access and the return among them.
    instructions: usize,
    /// Words that are loaded through the function's first argument, or that are constants in memory.
    looks: usize,
}

/// The sizes of the functions below, the first four of them: as tight as what the compiler makes. A length that was
/// looked at again for each access, even without a branch, would be more.
#[derive(Debug)]
pub(crate) struct Most {
    read_status: Size,
    write_holding: Size,
    read_number: Size,
    write_number: Size,
}

#[inline(never)]
fn read_status(uart: &Uart<Mmio>) -> u8 {
    uart.status().read().map_or(0xff, u8::from)
}

#[inline(never)]
fn write_holding(uart: &Uart<Mmio>, byte: u8) -> bool {
    uart.holding().write(byte).is_ok()
}

#[inline(never)]
fn read_number(uart: &Uart<Mmio>) -> u32 {
    uart.number().read().map_or(0, u32::from)
}

#[inline(never)]
fn write_number(uart: &Uart<Mmio>, number: u32) -> bool {
    uart.number().write(number).is_ok()
}

/// An access whose place is not known when it is built: what the others are compared with.
#[inline(never)]
fn read_anywhere(uart: &Uart<Mmio>, offset: usize) -> u8 {
    mapio_device::bus::read(uart.bus(), offset).unwrap_or(0xff)
}

#[test]
fn an_access_through_an_accessor_is_one_instruction() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registers");
    fs::write(&path, [0x60; 0x10]).expect("room");
    let uart = Uart::new(Mmio::open(&path, 0..0x10).expect("a file")).expect("room");
    assert!(write_holding(&uart, 0x41) && write_number(&uart, 0x4342_4140));
    assert_eq!((read_status(&uart), read_number(&uart), read_anywhere(&uart, 0)), (0x60, 0x4342_4140, 0x41));
    assert_eq!(uart.bus().len(), 0x10);
    let Some(load) = follow(&code_1(read_status)) else {
        return skip(
            "an_access_through_an_accessor_is_one_instruction",
            "nothing here reads this processor's instructions",
        );
    };
    let path = |code: Vec<u8>| follow(&code).expect("as before");
    for (name, path, steps, most) in [
        ("a byte is read", load, read(1), MOST.read_status),
        ("a byte is written", path(code_2(write_holding)), written(1), MOST.write_holding),
        ("a number is read", path(code_1(read_number)), read(4), MOST.read_number),
        ("a number is written", path(code_2(write_number)), written(4), MOST.write_number),
    ] {
        assert_eq!(path.steps, steps, "{name}");
        assert!(path.size.instructions <= most.instructions, "{name}: {path:?}, and {most:?} are enough");
        assert!(path.size.looks <= most.looks, "{name}: {path:?}, and {most:?} are enough");
    }
    // Where the place is not known, it is compared with the length.
    let anywhere = path(code_2(read_anywhere));
    assert_ne!(anywhere.steps, read(1));
    assert!(anywhere.size.instructions > MOST.read_status.instructions, "{anywhere:?}");
}

/// The branch to what is done about a fault, which is not taken, is all that there is beside the access and its
/// barrier.
fn read(bytes: u32) -> Vec<Step> {
    let barrier = cfg!(not(target_arch = "x86_64")).then_some(Step::LoadBarrier);
    [Step::Load(bytes), Step::Branch].into_iter().chain(barrier).collect()
}

fn written(bytes: u32) -> Vec<Step> {
    let barrier = cfg!(not(target_arch = "x86_64")).then_some(Step::StoreBarrier);
    barrier.into_iter().chain([Step::Store(bytes)]).collect()
}

fn code_1<R>(function: fn(&Uart<Mmio>) -> R) -> Vec<u8> {
    code(function)
}

fn code_2<T, R>(function: fn(&Uart<Mmio>, T) -> R) -> Vec<u8> {
    code(function)
}

/// The code of a function, and some that is behind it, from the file that the program was started from.
fn code(function: impl Pointer) -> Vec<u8> {
    let address = format!("{function:p}");
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address");
    let number = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let maps = fs::read_to_string("/proc/self/maps").expect("every process has them");
    let offset = maps.lines().find_map(|line| {
        // START-END MODE OFFSET DEVICE INODE NAME
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let offset = number(words.nth(1)?);
        (number(start)..number(end)).contains(&address).then(|| offset + (address - number(start)))
    });
    let mut code = vec![0; 512];
    let program = File::open(std::env::current_exe().expect("there is one")).expect("it was started");
    program.read_exact_at(&mut code, offset.expect("functions are in a file")).expect("there is more behind it");
    code
}
