//! PCI devices, in a folder that looks like /sys.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;

use mapio_device::pci::{self, BarKind, Caching, Id, PciDevice, UIO_DRIVER};
use mapio_device::{Error, RegisterIo, Width};
use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Uid;

use crate::system::Machine;

const EDU: &str = "sys/bus/pci/devices/0000:00:04.0";
const SERIAL: &str = "sys/bus/pci/devices/0000:00:03.0";
const NO_BAR: &str = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

/// Two devices: one with a memory BAR and one of 64 bits that is prefetchable, one with ports.
fn machine() -> Machine {
    let machine = Machine::new();
    let device = |folder: &str, id: (&str, &str), class: &str, resource: String| {
        machine.file(&format!("{folder}/vendor"), id.0).file(&format!("{folder}/device"), id.1);
        machine.file(&format!("{folder}/class"), class).file(&format!("{folder}/revision"), "0x10\n");
        machine.file(&format!("{folder}/resource"), resource).file(&format!("{folder}/enable"), "0\n");
        machine.file(&format!("{folder}/config"), [0xa5; 256]).file(&format!("{folder}/driver_override"), "(null)\n");
    };
    let memory = "0x00000000fea00000 0x00000000fea00fff 0x0000000000040200\n";
    let wide = "0x0000004000080000 0x0000004000080fff 0x000000000014220c\n";
    let ports = "0x000000000000c000 0x000000000000c007 0x0000000000040101\n";
    device(EDU, ("0x1234\n", "0x11e8\n"), "0x00ff00\n", format!("{memory}{NO_BAR}{wide}{}", NO_BAR.repeat(10)));
    device(SERIAL, ("0x1b36\n", "0x0002\n"), "0x070002\n", format!("{ports}{}", NO_BAR.repeat(12)));
    machine.file(&format!("{EDU}/resource0"), [0; 4096]).file(&format!("{EDU}/resource2_wc"), [0; 4096]);
    machine.file(&format!("{SERIAL}/resource0"), [0x60; 8]);
    machine.file("sys/bus/pci/drivers_probe", "").file("sys/bus/pci/drivers/serial/unbind", "");
    machine.link(&format!("{SERIAL}/driver"), "sys/bus/pci/drivers/serial");
    machine
}

fn edu(machine: &Machine) -> PciDevice {
    pci::find(&machine.system(), Id { vendor: 0x1234, device: 0x11e8 }).expect("it is there")
}

#[test]
fn devices_are_listed_with_what_the_kernel_tells() {
    let machine = machine();
    let devices = pci::devices(&machine.system()).expect("a folder");
    let told: Vec<_> = devices.iter().map(|device| (device.address.to_string(), device.id.to_string())).collect();
    assert_eq!(told, [("0000:00:03.0", "1b36:0002"), ("0000:00:04.0", "1234:11e8")].map(|(a, b)| (a.into(), b.into())));
    let serial = &devices[0];
    assert_eq!((serial.class, serial.revision, serial.driver().as_deref()), (0x07_00_02, 0x10, Some("serial")));
    let bars = |device: &PciDevice| -> Vec<_> {
        device.bars.iter().map(|bar| (bar.index, bar.kind, bar.addr, bar.len)).collect()
    };
    assert_eq!(bars(serial), [(0, BarKind::Ports, 0xc000, 8)]);
    let memory = |bits, prefetchable| BarKind::Memory { bits, prefetchable };
    let wanted = [(0, memory(32, false), 0xfea0_0000, 0x1000), (2, memory(64, true), 0x40_0008_0000, 0x1000)];
    assert_eq!((bars(&devices[1]), devices[1].driver()), (wanted.to_vec(), None));
    assert!(pci::devices(&Machine::new().system()).expect("no PCI").is_empty());
    let missing = pci::find(&machine.system(), Id { vendor: 1, device: 2 }).expect_err("there is none");
    assert_eq!(missing.to_string(), "PCI device 0001:0002: there is no such device");
}

