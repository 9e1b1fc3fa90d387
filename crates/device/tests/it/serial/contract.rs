//! What every port promises, whatever the chip, the way to wait, and whether bytes take time.

use std::time::{Duration, Instant};

use mapio_device::model::serial::{Peer, Timing};
use mapio_device::serial::{Control, DataBits, Flow, ModemLines, Parity, Settings, StopBits};
use mapio_device::{Error, LineError};
use mapio_testkit::pattern;

use super::{Arm, ByInterrupt, ByPolling, HANG_GUARD, Kind, Pc, SHORT, Way, for_each_port, port};

const FAST: Settings = Settings {
    baud: 1_000_000,
    data_bits: DataBits::Eight,
    parity: Parity::None,
    stop_bits: StopBits::One,
    flow: Flow::None,
};

fn name<K: Kind, W: Way<K::Model>>(timing: Timing) -> String {
    format!("{} {} {timing:?}", K::NAME, W::NAME)
}

fn bytes_arrive_in_order<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, FAST);
    let sent = pattern(3000);
    port.write_all(&sent).expect("a model");
    port.flush().expect("a model");
    assert_eq!(peer.take(), sent, "{}", name::<K, W>(timing));
    // As many as a FIFO holds at a time, so that none is lost however slow this is.
    for part in sent[..600].chunks(15) {
        peer.send(part);
        let mut received = vec![0; part.len()];
        port.read_exact(&mut received).expect("a model");
        assert_eq!(received, part, "{}", name::<K, W>(timing));
    }
    assert_eq!(port.overruns(), 0);
}

#[test]
fn all_ports_send_and_receive() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(bytes_arrive_in_order, timing);
    }
}

fn nothing_is_a_timeout<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, FAST);
    port.set_timeout(SHORT);
    let mut buffer = [0; 4];
    let start = Instant::now();
    let error = port.read(&mut buffer).expect_err("nothing was sent");
    assert!(matches!(error, Error::Timeout { after, .. } if after == SHORT), "{error}");
    assert!(start.elapsed() >= SHORT);
    assert_eq!(error.to_string(), format!("{}: no answer within 20ms", K::NAME));
    assert_eq!(port.try_read(&mut buffer).expect("a model"), 0);
    assert_eq!(port.read(&mut []).expect("nothing to do") + port.write(&[]).expect("nothing to do"), 0);
    assert!(!port.is_readable().expect("a model") && port.is_writable().expect("a model"));
    peer.send(b"late");
    port.set_timeout(HANG_GUARD);
    port.read_exact(&mut buffer).expect("a model");
    assert_eq!(&buffer, b"late");
}

#[test]
fn a_port_that_hears_nothing_says_so_in_time_and_still_works() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(nothing_is_a_timeout, timing);
    }
}

fn errors_stand_where_the_byte_was<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, FAST);
    for kind in [LineError::Parity, LineError::Framing, LineError::Break] {
        peer.send(b"ab");
        peer.send_broken(0, kind);
        peer.send(b"cd");
        let mut before = [0; 2];
        port.read_exact(&mut before).expect("good bytes come first");
        let error = port.read(&mut [0; 9]).expect_err("the broken one is next");
        assert!(matches!(&error, Error::Line { kind: told, .. } if *told == kind), "{kind:?}: {error}");
        let mut after = [0; 2];
        port.read_exact(&mut after).expect("and good ones last");
        assert_eq!((&before, &after), (b"ab", b"cd"), "{}", name::<K, W>(timing));
    }
}

#[test]
fn parity_framing_and_break_are_errors_in_the_place_of_the_byte() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(errors_stand_where_the_byte_was, timing);
    }
}

fn overruns_are_counted<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, FAST);
    let sent = pattern(20);
    peer.send(&sent);
    while !peer.is_idle() {
        std::thread::yield_now();
    }
    let (mut received, mut errors) = (Vec::new(), 0);
    while received.len() < 16 || errors == 0 {
        let mut buffer = [0; 64];
        match port.read(&mut buffer) {
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(Error::Line { kind: LineError::Overrun, .. }) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(received, sent[..16], "{}", name::<K, W>(timing));
    assert_eq!((errors, port.overruns()), (1, 1));
    assert!(!port.is_readable().expect("a model"));
}

#[test]
fn bytes_that_nobody_took_are_an_error_and_counted() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(overruns_are_counted, timing);
    }
}

