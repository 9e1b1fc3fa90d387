//! UIO devices, in a folder that looks like /sys and /dev.

use mapio_device::uio::{self, Uio, UioDevice};
use mapio_device::{Error, RegisterIo, Width};

use crate::system::Machine;

/// A device with two maps, of which the second begins 0x10 bytes into its page, and ports.
fn machine() -> Machine {
    let machine = Machine::new();
    let folder = "sys/class/uio/uio3";
    for (file, text) in [
        ("name", "sampler"),
        ("version", "0.1"),
        ("event", "41"),
        ("maps/map0/addr", "0xfe000000"),
        ("maps/map0/size", "0x1000"),
        ("maps/map0/offset", "0x0"),
        ("maps/map1/name", "buffer"),
        ("maps/map1/addr", "0x00000000fe010000"),
        ("maps/map1/size", "0x0000000000001000"),
        ("maps/map1/offset", "0x10"),
        ("portio/port0/name", "control"),
        ("portio/port0/start", "0xc000"),
        ("portio/port0/size", "0x8"),
        ("portio/port0/porttype", "port_x86"),
    ] {
        machine.file(&format!("{folder}/{file}"), format!("{text}\n"));
    }
    let page = rustix::param::page_size();
    let mut memory = vec![0; 2 * page];
    memory[0] = 0x11;
    memory[page + 0x10] = 0x22;
    machine.file("dev/uio3", memory);
    machine
}

#[test]
fn devices_are_listed_with_their_maps_and_ports() {
    let machine = machine();
    let devices = uio::devices(&machine.system()).expect("a folder");
    let [device] = &devices[..] else { panic!("{devices:?}") };
    assert_eq!((device.number, &*device.name, &*device.version), (3, "sampler", "0.1"));
    let maps: Vec<_> = device.maps.iter().map(|map| (map.index, &*map.name, map.addr, map.size, map.offset)).collect();
    assert_eq!(maps, [(0, "", 0xfe00_0000, 0x1000, 0), (1, "buffer", 0xfe01_0000, 0x1000, 0x10)]);
    let ports: Vec<_> = device.ports.iter().map(|port| (port.index, &*port.name, port.start, port.count)).collect();
    assert_eq!((ports, &*device.ports[0].kind), (vec![(0, "control", 0xc000, 8)], "port_x86"));
    assert!(uio::devices(&Machine::new().system()).expect("no UIO").is_empty());
    let missing = UioDevice::find(&machine.system(), 4).expect_err("there is none").to_string();
    assert_eq!(missing, "/dev/uio4: there is no such device");
    for path in ["/dev/null", "/tmp/uio3", "/dev/uio+3", "/dev/uio03", "/dev/uio"] {
        let name = Uio::open(path).expect_err("another file").to_string();
        assert_eq!(name, format!("{path}: it is not the name of a UIO device, such as /dev/uio0"));
    }
}

#[test]
fn a_map_is_the_part_of_its_page_where_the_device_is() {
    let machine = machine();
    if rustix::param::page_size() != 0x1000 {
        return mapio_testkit::skip("a_map_is_the_part_of_its_page", "the maps of this test are pages of 4 KiB");
    }
    let device = UioDevice::find(&machine.system(), 3).and_then(UioDevice::open).expect("files");
    let (first, second) = (device.map(0).expect("a file"), device.map(1).expect("a file"));
    assert_eq!((first.len(), second.len()), (0x1000, 0xff0));
    assert_eq!((first.read(0, Width::U8).ok(), second.read(0, Width::U8).ok()), (Some(0x11), Some(0x22)));
    let missing = device.map(2).expect_err("there are two").to_string();
    assert!(missing.ends_with("dev/uio3, map 2: there is no such device"), "{missing}");
}

#[test]
fn what_the_kernel_would_never_tell_is_an_error() {
    for (file, text) in [("maps/map0/size", "many"), ("portio/port0/start", "-1"), ("maps/map1/offset", "0x")] {
        let machine = machine();
        machine.file(&format!("sys/class/uio/uio3/{file}"), text);
        let error = uio::devices(&machine.system()).expect_err(text);
        assert!(matches!(&error, Error::Unexpected { object, .. } if object.ends_with(file)), "{file}: {error}");
    }
    for (file, text) in [("size", "0x10"), ("size", "0xffffffffffffffff"), ("offset", "0x1000")] {
        let machine = machine();
        machine.file(&format!("sys/class/uio/uio3/maps/map1/{file}"), text);
        let device = UioDevice::find(&machine.system(), 3).and_then(UioDevice::open).expect("files");
        assert!(matches!(device.map(1), Err(Error::Unexpected { .. })), "{file} {text}");
    }
}