#[test]
fn bars_are_buses_of_their_kind() {
    let machine = machine();
    let edu = edu(&machine);
    edu.enable().expect("a file");
    assert_eq!(machine.read(&format!("{EDU}/enable")), "1\n");
    machine.file(&format!("{EDU}/enable"), "2\n");
    edu.enable().expect("a file");
    assert_eq!(machine.read(&format!("{EDU}/enable")), "2\n", "it is enabled");
    let registers = edu.map_bar(0, Caching::Uncached).expect("a file");
    registers.write(0xffc, Width::U32, 0x6465_6667).expect("inside");
    assert!(machine.read(&format!("{EDU}/resource0")).ends_with("gfed"));
    let picture = edu.open_bar(2, Caching::WriteCombining).expect("a file");
    picture.write(0, Width::U64, 0x4142_4344_4546_4748).expect("inside");
    assert!(machine.read(&format!("{EDU}/resource2_wc")).starts_with("HGFEDCBA"));
    let wrong = edu.map_bar(0, Caching::WriteCombining).expect_err("registers").to_string();
    assert_eq!(wrong, "PCI device 0000:00:04.0, BAR 0: it is not prefetchable, so its writes can't be combined");
    let missing = edu.open_bar(1, Caching::Uncached).err().expect("there is none").to_string();
    assert_eq!(missing, "PCI device 0000:00:04.0, BAR 1: there is no such device");
    assert!(matches!(edu.open_bar_ports(0), Err(Error::Invalid { .. })));
    let serial = PciDevice::open(&machine.system(), "00:03.0".parse().expect("an address")).expect("it is there");
    let ports = serial.open_bar(0, Caching::Uncached).expect("a file");
    assert_eq!((ports.len(), ports.read(5, Width::U8).expect("inside")), (8, 0x60));
    assert!(matches!(serial.map_bar(0, Caching::Uncached), Err(Error::Invalid { .. })));
}

#[test]
fn a_bar_without_addresses_is_not_opened() {
    // As the kernel shows one that it has found no room for (IORESOURCE_UNSET), or whose owner has switched it off.
    for flags in ["0x0000000020040200", "0x0000000010040200", "0x0000000020040101"] {
        let machine = machine();
        machine.file(&format!("{EDU}/resource"), format!("0x0000000000000000 0x00000000000fffff {flags}\n"));
        let edu = edu(&machine);
        assert_eq!(edu.bars.iter().map(|bar| (bar.is_assigned, bar.len)).collect::<Vec<_>>(), [(false, 1 << 20)]);
        let refused = edu.open_bar(0, Caching::Uncached).err().expect("the kernel would map low memory").to_string();
        assert_eq!(refused, "PCI device 0000:00:04.0, BAR 0: the kernel has given it no addresses", "{flags}");
    }
    assert!(edu(&machine()).bars.iter().all(|bar| bar.is_assigned));
}

#[test]
fn everybody_may_read_the_header_and_write_none() {
    let machine = machine();
    let config = machine.path(&format!("{EDU}/config"));
    fs::set_permissions(machine.path(""), Permissions::from_mode(0o755)).expect("it is ours");
    fs::set_permissions(&config, Permissions::from_mode(0o444)).expect("it is ours");
    // A thread of its own, which is nobody.
    let nobody = || {
        if rustix::process::geteuid().is_root() {
            let nobody = Uid::from_raw(65_534);
            // Of this thread alone: it is the system call itself.
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
        }
        let edu = edu(&machine);
        let config = edu.config().expect("everybody may read it");
        assert_eq!((config.len(), config.read(0, Width::U32).ok()), (64, Some(0xa5a5_a5a5)));
        assert!(edu.header().is_ok());
        let refused = edu.set_bus_master(false).expect_err("not everybody may write it").to_string();
        assert!(refused.ends_with("config: it is open for reading only"), "{refused}");
    };
    thread::scope(|scope| scope.spawn(nobody).join().expect("no panic"));
    assert_eq!(fs::read(config).expect("a file"), [0xa5; 256]);
}

#[test]
fn a_device_becomes_a_master_of_the_bus_and_nothing_else() {
    let machine = machine();
    machine.file(&format!("{EDU}/config"), [0; 256]);
    let edu = edu(&machine);
    edu.set_bus_master(true).expect("a file");
    let config = || fs::read(machine.path(&format!("{EDU}/config"))).expect("a file");
    assert_eq!(config()[4..8], [4, 0, 0, 0]);
    edu.set_bus_master(false).expect("a file");
    assert_eq!(config(), [0; 256]);
}

#[test]
fn the_command_register_changes_by_the_bit_and_nothing_beside_it() {
    let machine = machine();
    let edu = edu(&machine);
    assert_eq!(edu.config().expect("a file").len(), 256);
    let header = edu.header().expect("a file");
    let change = |command: pci::header::Command| command.with_bus_master(0).with_interrupt_disable(1);
    header.command().modify(change).expect("a file");
    let config = fs::read(machine.path(&format!("{EDU}/config"))).expect("a file");
    assert_eq!(config[..8], [0xa5, 0xa5, 0xa5, 0xa5, 0xa1, 0xa5, 0xa5, 0xa5]);
    machine.file(&format!("{EDU}/config"), [0; 63]);
    let short = edu.header().expect_err("a byte is missing").to_string();
    assert_eq!(short, "pci: it has 0x40 bytes, and the bus only 0x3f");
}