fn lines_and_break<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, FAST);
    assert_eq!(peer.lines(), ModemLines { cts: true, dsr: true, ri: false, dcd: true });
    for (dtr, rts) in [(false, true), (true, false), (false, false), (true, true)] {
        port.set_control(Control { dtr, rts, ..Control::default() }).expect("a model");
        assert_eq!(peer.lines(), ModemLines { cts: rts, dsr: dtr, ri: false, dcd: dtr });
    }
    for bits in 0..16 {
        let lines = ModemLines { cts: bits & 1 != 0, dsr: bits & 2 != 0, ri: bits & 4 != 0, dcd: bits & 8 != 0 };
        peer.set_lines(lines);
        assert_eq!(port.modem_lines().expect("a model"), lines);
    }
    port.write_all(b"x").expect("a model");
    port.send_break(Duration::from_micros(100)).expect("a model");
    assert_eq!(peer.breaks(), 1);
    assert_eq!(peer.take(), b"x");
    port.self_test().expect("a model");
    assert_eq!(peer.take(), b"", "loopback reaches nobody");
    assert_eq!(peer.lines(), ModemLines { cts: true, dsr: true, ri: false, dcd: true });
    port.write_all(b"y").expect("a model");
    port.flush().expect("a model");
    assert_eq!(peer.take(), b"y");
}

#[test]
fn lines_break_and_loopback_do_what_their_names_say() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(lines_and_break, timing);
    }
}

fn a_peer_that_is_not_ready<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, Settings { flow: Flow::RtsCts, ..FAST });
    let deaf = ModemLines { cts: false, dsr: true, ri: false, dcd: true };
    peer.set_lines(deaf);
    port.set_timeout(SHORT);
    let sent = pattern(200);
    let mut count = 0;
    let error = loop {
        match port.write(&sent[count..]) {
            Ok(taken) => count += taken,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(count <= 16, "{count} bytes have room in the chip");
    assert_eq!(peer.take(), b"", "{}", name::<K, W>(timing));
    peer.set_lines(ModemLines { cts: true, ..deaf });
    port.set_timeout(HANG_GUARD);
    port.write_all(&sent[count..]).expect("it is ready");
    port.flush().expect("it is ready");
    assert_eq!(peer.take(), sent);
}

#[test]
fn nothing_is_sent_to_one_who_does_not_want_it() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(a_peer_that_is_not_ready, timing);
    }
}

fn xoff_stops_and_xon_goes_on<K: Kind, W: Way<K::Model>>(timing: Timing) {
    let bus = K::model(timing);
    let peer = Peer::of(&bus);
    let mut port = port::<K, W>(&bus, Settings { flow: Flow::XonXoff, ..FAST });
    let arrived = |port: &mut mapio_device::serial::Serial<_, _>| {
        while !peer.is_idle() {
            std::thread::yield_now();
        }
        port.serve().expect("a model");
    };
    peer.send(&[0x13]);
    arrived(&mut port);
    port.set_timeout(SHORT);
    assert!(matches!(port.write(b"no"), Err(Error::Timeout { .. })), "{}", name::<K, W>(timing));
    peer.send(&[0x11]);
    arrived(&mut port);
    port.set_timeout(HANG_GUARD);
    port.write_all(b"yes").expect("a model");
    port.flush().expect("a model");
    assert_eq!(peer.take(), b"yes");
    // The other way round: 1000 bytes that nobody reads.
    let sent = vec![b'.'; 1000];
    for part in sent.chunks(10) {
        peer.send(part);
        arrived(&mut port);
    }
    port.flush().expect("a model");
    assert_eq!(peer.take(), [0x13]);
    let mut received = vec![0; 1000];
    port.read_exact(&mut received).expect("all were kept");
    port.flush().expect("a model");
    assert_eq!((received, peer.take()), (sent, vec![0x11]));
}

#[test]
fn xon_and_xoff_stop_both_directions() {
    for timing in [Timing::Instant, Timing::Real] {
        for_each_port!(xoff_stops_and_xon_goes_on, timing);
    }
}

