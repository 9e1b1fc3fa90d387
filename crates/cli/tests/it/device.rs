//! `mapio device` on models, on regular files, and in a folder that looks like a machine.

pub(crate) mod terminal;

use std::fs;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, symlink};
use std::process::{Command, Stdio};

use mapio_testkit::skip;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use terminal::{shown, terminal};

use crate::support::{Folder, MAPIO};

/// The header of a PCI function: 1234:11e8, memory and bus master on, its first BAR at 0xfea00000.
fn header() -> Vec<u8> {
    let mut bytes = vec![0; 0x40];
    bytes[..8].copy_from_slice(&[0x34, 0x12, 0xe8, 0x11, 0x06, 0x00, 0x10, 0x08]);
    bytes[0x08..0x0c].copy_from_slice(&[0x10, 0x00, 0xff, 0x00]);
    bytes[0x10..0x14].copy_from_slice(&0xfea0_0000_u32.to_le_bytes());
    bytes[0x3d] = 1;
    bytes
}

/// A folder with `machine`, in which are a PCI device, a UIO device, serial and parallel ports, of which the kernel has
/// some, a framebuffer, /dev/mem and /dev/port.
pub(crate) fn machine() -> Folder {
    let folder = Folder::new();
    let file = |path: &str, bytes: &[u8]| {
        let path = folder.path("machine").join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("room");
        fs::write(path, bytes).expect("room");
    };
    let line = |path: &str, text: &str| file(path, format!("{text}\n").as_bytes());
    let edu = "sys/bus/pci/devices/0000:00:04.0";
    for (name, text) in [("vendor", "0x1234"), ("device", "0x11e8"), ("class", "0x00ff00"), ("revision", "0x10")] {
        line(&format!("{edu}/{name}"), text);
    }
    line(&format!("{edu}/resource"), "0x00000000fea00000 0x00000000fea00fff 0x0000000000040200\n0x0 0x0 0x0");
    line(&format!("{edu}/enable"), "0");
    file(&format!("{edu}/config"), &header());
    file(&format!("{edu}/resource0"), &[0x11; 0x1000]);
    fs::create_dir_all(folder.path("machine/sys/bus/pci/drivers/edu")).expect("room");
    let driver = folder.path("machine").join(edu).join("driver");
    symlink(folder.path("machine/sys/bus/pci/drivers/edu"), driver).expect("room");
    let uio = "sys/class/uio/uio2";
    for (name, text) in [("name", "sampler"), ("version", "1.0"), ("maps/map0/name", "registers")] {
        line(&format!("{uio}/{name}"), text);
    }
    for (name, text) in [("addr", "0xfe010000"), ("size", "0x1000"), ("offset", "0x0")] {
        line(&format!("{uio}/maps/map0/{name}"), text);
    }
    file("dev/uio2", &[0x22; 0x1000]);
    file("dev/mem", &(0..=255).collect::<Vec<u8>>());
    file("dev/port", &[0x33; 0x400]);
    file("dev/fb0", &[0x44; 0x100]);
    for (name, text) in [("name", "VESA VGA"), ("virtual_size", "16,4"), ("stride", "64"), ("bits_per_pixel", "32")] {
        line(&format!("sys/class/graphics/fb0/{name}"), text);
    }
    for (name, text) in [("type", "4"), ("port", "0x3F8"), ("irq", "4"), ("iomem_base", "0x0")] {
        line(&format!("sys/class/tty/ttyS0/{name}"), text);
    }
    line("sys/class/tty/ttyS1/type", "0");
    line("proc/tty/drivers", "serial               /dev/ttyS       4 64-67 serial");
    line(
        "proc/tty/driver/serial",
        "serinfo:1.0 driver revision:\n0: uart:16550A port:000003F8 irq:4 tx:1 rx:0\n1: uart:unknown port:000002F8 irq:3\n\
         2: uart:16550 mmio:0xFE000000 irq:9 tx:0 rx:0",
    );
    line("proc/ioports", "0000-0cf7 : PCI Bus\n  0378-037a : parport0");
    line("usr/share/misc/pci.ids", "1234  Technical Corp.\n\t11e8  Educational Device\nC 00  Unclassified");
    folder
}

