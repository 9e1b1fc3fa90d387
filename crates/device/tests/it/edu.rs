//! The educational device's driver on its model, waiting in both ways.

use std::time::Duration;

use mapio_device::edu::{BUFFER_LEN, DMA_END, Edu};
use mapio_device::model::Simulated;
use mapio_device::model::edu::{Edu as Model, EduFailure, Memory, Times};
use mapio_device::{Driven, Error, Interrupt, Polled, RegisterIo, Waiting, Width};

const MEMORY_LEN: usize = 0x1_0000;

fn device() -> (Simulated<Model>, Memory) {
    let memory = Memory::new(MEMORY_LEN);
    let times = Times { factorial: Duration::from_millis(1), dma: Duration::from_millis(1) };
    (Simulated::new(Model::new(memory.clone(), times)), memory)
}

fn driven(bus: &Simulated<Model>) -> Driven<impl Interrupt> {
    Driven::new(bus.interrupt().expect("a descriptor"))
}

fn factorial(number: u32) -> u32 {
    (1..=number).fold(1, u32::wrapping_mul)
}

fn it_computes_and_transfers<W: Waiting>(bus: Simulated<Model>, memory: &Memory, waiting: W) {
    let mut edu = Edu::new(bus, waiting).expect("it is one");
    assert_eq!(edu.version().expect("a model"), (1, 0));
    for number in [0, 1, 5, 12, 13, 33, 34, 35] {
        assert_eq!(edu.factorial(number).expect("it computes"), factorial(number), "{number}!");
    }
    assert_eq!(edu.factorial(u32::MAX).expect("it computes"), 0);

    let bytes: Vec<u8> = (0..=255).cycle().take(BUFFER_LEN).collect();
    memory.write(0x1000, &bytes);
    edu.load(0x1000, 0..BUFFER_LEN).expect("it transfers");
    edu.store(10..20, 0x8003).expect("it transfers");
    let mut seen = [0xee; 12];
    memory.read(0x8002, &mut seen);
    assert_eq!(seen, [0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0]);
    // The last byte of the buffer, to the last one of memory.
    edu.store(BUFFER_LEN - 1..BUFFER_LEN, 0xffff).expect("it transfers");
    let mut last = [0; 1];
    memory.read(0xffff, &mut last);
    assert_eq!(last, [0xff]);
}

#[test]
fn an_operation_and_the_one_before_it_have_one_time_out() {
    let times = Times { factorial: Duration::from_millis(300), dma: Duration::ZERO };
    let bus = Simulated::new(Model::new(Memory::new(MEMORY_LEN), times));
    let mut edu = Edu::new(bus, Polled).expect("it is one");
    edu.set_timeout(Duration::ZERO);
    assert!(matches!(edu.factorial(5), Err(Error::Timeout { .. })), "it has begun");
    // Enough for what is left of that, or for another, not for both.
    edu.set_timeout(Duration::from_millis(400));
    let late = edu.factorial(6).expect_err("it takes longer").to_string();
    assert_eq!(late, "edu: no answer within 400ms");
}

#[test]
fn it_computes_and_transfers_polled() {
    let (bus, memory) = device();
    it_computes_and_transfers(bus, &memory, Polled);
}

#[test]
fn it_computes_and_transfers_by_interrupt() {
    let (bus, memory) = device();
    let waiting = driven(&bus);
    it_computes_and_transfers(bus.clone(), &memory, waiting);
    // What it has interrupted for was taken back.
    assert_eq!(bus.read(0x24, Width::U32).expect("a model"), 0);
}

#[test]
fn an_interrupt_is_up_until_it_is_acknowledged() {
    let (bus, _) = device();
    let mut interrupt = bus.interrupt().expect("a descriptor");
    let long = Some(Duration::from_secs(60));
    bus.write(0x60, Width::U32, 0x6).expect("a model");
    assert_eq!(interrupt.wait(long).expect("no error"), 1);
    bus.write(0x64, Width::U32, 0x2).expect("a model");
    interrupt.rearm().expect("no error");
    assert_eq!(interrupt.wait(long).expect("no error"), 1, "a reason is left");
    assert_eq!(bus.read(0x24, Width::U32).expect("a model"), 0x4);
    bus.write(0x64, Width::U32, 0x4).expect("a model");
    interrupt.rearm().expect("no error");
    assert_eq!(interrupt.wait(Some(Duration::ZERO)).expect("no error"), 0);
    // A factorial that is not to interrupt does not.
    bus.write(0x08, Width::U32, 3).expect("a model");
    assert_eq!(interrupt.wait(Some(Duration::from_millis(5))).expect("no error"), 0);
    assert_eq!(bus.read(0x08, Width::U32).expect("a model"), 6);
}