fn bytes_take_their_time<K: Kind, W: Way<K::Model>>() {
    for (settings, half_bits) in [
        (Settings { baud: 100_000, ..FAST }, 20),
        (Settings { baud: 100_000, parity: Parity::Even, stop_bits: StopBits::Two, ..FAST }, 24),
        (Settings { baud: 100_000, data_bits: DataBits::Five, ..FAST }, 14),
    ] {
        let bus = K::model(Timing::Real);
        let peer = Peer::of(&bus);
        let mut port = port::<K, W>(&bus, settings);
        let start = Instant::now();
        port.write_all(&[0xff; 40]).expect("a model");
        port.flush().expect("a model");
        // The chips' dividers are exact here.
        assert!(start.elapsed() >= Duration::from_micros(half_bits * 5 * 40), "{settings:?} {:?}", start.elapsed());
        assert_eq!(peer.take(), [settings.data_bits.mask(); 40], "{}", W::NAME);
    }
}

#[test]
fn a_byte_takes_start_data_parity_and_stop_bits() {
    for_each_port!(bytes_take_their_time);
}

#[test]
fn a_listening_port_has_a_readable_descriptor_when_bytes_come() {
    fn case<K: Kind>()
    where
        ByInterrupt: Way<K::Model, Wait = mapio_device::Driven<mapio_device::model::SimulatedInterrupt<K::Model>>>,
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let bus = K::model(Timing::Real);
        let peer = Peer::of(&bus);
        let mut port = port::<K, ByInterrupt>(&bus, FAST);
        let mut received = Vec::new();
        port.listen().expect("a model");
        let readable = |port: &_, seconds| {
            let mut fds = [PollFd::new(port, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).expect("poll(2)") == 1
        };
        assert!(!readable(&port, 0));
        peer.send(&pattern(12));
        while received.len() < 12 {
            assert!(readable(&port, 60), "{}: {received:?}", K::NAME);
            let mut buffer = [0; 64];
            let count = port.try_read(&mut buffer).expect("a model");
            received.extend_from_slice(&buffer[..count]);
            port.listen().expect("a model");
        }
        assert_eq!(received, pattern(12));
    }
    case::<Pc>();
    case::<Arm>();
}

#[test]
fn a_byte_that_comes_just_before_listening_is_told_of() {
    fn case<K: Kind>()
    where
        ByInterrupt: Way<K::Model, Wait = mapio_device::Driven<mapio_device::model::SimulatedInterrupt<K::Model>>>,
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let bus = K::model(Timing::Instant);
        let peer = Peer::of(&bus);
        for flow in [Flow::None, Flow::RtsCts, Flow::XonXoff] {
            let mut port = port::<K, ByInterrupt>(&bus, Settings { flow, ..FAST });
            assert_eq!(port.try_read(&mut [0; 64]).expect("a model"), 0);
            peer.send(b"x");
            port.listen().expect("a model");
            let soon = Timespec { tv_sec: 60, tv_nsec: 0 };
            assert_eq!(poll(&mut [PollFd::new(&port, PollFlags::IN)], Some(&soon)), Ok(1), "{}", K::NAME);
            assert_eq!(port.try_read(&mut [0; 64]).expect("a model"), 1);
        }
    }
    case::<Pc>();
    case::<Arm>();
}

#[test]
fn the_traits_of_embedded_io_do_the_same() {
    use embedded_io::{Error as _, ErrorKind, Read, ReadReady, Write, WriteReady};
    fn echo(port: &mut (impl Read + Write + ReadReady + WriteReady)) -> ErrorKind {
        let mut buffer = [0; 5];
        port.read_exact(&mut buffer).expect("five bytes");
        assert!(port.write_ready().expect("a model") && !port.read_ready().expect("a model"));
        port.write_all(&buffer).expect("a model");
        port.flush().expect("a model");
        port.read(&mut buffer).expect_err("no more").kind()
    }
    let bus = Arm::model(Timing::Instant);
    let peer = Peer::of(&bus);
    let mut port = port::<Arm, ByInterrupt>(&bus, FAST);
    port.set_timeout(SHORT);
    peer.send(b"hello");
    assert_eq!(echo(&mut port), ErrorKind::TimedOut);
    assert_eq!(peer.take(), b"hello");
}