fn json(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Lets the machine of [`machine`] be in text mode. The register that says which cell is shown first has the same byte for its
/// upper and its lower half: in a file, both are the same place.
fn text_mode(folder: &Folder, first_half: u8) {
    let open = |name| fs::OpenOptions::new().write(true).open(folder.path(name)).expect("it is there");
    open("machine/dev/mem").set_len(0xc_0000).expect("room");
    open("machine/dev/port").write_all_at(&[first_half], 0x3d5).expect("room");
}

#[test]
fn devices_of_all_kinds_are_listed() {
    let folder = machine();
    let said = folder.done(&["device", "list", "--root", "machine"]);
    for part in [
        "pci:0000:00:04.0  1234:11e8 Technical Corp. Educational Device, Unclassified, driver edu\n",
        "    bar0 memory of 32 bits at 0xfea00000, 0x1000 bytes\n",
        "uio:2  sampler 1.0\n    map0 registers at 0xfe010000, 0x1000 bytes\n",
        "fb:0  VESA VGA, 16x4, 32 bits a pixel\n",
        "/dev/ttyS0  serial port, 16550A at port:0x3f8, interrupt 4\n",
        "/dev/parport0  parallel port at port:0x378\n",
        "block pci  The header of a PCI function's configuration space.",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("ttyS1"), "{said}");
    let items = json(&folder.done(&["device", "list", "--root", "machine", "--json"]));
    let kinds: Vec<_> = items.iter().map(|item| item["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds[..6], ["pci", "uio", "framebuffer", "serial", "parallel", "block"]);
    assert_eq!((&items[0]["bars"][0]["bytes"], &items[0]["device"]), (&Value::from(0x1000), &Value::from(0x11e8)));
    folder.write("machine/sys/bus/pci/devices/0000:00:04.0/vendor", "none");
    let output = folder.mapio(&["device", "list", "--root", "machine"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("uio:2"), "the others are listed");
    assert!(String::from_utf8_lossy(&output.stderr).contains("vendor: it holds \"none\""), "{output:?}");
}

#[test]
fn targets_of_each_kind_are_read() {
    let folder = machine();
    let read = |words: &[&str]| folder.done(&[&["device", "read", "--root", "machine"], words].concat());
    assert_eq!(read(&["0x10"]), "0x0010 = 0x13121110\n");
    assert_eq!(read(&["0x10", "--width", "64"]), "0x0010 = 0x1716151413121110\n");
    assert_eq!(read(&["0x10+2", "--width", "16", "--count", "2"]), "0x0012 = 0x1312\n0x0014 = 0x1514\n");
    assert_eq!(read(&["0x10", "--mask", "0xff00"]), "0x0010 = 0x00001100\n");
    assert_eq!(read(&["port:0x2f8"]), "0x02f8 = 0x33\n");
    assert_eq!(read(&["pci:0000:00:04.0/bar0+0xffc"]), "0x0ffc = 0x11111111\n");
    assert_eq!(read(&["pci:1234:11e8/bar0", "--width", "8"]), "0x0000 = 0x11\n");
    assert_eq!(read(&["pci:1234:11e8.COMMAND.BUS_MASTER"]), "COMMAND.BUS_MASTER = 0x1\n");
    assert_eq!(read(&["uio:2"]), "0x0000 = 0x22222222\n");
    assert_eq!(read(&["fb:0+0xf8"]), "0x00f8 = 0x44444444\n");
    folder.write("image", header());
    assert_eq!(read(&["file:image.BAR[0].SPACE", "--block", "pci"]), "BAR[0].SPACE = 0x0 (memory)\n");
    assert_eq!(read(&["file:image.INTERRUPT_PIN", "--block", "PCI"]), "INTERRUPT_PIN = 0x01 PIN=1 (INTA)\n");
    assert_eq!(read(&["sim:pci", "--width", "16"]), "VENDOR = 0x0000\n");
    assert_eq!(read(&["sim:pci+8", "--width", "8"]), "0x0008 = 0x00\n");
    let values = json(&read(&["file:image.STATUS", "--block", "pci", "--json"]));
    assert_eq!(values[0]["value"], 0x0810);
    assert_eq!(
        (&values[0]["register"], &values[0]["offset"], &values[0]["width"]),
        (&"STATUS".into(), &6.into(), &16.into())
    );
    let aborted =
        values[0]["fields"].as_array().expect("fields").iter().find(|field| field["name"] == "SIGNALED_TARGET_ABORT");
    assert_eq!(aborted.expect("a field")["value"], 1);
}

#[test]
fn what_can_t_be_read_is_explained_in_one_line() {
    let folder = machine();
    folder.write("image", header());
    for (words, parts) in [
        (&["com9"][..], &["'com9' is no target"][..]),
        (&["sim:toaster"], &["there is no block 'toaster'"]),
        (&["file:image.COMMAND"], &["file:image has no names of its own", "--block"]),
        (&["file:image.TURBO", "--block", "pci"], &["the block 'pci' has no register 'TURBO'"]),
        (&["file:image.COMMAND.TURBO", "--block", "pci"], &["the register COMMAND has no field 'TURBO'"]),
        (&["file:image.BAR[6]", "--block", "pci"], &["there are 6 registers BAR"]),
        (&["file:image.BAR[5]", "--block", "pci", "--count", "2"], &["there are 6 registers BAR"]),
        (
            &["file:image.COMMAND", "--block", "pci", "--width", "32"],
            &["the register COMMAND has 16 bits, and not 32 bits"],
        ),
        (&["file:image+0x3e", "--width", "32"], &["file:image has 0x40 bytes", "0x3e"]),
        (&["file:image+0x100"], &["has 0x40 bytes, and none at offset 0x100"]),
        (&["file:image+1", "--width", "16"], &["16 bits at offset 0x1", "aligned"]),
        (&["file:image", "--width", "12"], &["an access has 8, 16, 32 or 64 bits"]),
        (&["file:missing"], &["missing", "No such file"]),
        (&["pci:dead:beef"], &["PCI device dead:beef: there is no such device"]),
        (&["pci:1234:11e8/bar1"], &["BAR 1: there is no such device"]),
        (&["uio:7"], &["/dev/uio7: there is no such device"]),
        (&["fb:7"], &["fb7", "No such file"]),
        (&["port:0xffff", "--count", "2"], &["there are no ports"]),
    ] {
        folder.fails(&[&["device", "read", "--root", "machine"], words].concat(), parts);
    }
}

#[test]
fn writing_changes_the_field_and_nothing_beside_it() {
    let folder = machine();
    folder.write("image", header());
    let write = |words: &[&str]| folder.done(&[&["device", "write", "--block", "pci"], words].concat());
    assert_eq!(write(&["file:image.COMMAND.INTERRUPT_DISABLE=1", "--verify"]), "");
    assert_eq!(folder.read("image")[4..8], [0x06, 0x04, 0x10, 0x08]);
    write(&["file:image.COMMAND.BUS_MASTER", "0"]);
    assert_eq!(folder.read("image")[4..8], [0x02, 0x04, 0x10, 0x08]);
    // Of a register that ones clear, all but the field are zeros.
    write(&["file:image.STATUS.SIGNALED_TARGET_ABORT=1"]);
    assert_eq!(folder.read("image")[4..8], [0x02, 0x04, 0x00, 0x08]);
    write(&["file:image.BAR[1].SPACE=ports"]);
    assert_eq!(folder.read("image")[0x14], 1);
    write(&["file:image+0x20", "0x5678", "--mask", "0xffff", "--count", "2"]);
    assert_eq!(folder.read("image")[0x20..0x28], [0x78, 0x56, 0, 0, 0x78, 0x56, 0, 0]);
    let before = folder.read("image");
    let said = write(&["file:image.COMMAND.IO=1", "--dry-run"]);
    assert_eq!(said, "would write COMMAND.IO = 0x1, all of the register 0x403\n");
    let told = json(&write(&["file:image.COMMAND.IO=1", "--dry-run", "--json"]));
    assert_eq!(
        (&told[0]["written"], &told[0]["value"], &told[0]["read_back"]),
        (&false.into(), &1.into(), &Value::Null)
    );
    for (words, parts) in [
        (&["file:image.VENDOR=1"][..], &["the register VENDOR can't be written"][..]),
        (&["file:image.COMMAND.IO=2"], &["COMMAND.IO holds at most 0x1, and not 0x2"]),
        (&["file:image+2", "0x10000", "--width", "8"], &["0x0002 holds at most 0xff, and not 0x10000"]),
        (&["file:image.STATUS=1", "--verify"], &["the register STATUS does not read as it was written"]),
        (&["file:image.BAR[0].SPACE=disk"], &["'disk' is not a number"]),
        (&["file:image.COMMAND"], &["there is no value"]),
        (&["file:image=0x10", "--mask", "0x0f", "--verify"], &["0x10 has bits outside of --mask 0xf"]),
        (&["file:image=0", "--mask", "0"], &["--mask has no bits"]),
        (&["sim:pci+4=0", "--width", "16", "--count", "99"], &["sim:pci has 0x40 bytes"]),
        (&["file:image=0", "--mask", "0x100", "--width", "8"], &["--mask 0x100 has bits that", "which holds 0xff"]),
        (&["file:image.COMMAND.IO=1", "--mask", "2"], &["--mask 0x2 has bits that COMMAND.IO does not have"]),
    ] {
        folder.fails(&[&["device", "write", "--block", "pci"], words].concat(), parts);
    }
    assert_eq!(folder.read("image"), before);
    let half = ["device", "write", "sim:16550=0", "--count", "6"];
    folder.fails(&half, &["written 5 of 6: the register LSR can't be written"]);
}

#[test]
fn what_changes_the_device_is_read_by_its_name_or_by_force() {
    let folder = Folder::new();
    folder.done(&["device", "read", "sim:16550.RBR"]);
    folder.done(&["device", "read", "sim:16550", "--force"]);
    for (words, part) in [
        (&["read", "sim:16550"][..], "0x0000 is RBR, and reading it changes the device"),
        (&["read", "sim:16550+5"], "0x0005 is LSR, and reading it changes the device"),
        (&["read", "sim:16550+3", "--count", "4"], "0x0005 is LSR, and reading it changes the device"),
        (&["read", "sim:pl011"], "0x0000 is DR, and reading it changes the device"),
        (&["watch", "sim:16550.RBR", "--count", "1"], "reading RBR changes the device each time: --force"),
        (&["watch", "sim:16550+5", "--count", "1"], "reading LSR changes the device each time: --force"),
        (&["write", "sim:16550+5", "0", "--mask", "1"], "0x0005 is LSR, and reading it changes the device"),
    ] {
        folder.fails(&[&["device"], words].concat(), &[part]);
    }
    let said = folder.done(&["device", "dump", "sim:16550", "--len", "4", "--width", "8"]);
    let wanted = "0x0000 RBR left out: reading it changes the device (--force)\n\
                  0x0002 IIR left out: reading it changes the device (--force)\n\
                  00000000  -- 00 -- 00                                      |....|\n";
    assert_eq!(said, wanted);
    let lines = json(&folder.done(&["device", "dump", "sim:16550", "--len", "4", "--json"]));
    let first = (&lines[0]["target"], &lines[0]["register"], &lines[0]["width"], &lines[0]["offset"]);
    assert_eq!(first, (&"sim:16550".into(), &"RBR".into(), &8.into(), &0.into()));
    assert_eq!(lines.len(), 4);
    let named = json(&folder.done(&["device", "dump", "sim:16550", "--json"]));
    let left_out = named.iter().find(|line| line["register"] == "RBR").expect("it is told");
    assert_eq!((&left_out["index"], &left_out["width"]), (&0.into(), &8.into()));
    assert!(left_out["left_out"].as_str().expect("a reason").contains("--force"), "{left_out}");
}

#[test]
fn which_register_is_at_an_offset_is_asked_of_the_device() {
    let folder = Folder::new();
    // A 16550's registers, from RBR to SCR, with DLAB, and without.
    folder.write("divisor", [0x0c, 0, 0xc1, 0x83, 0, 0x60, 0, 0]).write("data", [0x41, 0, 0xc1, 0x03, 0, 0x60, 0, 0]);
    let uart = |verb: &'static str, words: &[&'static str]| [&["device", verb, "--block", "16550"], words].concat();
    let read = |words: &[&'static str]| folder.done(&uart("read", words));
    assert_eq!(read(&["file:divisor"]), "DLL = 0x0c\n");
    assert_eq!(read(&["file:divisor.DLL"]), "DLL = 0x0c\n");
    assert_eq!(read(&["file:divisor", "--count", "2"]), "DLL = 0x0c\nDLM = 0x00\n");
    assert_eq!(read(&["file:data.RBR"]), "RBR = 0x41\n");
    assert_eq!(read(&["file:data", "--force"]), "RBR = 0x41\n");
    let line = json(&read(&["file:divisor", "--json"]));
    assert_eq!((&line[0]["register"], &line[0]["value"]), (&"DLL".into(), &0x0c.into()));
    let range = folder.done(&uart("dump", &["file:divisor", "--len", "2"]));
    assert_eq!(range, "00000000  0c 00                                            |..|\n");
    let range = folder.done(&uart("dump", &["file:data", "--len", "2"]));
    assert!(range.starts_with("0x0000 RBR left out: reading it changes the device"), "{range}");
    let written = uart("write", &["file:divisor=0x18", "--mask", "0xff", "--verify"]);
    assert_eq!((folder.done(&written), folder.read("divisor")[0]), (String::new(), 0x18));
    for (verb, words, part) in [
        ("read", &["file:data"][..], "0x0000 is RBR, and reading it changes the device"),
        ("read", &["file:data.DLL"], "the register DLL is only there when LCR.DLAB=1"),
        ("read", &["file:divisor.RBR"], "the register RBR is only there when LCR.DLAB=0"),
        ("write", &["file:data.DLL=1"], "the register DLL is only there when LCR.DLAB=1"),
        ("write", &["file:divisor.THR=1"], "the register THR is only there when LCR.DLAB=0"),
        ("write", &["file:data", "1", "--verify"], "0x0000 is RBR, and reading it changes the device"),
        ("watch", &["file:data.DLM", "--count", "1"], "the register DLM is only there when LCR.DLAB=1"),
        ("dump", &["file:data", "--len", "9"], "file:data has 0x8 bytes, and not 0x9"),
    ] {
        folder.fails(&uart(verb, words), &[part]);
    }
    // A file that ends before the register that decides tells nothing.
    folder.write("short", [0x41]);
    folder.fails(&uart("read", &["file:short"]), &["0x0000 is RBR, and reading it changes the device"]);
}

#[test]
fn registers_that_stand_apart_are_accessed_by_their_names() {
    let folder = Folder::new();
    let apart = |stride: usize, bytes: [u8; 8]| {
        let mut image = vec![0xee; 8 * stride];
        bytes.iter().enumerate().for_each(|(i, byte)| image[i * stride] = *byte);
        image
    };
    let registers = [0x0c, 0, 0xc1, 0x83, 0x0b, 0x60, 0xb0, 0x5a];
    for (stride, width) in [(1, 8), (2, 8), (4, 8), (8, 8), (2, 16), (4, 16), (8, 16), (4, 32), (8, 32)] {
        folder.write("image", apart(stride, registers));
        let (stride_text, width_text) = (stride.to_string(), width.to_string());
        let on = |verb: &'static str, words: &[&'static str]| {
            let spacing = ["--stride", &stride_text, "--io-width", &width_text];
            folder.done(&[&["device", verb, "--block", "16550"], words, &spacing].concat())
        };
        assert_eq!(on("read", &["file:image.LCR.DLAB"]), "LCR.DLAB = 0x1\n", "{stride} {width}");
        assert_eq!(on("read", &["file:image.DLL"]), "DLL = 0x0c\n", "{stride} {width}");
        let dump = on("dump", &["file:image"]);
        assert!(dump.contains("0x0004 MCR = 0x0b") && dump.contains("0x0007 SCR = 0x5a"), "{dump}");
        let watched = on("watch", &["file:image", "--count", "1"]);
        assert!(watched.contains("MCR = 0x0b DTR=1 RTS=1") && watched.contains("IER is not there now"), "{watched}");
        on("write", &["file:image.SCR=0xa5", "--verify"]);
        // All bytes of the access are written, and no others.
        let mut wanted = apart(stride, registers);
        wanted[7 * stride..][..width / 8].fill(0);
        wanted[7 * stride] = 0xa5;
        assert_eq!(folder.read("image"), wanted, "{stride} {width}");
    }
    for (words, part) in [
        (&["sim:pl011.FR", "--stride", "4"][..], "are for a block of byte-wide registers, such as 16550"),
        (&["file:image", "--stride", "4"], "are for a block of byte-wide registers, such as 16550"),
        (&["file:image", "--block", "16550", "--stride", "4"], "are accessed by their names, as TARGET.LCR"),
        (&["file:image.LCR", "--block", "16550", "--stride", "2", "--io-width", "32"], "can't stand 2 bytes apart"),
        (&["file:image.LCR", "--block", "16550", "--stride", "3"], "'3' is not 1, 2, 4 or 8"),
        (&["file:image.LCR", "--block", "16550", "--io-width", "64"], "'64' is not 8, 16 or 32"),
        (&["sim:16550.LCR", "--stride", "4"], "sim:16550 has 0x8 bytes, and not 0xd"),
    ] {
        folder.fails(&[&["device", "read"], words].concat(), &[part]);
    }
    let range = ["device", "dump", "file:image", "--block", "16550", "--stride", "4", "--len", "8"];
    folder.fails(&range, &["are accessed by their names"]);
}

/// Runs a verb twice, and answers its lines of text, and those of JSON.
fn as_text_and_json(folder: &Folder, words: &[&str]) -> (String, Vec<Value>) {
    let words = [&["device"], words].concat();
    (folder.done(&words), json(&folder.done(&[&words[..], &["--json"]].concat())))
}

/// What a line of JSON tells of a register, as text tells it: `BAR[1].SPACE = 0x1 (ports)`.
fn as_text(line: &Value, elements: &[&str]) -> String {
    let offset = line["offset"].as_u64().expect("a number");
    let mut text = line["register"].as_str().map_or_else(|| format!("{offset:#06x}"), str::to_owned);
    if elements.contains(&&*text) {
        text += &format!("[{}]", line["index"]);
    }
    if let Some(field) = line["field"].as_str() {
        text += &format!(".{field}");
    }
    let Some(value) = line["value"].as_u64() else { return text + " is not there now" };
    assert_eq!(line["hex"], format!("{value:#x}"));
    // A field has the digits that it needs, and a register all that it has.
    let digits = usize::try_from(line["width"].as_u64().expect("bits") / 4).expect("a few");
    text += &if line["field"].is_null() {
        format!(" = {value:#0width$x}", width = 2 + digits)
    } else {
        format!(" = {value:#x}")
    };
    let meaning = |of: &Value| of["meaning"].as_str().map_or_else(String::new, |meaning| format!(" ({meaning})"));
    text += &meaning(line);
    for field in line["fields"].as_array().expect("a list") {
        let value = field["value"].as_u64().expect("a number");
        let value = if value < 10 { value.to_string() } else { format!("{value:#x}") };
        text += &format!(" {}={value}{}", field["name"].as_str().expect("a name"), meaning(field));
    }
    text
}

#[test]
fn json_tells_of_registers_what_the_text_tells() {
    let folder = machine();
    folder.write("image", header()).write("uart", [0x0c, 0, 0xc1, 0x83, 0, 0x60, 0, 0]);
    for words in [
        &["read", "file:image.COMMAND", "--block", "pci"][..],
        &["read", "file:image.BAR[1]", "--block", "pci", "--count", "4"],
        &["read", "file:image.BAR[1].SPACE", "--block", "pci"],
        &["read", "file:image", "--count", "7"],
        &["read", "file:uart", "--block", "16550"],
        &["watch", "file:image", "--block", "pci", "--count", "1"],
        &["watch", "file:uart", "--block", "16550", "--count", "1"],
    ] {
        let (text, lines) = as_text_and_json(&folder, words);
        let told: Vec<_> = lines.iter().map(|line| as_text(line, &["BAR"])).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), told, "{words:?}");
        assert!(!told.is_empty(), "{words:?}");
    }
    let (text, lines) = as_text_and_json(&folder, &["dump", "file:uart", "--block", "16550"]);
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with("0x")).collect();
    assert_eq!(heads.len(), lines.len());
    for (head, line) in heads.iter().zip(&lines) {
        let offset =
            format!("{:#06x} {} ", line["offset"].as_u64().expect("a number"), line["register"].as_str().expect("one"));
        let rest = match line["left_out"].as_str() {
            Some(reason) => format!("left out: {reason}"),
            None => format!("= {:#04x}  ", line["value"].as_u64().expect("a number")),
        };
        assert!(head.starts_with(&(offset + &rest)), "{head}: {line}");
        for field in line["fields"].as_array().into_iter().flatten() {
            let wanted = format!(
                "\n         {} = {:#x}",
                field["name"].as_str().expect("one"),
                field["value"].as_u64().expect("one")
            );
            assert!(text.contains(&wanted), "{wanted} is not in {text}");
        }
    }
}