#[test]
fn a_device_goes_to_a_driver_and_back() {
    let machine = machine();
    let serial = PciDevice::open(&machine.system(), "00:03.0".parse().expect("an address")).expect("it is there");
    let driver = machine.path(&format!("{SERIAL}/driver"));
    let (unbind, probe) = (driver.join("unbind"), machine.path("sys/bus/pci/drivers_probe"));
    let wanted = machine.path(&format!("{SERIAL}/driver_override"));
    let drivers = machine.path("sys/bus/pci/drivers");
    let new = drivers.join(UIO_DRIVER);
    let asked = fs::read_to_string(&wanted).ok();
    assert!(matches!(serial.bind(UIO_DRIVER), Err(Error::NotFound { .. })), "its module is not loaded");
    assert_eq!(fs::read_to_string(&wanted).ok(), asked, "nothing was done");
    fs::create_dir(&new).expect("room");
    let taken = serial.bind(UIO_DRIVER).expect_err("the folder does nothing by itself").to_string();
    assert!(taken.ends_with("0000:00:03.0: serial has taken it instead of uio_pci_generic"), "{taken}");
    assert!(fs::read_to_string(&wanted).expect("a file").starts_with('\n'), "it was given back");
    for pipe in [&unbind, &probe] {
        fs::remove_file(pipe).expect("a file");
        mkfifoat(CWD, pipe, Mode::RUSR | Mode::WUSR).expect("room");
    }
    // What the kernel does: it gives a device that was unbound to the driver that is wanted.
    let kernel = thread::spawn(move || {
        let unbound = fs::read_to_string(&unbind).expect("a pipe");
        fs::remove_file(&driver).expect("a link");
        let name = fs::read_to_string(&wanted).expect("a file");
        symlink(drivers.join(name.lines().next().expect("a line")), &driver).expect("room");
        (unbound, fs::read_to_string(&probe).expect("a pipe"))
    });
    serial.bind(UIO_DRIVER).expect("it is taken");
    assert_eq!(kernel.join().expect("no panic"), ("0000:00:03.0".to_owned(), "0000:00:03.0".to_owned()));
    assert_eq!(serial.driver().as_deref(), Some(UIO_DRIVER));
    serial.bind(UIO_DRIVER).expect("it has it");
    fs::remove_file(machine.path("sys/bus/pci/drivers_probe")).expect("a pipe");
    machine.file("sys/bus/pci/drivers_probe", "").file(&format!("{SERIAL}/driver_override"), "");
    machine.file("sys/bus/pci/drivers/uio_pci_generic/unbind", "");
    serial.give_back().expect("files");
    let said =
        ["drivers_probe", "drivers/uio_pci_generic/unbind"].map(|file| machine.read(&format!("sys/bus/pci/{file}")));
    assert_eq!(said, ["0000:00:03.0", "0000:00:03.0"]);
    assert_eq!(machine.read(&format!("{SERIAL}/driver_override")), "\n");
    fs::remove_file(machine.path(&format!("{SERIAL}/driver"))).expect("a link");
    let missing = serial.bind(UIO_DRIVER).expect_err("nobody takes it").to_string();
    assert!(missing.ends_with("uio_pci_generic has not taken it"), "{missing}");
}

#[test]
fn the_number_of_its_uio_device_is_found() {
    let machine = machine();
    let edu = edu(&machine);
    assert_eq!(edu.uio().expect("no folder"), None);
    machine.file(&format!("{EDU}/uio/uio12/name"), "uio_pci_generic");
    assert_eq!(edu.uio().expect("a folder"), Some(12));
}

#[test]
fn what_the_kernel_would_never_tell_is_an_error() {
    for (file, text) in [
        ("vendor", "0x12345"),
        ("class", "display"),
        ("revision", ""),
        ("resource", "0x10 0x0 0x200\n"),
        ("resource", "0x0 0xffffffffffffffff 0x200\n"),
        ("resource", "0x0 0x1\n"),
        ("resource", "0x0 0x1 0x2 0x3\n"),
    ] {
        let machine = machine();
        machine.file(&format!("{EDU}/{file}"), text);
        let error = pci::devices(&machine.system()).expect_err(text);
        let is_explained = matches!(&error, Error::Unexpected { object, .. } if object.ends_with(file));
        assert!(is_explained, "{file} {text:?}: {error}");
    }
}