fn one_that_is_stuck_times_out<W: Waiting>(bus: &Simulated<Model>, waiting: W) {
    let mut edu = Edu::new(bus.clone(), waiting).expect("it is one");
    edu.set_timeout(Duration::from_millis(20));
    bus.model().set_failure(Some(EduFailure::StuckBusy));
    let error = edu.factorial(5).expect_err("it is stuck");
    assert_eq!(error.to_string(), "edu: no answer within 20ms");
    assert!(matches!(edu.load(0, 0..8), Err(Error::Timeout { .. })));
    assert!(matches!(edu.store(0..8, 0), Err(Error::Timeout { .. })));
    // It goes on where it was.
    bus.model().set_failure(None);
    edu.set_timeout(Duration::from_secs(60));
    assert_eq!(edu.factorial(6).expect("it computes"), 720);
    edu.load(0, 0..8).expect("it transfers");
}

#[test]
fn one_that_is_stuck_times_out_polled() {
    let (bus, _) = device();
    one_that_is_stuck_times_out(&bus, Polled);
}

#[test]
fn one_that_is_stuck_times_out_by_interrupt() {
    let (bus, _) = device();
    let waiting = driven(&bus);
    one_that_is_stuck_times_out(&bus, waiting);
}

#[test]
fn a_lost_interrupt_costs_time_and_nothing_else() {
    let (bus, memory) = device();
    bus.model().set_failure(Some(EduFailure::LostInterrupt));
    let mut edu = Edu::new(bus.clone(), driven(&bus)).expect("it is one");
    assert_eq!(edu.factorial(7).expect("it computes"), 5040);
    memory.write(0, b"here");
    edu.load(0, 4..8).and_then(|()| edu.store(4..8, 0x100)).expect("it transfers");
    let mut seen = [0; 4];
    memory.read(0x100, &mut seen);
    assert_eq!(&seen, b"here");
}

#[test]
fn another_device_is_not_taken_for_it() {
    let (bus, _) = device();
    bus.model().set_failure(Some(EduFailure::Gone));
    let error = Edu::new(bus, Polled).expect_err("it is gone").to_string();
    assert_eq!(error, "edu: it is another device, with the identification 0xffffffff");
}

#[test]
fn transfers_outside_of_the_buffer_or_of_the_address_lines_are_refused() {
    let (bus, _) = device();
    let mut edu = Edu::new(bus.clone(), Polled).expect("it is one");
    for (addr, buffer) in [
        (0, 0..0),
        (0, 0..BUFFER_LEN + 1),
        (0, BUFFER_LEN..BUFFER_LEN + 1),
        (0, usize::MAX - 1..usize::MAX),
        (DMA_END, 0..1),
        (DMA_END - 1, 0..2),
        (u64::MAX, 0..1),
    ] {
        assert!(matches!(edu.load(addr, buffer.clone()), Err(Error::Invalid { .. })), "{addr:#x} {buffer:?}");
        assert!(matches!(edu.store(buffer.clone(), addr), Err(Error::Invalid { .. })), "{addr:#x} {buffer:?}");
    }
    assert_eq!(bus.read(0x90, Width::U32).expect("a model"), 0, "no count has reached the device");
    // No memory is there: ones are read, and nothing happens when they are written.
    edu.load(DMA_END - 2, 0..2).and_then(|()| edu.store(0..2, DMA_END - 2)).expect("it does not notice");
}

#[test]
fn widths_that_the_device_does_not_have_are_refused() {
    let (bus, _) = device();
    for (offset, width) in
        [(0, Width::U8), (2, Width::U16), (0, Width::U64), (0x78, Width::U64), (0x80, Width::U16), (0x98, Width::U8)]
    {
        let error = bus.read(offset, width).expect_err("it has no such width");
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(matches!(bus.write(offset, width, 0), Err(Error::Refused { .. })), "{offset:#x} {width}");
    }
    bus.write(0x80, Width::U64, 0x1_2345_6789).expect("there is one");
    assert_eq!(bus.read(0x80, Width::U32).expect("there is one"), 0x2345_6789);
}

#[test]
fn what_is_busy_is_not_disturbed() {
    let times = Times { factorial: Duration::from_secs(600), dma: Duration::from_secs(600) };
    let bus = Simulated::new(Model::new(Memory::new(0), times));
    for (offset, value) in [(0x08, 5), (0x08, 6), (0x90, 7), (0x98, 1), (0x90, 8)] {
        bus.write(offset, Width::U32, value).expect("a model");
    }
    assert_eq!(bus.read(0x08, Width::U32).expect("a model"), 5);
    assert_eq!(bus.read(0x20, Width::U32).expect("a model"), 1);
    assert_eq!(bus.read(0x90, Width::U32).expect("a model"), 7);
}