#[test]
fn json_tells_of_writes_what_the_text_tells() {
    let folder = machine();
    folder.write("image", header());
    let words = ["write", "file:image.COMMAND.IO=1", "--block", "pci", "--dry-run"];
    let (text, lines) = as_text_and_json(&folder, &words);
    let all = lines[0]["register_value"].as_u64().expect("a number");
    assert_eq!(text, format!("would write {}, all of the register {all:#x}\n", as_text(&lines[0], &[])));
    assert_eq!((all, &lines[0]["written"]), (0x7, &false.into()));
    let words = ["device", "write", "file:image.COMMAND.IO=1", "--block", "pci", "--verify", "--json"];
    let lines = json(&folder.done(&words));
    let told = (&lines[0]["written"], &lines[0]["value"], &lines[0]["register_value"], &lines[0]["read_back"]);
    assert_eq!(told, (&true.into(), &1.into(), &7.into(), &1.into()), "what is read back is the field's, too");
}

#[test]
fn json_lists_what_the_text_lists() {
    let folder = machine();
    let (text, items) = as_text_and_json(&folder, &["list", "--root", "machine"]);
    let heads: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(heads.len(), items.len());
    for (head, item) in heads.iter().zip(&items) {
        let parts: &[&str] = match item["kind"].as_str().expect("a kind") {
            "pci" => &["target", "vendor_name", "device_name", "class_name", "driver"],
            "uio" => &["target", "name", "version"],
            "framebuffer" => &["target", "name", "size", "bits_per_pixel"],
            "serial" => &["device", "chip", "target", "irq"],
            "parallel" => &["device", "target"],
            "block" => &["name", "text", "registers"],
            kind => panic!("{kind} is new"),
        };
        for part in parts {
            let fact = item[part].as_str().map_or_else(|| item[part].to_string(), str::to_owned);
            assert!(head.contains(&fact), "{part} is not in {head}: {item}");
        }
        let ranges = ["bars", "maps", "ports"].into_iter().filter_map(|kind| item[kind].as_array()).flatten();
        for range in ranges {
            let number = |keys: [&str; 2]| keys.iter().find_map(|key| range[key].as_u64()).expect("a number");
            let wanted = format!(" at {:#x}, {:#x} bytes\n", number(["addr", "start"]), number(["bytes", "len"]));
            assert!(text.contains(&wanted), "{wanted} is not in {text}");
        }
    }
}

