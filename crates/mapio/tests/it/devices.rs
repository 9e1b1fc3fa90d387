//! The example programs of devices, on simulated ones.

use std::fs::File;
use std::io::BufReader;

use embedded_graphics::pixelcolor::IntoStorage;
use mapio::device::screen::{Picture, Size};

use crate::{assert_fails, run};

#[test]
fn the_screen_shows_its_text_and_saves_its_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("screen.png");
    let file = path.to_str().expect("UTF-8");
    let picture = || Picture::read_png(BufReader::new(File::open(&path).expect("it was saved"))).expect("a picture");
    let output = run("screen", &[file]);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 16, "{shown}");
    assert_eq!((lines[1], lines[14]), (" 1 blue            ░▒▓█ Ω ≈ π", "14 yellow          ░▒▓█ Ω ≈ π"));
    assert_eq!(picture().size(), Size::new(720, 350));
    let output = run("screen", &["picture", file]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(picture().size(), Size::new(320, 240));
    let red = picture().pixels().filter(|pixel| (*pixel).into_storage() == 0xff_0000).count();
    assert!(red > 900, "a square of 30 by 30 is red, and a part of a circle: {red}");
    assert_fails(&run("screen", &[]), "screen", "usage: screen");
    assert_fails(&run("screen", &["moon", file]), "screen", "'moon' is none of");
    assert_fails(&run("screen", &["/no/such/folder/a.png"]), "screen", "No such file");
}

#[test]
fn the_printer_gets_the_text_polled_and_by_interrupt() {
    for (words, way) in [(&["Hello.\n"][..], "interrupt"), (&["--poll", "sim", "Hello.\n"], "asking again")] {
        let output = run("parallel", words);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).expect("text");
        assert_eq!(said, format!("printed: Hello.\n\n7 bytes, waiting by {way}\n"));
    }
    assert_fails(&run("parallel", &[]), "parallel", "usage: parallel");
    assert_fails(&run("parallel", &["/no/such/port", "Hello."]), "parallel", "opening /no/such/port");
    assert_fails(&run("parallel", &["0xffffffff", "Hello."]), "parallel", "there is no such port");
}

#[test]
fn serial_ports_answer_on_the_simulated_bus_and_refuse_what_is_none() {
    for (name, line) in [("serial_polled", "hello, polling!\n"), ("serial_interrupt", "hello, sleeping\n")] {
        let output = run(name, &[]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), line);
        let output = run(name, &["com9"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("{name}: com9: use sim")), "{output:?}");
    }
}