#[test]
fn ranges_are_bounded_by_the_room_and_shown_to_the_last_byte() {
    let folder = Folder::new();
    folder.fails(&["device", "read", "sim:edu", "--count", "999999999"], &["sim:edu has", "and not 0xee6b27fc"]);
    folder.fails(&["device", "read", "sim:edu", "--count", "9999999999999999999"], &["the range is too long"]);
    folder.fails(&["device", "write", "sim:edu=0", "--count", "999999999"], &["sim:edu has"]);
    folder.fails(&["device", "read", "sim:16550+0x63"], &["sim:16550 has 0x8 bytes, and none at offset 0x63"]);
    folder.write("seven", b"abcdefg").write("empty", b"");
    let wanted = "00000000  64636261                             |abcd|\n\
                  00000004  65 66 67                                         |efg|\n";
    assert_eq!(folder.done(&["device", "dump", "file:seven"]), wanted);
    folder.fails(&["device", "dump", "sim:pl011", "--len", "7"], &["0x7 bytes are no whole number of accesses"]);
    let output = folder.mapio(&["device", "dump", "file:empty"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "mapio: file:empty has no bytes\n");
    if mapio_testkit::runner().is_some() {
        return skip("ranges_are_bounded_by_the_room_and_shown_to_the_last_byte", "the command needs a runner here");
    }
    // A file of holes, far larger than memory, is dumped as it is read.
    File::create(folder.path("sparse")).and_then(|file| file.set_len(500 << 30)).expect("a sparse file");
    let mut child = Command::new(MAPIO)
        .args(["device", "dump", "file:sparse", "--len", "500g"])
        .current_dir(folder.root())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("00000000  00000000 "), "{line}");
    assert_eq!(child.wait().expect("it ends when nobody reads").code(), Some(0));
}

#[test]
fn a_device_that_is_off_is_not_enabled_by_looking_at_it() {
    let folder = machine();
    let (edu, target) = ("machine/sys/bus/pci/devices/0000:00:04.0", "pci:1234:11e8/bar0");
    let enabled = || folder.read(&format!("{edu}/enable"));
    folder.done(&["device", "read", "--root", "machine", target]);
    folder.done(&["device", "write", "--root", "machine", target, "1", "--dry-run", "--enable"]);
    assert_eq!(enabled(), b"0\n");
    let mut config = header();
    config[4] = 0;
    folder.write(&format!("{edu}/config"), &config);
    for verb in ["read", "dump"] {
        folder.fails(&["device", verb, "--root", "machine", target], &["pci:1234:11e8/bar0 is not enabled: --enable"]);
    }
    assert_eq!(enabled(), b"0\n");
    // These folders enable nothing, but show that it was asked for.
    folder.fails(&["device", "read", "--root", "machine", "--enable", target], &["is not enabled"]);
    assert_eq!(enabled()[0], b'1');
}

#[test]
fn hardware_is_written_to_only_when_that_was_said() {
    let folder = machine();
    let write = |words: &[&'static str]| [&["device", "write", "--root", "machine"], words].concat();
    for target in ["0x10", "port:0x20", "pci:1234:11e8/bar0", "pci:1234:11e8.CACHE_LINE", "uio:2", "fb:0"] {
        folder.fails(&write(&[target, "0x7f"]), &["is hardware", "--yes"]);
        folder.done(&write(&[target, "0x7f", "--dry-run"]));
        assert_eq!(folder.done(&write(&[target, "0x7f", "--yes", "--verify"])), "", "{target}");
    }
    let byte = |file: &str, at: usize| folder.read(&format!("machine/{file}"))[at];
    let edu = "sys/bus/pci/devices/0000:00:04.0";
    let written = [byte("dev/mem", 0x10), byte("dev/port", 0x20), byte(&format!("{edu}/resource0"), 0)];
    assert_eq!(written, [0x7f; 3]);
    assert_eq!([byte(&format!("{edu}/config"), 0xc), byte("dev/uio2", 0), byte("dev/fb0", 0)], [0x7f; 3]);
    assert_eq!((byte("dev/port", 0x21), byte("dev/mem", 0x14)), (0x33, 0x14));
}

#[test]
fn a_file_by_which_the_kernel_shows_hardware_is_hardware() {
    let folder = Folder::new();
    let found = ["/sys/kernel/notes", "/sys/kernel/vmcoreinfo", "/sys/kernel/uevent_seqnum"];
    let Some(file) = found.into_iter().find(|file| fs::metadata(file).is_ok()) else {
        return skip("a_file_by_which_the_kernel_shows_hardware_is_hardware", "there is no /sys here");
    };
    let target = format!("file:{file}");
    folder.fails(&["device", "write", &target, "0", "--width", "8"], &["is hardware, and nobody can be asked: --yes"]);
}

#[test]
fn reading_back_something_else_is_a_no() {
    // What is written to /dev/zero is gone.
    let folder = Folder::new();
    fs::create_dir_all(folder.path("machine/dev")).expect("room");
    symlink("/dev/zero", folder.path("machine/dev/port")).expect("room");
    let words = ["device", "write", "--root", "machine", "--yes", "--verify", "port:0x80", "0x55"];
    let output = folder.mapio(&words);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(1), 0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0x0080: wrote 0x55, read back 0x00\n");
}

#[test]
fn a_dump_shows_registers_fields_and_meanings_or_bytes() {
    let folder = machine();
    let said = folder.done(&["device", "dump", "--root", "machine", "pci:1234:11e8"]);
    for part in [
        "0x0000 VENDOR = 0x1234  Who made it.\n",
        "0x0004 COMMAND = 0x0006  What it may do.\n         IO = 0x0  Whether it answers to ports.\n",
        "         TIMING = 0x0 (fast)  How fast it answers when it is selected.\n",
        "0x0010 BAR[0] = 0xfea00000  Where its registers are.\n         SPACE = 0x0 (memory)",
        "0x0024 BAR[5] = 0x00000000",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let values = json(&folder.done(&["device", "dump", "--root", "machine", "pci:1234:11e8", "--json"]));
    assert_eq!(values.len(), 27, "each register, and each BAR");
    assert_eq!((&values[1]["register"], &values[1]["hex"]), (&"DEVICE".into(), &"0x11e8".into()));
    let bytes = folder.done(&["device", "dump", "--root", "machine", "0x40", "--len", "24", "--width", "8"]);
    let wanted = "00000040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  |@ABCDEFGHIJKLMNO|\n\
                  00000050  50 51 52 53 54 55 56 57                          |PQRSTUVW|\n";
    assert_eq!(bytes, wanted);
    folder.write("image", header());
    let words = folder.done(&["device", "dump", "file:image"]);
    assert_eq!(words.lines().count(), 4, "{words}");
    assert!(words.starts_with("00000000  11e81234 08100006 00ff0010 00000000  |4..."), "{words}");
    folder.fails(&["device", "dump", "file:image", "--len", "65"], &["file:image has 0x40 bytes, and not 0x41"]);
    folder.fails(&["device", "dump", "sim:pci.COMMAND"], &["a dump is of all registers"]);
    folder.fails(
        &["device", "dump", "file:image+4", "--block", "pci"],
        &["has 0x40 bytes, and not 0x40 from offset 0x4"],
    );
}

#[test]
fn a_trace_tells_each_access_and_its_register() {
    let folder = Folder::new();
    folder.write("image", header());
    let words = ["device", "write", "--trace", "--block", "pci", "file:image.COMMAND.BUS_MASTER=0", "--verify"];
    let output = folder.mapio(&words);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    let told: Vec<_> = text.lines().map(|line| line.trim_start().split_once(' ').expect("a time").1).collect();
    let starts =
        ["read  16 bits 0x0004 COMMAND = 0x0006 IO=0 MEMORY=1 BUS_MASTER=1", "write 16 bits 0x0004 COMMAND = 0x0002"];
    assert_eq!(told.len(), 3, "{text}");
    assert!(told[0].starts_with(starts[0]) && told[1].starts_with(starts[1]), "{text}");
    assert!(told[2].starts_with("read  16 bits 0x0004 COMMAND = 0x0002"), "{text}");
}

#[test]
fn watching_tells_all_and_then_what_has_changed() {
    let folder = Folder::new();
    folder.write("image", header());
    let looks = ["--count", "2", "--interval", "0.001"];
    let said = folder.done(&[&["device", "watch", "file:image.COMMAND.MEMORY", "--block", "pci"], &looks[..]].concat());
    assert_eq!(said, "COMMAND.MEMORY = 0x1\n", "nothing has changed");
    let block = folder.done(&[&["device", "watch", "sim:pci", "--json"], &looks[..]].concat());
    assert_eq!(json(&block).len(), 27, "each register, and each BAR");
    if mapio_testkit::runner().is_some() {
        return skip("watching_tells_all_and_then_what_has_changed", "the command needs a runner here");
    }
    let mut child = Command::new(MAPIO)
        .args(["device", "watch", "file:image+0x3c", "--interval", "0.001", "--width", "8", "--json"])
        .current_dir(folder.root())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || json(&lines.next().expect("a line").expect("UTF-8"))[0]["value"].clone();
    assert_eq!(next(), 0);
    // In place: a file that gets shorter has no bytes for a moment.
    let file = fs::OpenOptions::new().write(true).open(folder.path("image")).expect("a file");
    file.write_all_at(&[9], 0x3c).expect("room");
    assert_eq!(next(), 9);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn a_watch_that_is_stopped_has_drawn_whole_lines() {
    if mapio_testkit::runner().is_some() {
        return skip("a_watch_that_is_stopped_has_drawn_whole_lines", "the command needs a runner here");
    }
    let folder = Folder::new();
    folder.write("image", header());
    for signal in [Signal::INT, Signal::TERM] {
        let (mut person, program) = terminal();
        let mut child = Command::new(MAPIO)
            .args(["device", "watch", "file:image.BAR[0].SPACE", "--block", "pci", "--interval", "0.001"])
            .current_dir(folder.root())
            .stdin(Stdio::null())
            .stdout(program)
            .spawn()
            .expect("it runs");
        let line = "BAR[0].SPACE = 0x0 (memory)\u{1b}[K\r\n";
        let mut first = vec![0; line.len()];
        person.read_exact(&mut first).expect("it draws");
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{signal:?}");
        let rest = shown(person).replace(&format!("\u{1b}[1A{line}"), "");
        assert_eq!((String::from_utf8_lossy(&first), rest), (line.into(), String::new()), "{signal:?}");
    }
}

#[test]
fn a_simulated_text_screen_shows_what_is_printed() {
    let folder = Folder::new();
    let said = folder.done(&["device", "screen", "sim:text", "--text", "Good\nmorning.", "--show", "--mode", "20x3"]);
    assert_eq!(said, "Good\nmorning.\n\n");
    let said = folder.done(&["device", "screen", "sim:text", "--text", "A\nB", "--show", "--json", "--mode", "5x2"]);
    assert_eq!(said, "{\"lines\":[\"A\",\"B\"]}\n");
    let colours = ["device", "screen", "sim:text", "--clear", "--colours", "yellow/blue", "--capture", "a.png"];
    assert_eq!(folder.done(&colours), "");
    assert_eq!(&folder.read("a.png")[..8], b"\x89PNG\r\n\x1a\n");
    folder.fails(&["device", "screen", "sim:text", "--picture", "a.png"], &["a text screen shows no picture"]);
    folder.fails(&["device", "screen", "sim:text", "--mode", "640x480x32"], &["a mode such as 80x25"]);
    folder.fails(&["device", "screen", "moon"], &["'moon' is no screen: use sim:text"]);
    folder.fails(&["device", "screen", "sim:text", "--colours", "pink"], &["pink: a colour is one of black"]);
}

#[test]
fn a_captured_picture_is_drawn_again_as_it_is() {
    let folder = Folder::new();
    let screen = |words: &[&str]| folder.done(&[&["device", "screen", "sim:framebuffer"], words].concat());
    let mode = "--mode=300x200x32";
    screen(&[mode, "--text", "A picture\nof text", "--colours", "white/red", "--capture", "a.png"]);
    screen(&[mode, "--picture", "a.png", "--capture", "b.png"]);
    screen(&[mode, "--clear", "--capture", "black.png"]);
    assert_eq!(folder.read("a.png"), folder.read("b.png"));
    assert_ne!(folder.read("a.png"), folder.read("black.png"));
    // In its own size, in the middle of a larger screen, and that cut out again.
    screen(&["--mode=500x400x32", "--picture", "a.png", "--unscaled", "--capture", "large.png"]);
    screen(&[mode, "--picture", "large.png", "--unscaled", "--capture", "c.png"]);
    assert_eq!(folder.read("a.png"), folder.read("c.png"));
    folder.write("cut.png", &folder.read("a.png")[..50]);
    folder.fails(&["device", "screen", "sim:framebuffer", "--picture", "cut.png"], &["cut.png"]);
    folder
        .fails(&["device", "screen", "sim:framebuffer", "--picture", "none.png"], &["opening none.png: No such file"]);
    folder.fails(&["device", "screen", "sim:framebuffer", "--show"], &["--capture saves a picture"]);
    for (words, part) in [
        (&["--mode", "8x8x32", "--text", "hello"][..], "8x8 pixels have no room for a character of 9x14"),
        (&["--mode", "99999999x99999999x32"], "bytes is too large"),
        (&["--mode", mode, "--capture", "none/a.png"], "creating none/a.png: No such file"),
    ] {
        let words = words.iter().map(|word| word.trim_start_matches("--mode=")).collect::<Vec<_>>();
        folder.fails(&[&["device", "screen", "sim:framebuffer"], &words[..]].concat(), &[part]);
    }
    folder.fails(&["device", "screen", "sim:text", "--mode", "99999999x99999999"], &["bytes is too large"]);
    // What fails leaves the file as it was, and nothing beside it.
    folder.fails(&["device", "screen", "sim:framebuffer", "--picture", "cut.png", "--capture", "a.png"], &["cut.png"]);
    assert_eq!(folder.read("a.png"), folder.read("c.png"));
    assert_eq!(folder.names(), ["a.png", "b.png", "black.png", "c.png", "cut.png", "large.png"]);
}

#[test]
fn a_screen_that_is_hardware_is_drawn_on_with_yes_alone() {
    fn on<'a>(words: &[&'a str]) -> Vec<&'a str> {
        [&["device", "screen"], words, &["--root", "machine"]].concat()
    }
    let folder = machine();
    text_mode(&folder, 0);
    for target in ["mem", "fb:0", "pci:1234:1111"] {
        folder.fails(&on(&[target, "--text", "Hello."]), &[target, "is hardware, and nobody can be asked: --yes"]);
    }
    folder.done(&on(&["mem", "--text", "Hello.", "--yes"]));
    assert_eq!(&folder.read("machine/dev/mem")[0xb_8000..0xb_8004], b"H\x07e\x07");
    assert!(folder.done(&on(&["mem", "--show"])).starts_with("Hello.\n"));
    // As after the console has scrolled: what was printed is no longer seen.
    text_mode(&folder, 1);
    assert_eq!(folder.done(&on(&["mem", "--show"])).trim_end(), "");
    folder.done(&on(&["mem", "--text", "Lower.", "--yes"]));
    assert_eq!(&folder.read("machine/dev/mem")[0xb_8000 + 0x202..][..4], b"L\x07o\x07");
    assert!(folder.done(&on(&["mem", "--show"])).starts_with("Lower.\n"));
    text_mode(&folder, 0xff);
    folder.fails(&on(&["mem", "--show"]), &["80 by 25 cells are shown from number 65535 on"]);
    folder.fails(&on(&["mem", "--show", "--mode", "200x200"]), &["200 by 200 cells take 80000 bytes"]);
    text_mode(&folder, 0);
    folder.fails(&on(&["mem", "--text", "Lost.", "--yes", "--capture", "none/a.png"]), &["creating none/a.png"]);
    assert!(folder.done(&on(&["mem", "--show"])).starts_with("Hello.\n"), "nothing was drawn");
    folder.fails(&on(&["fb:0", "--capture", "a.png"]), &["fb0: it is no framebuffer"]);
    folder.fails(&on(&["pci:1234:1111", "--yes"]), &["PCI device 1234:1111: there is no such device"]);
}
