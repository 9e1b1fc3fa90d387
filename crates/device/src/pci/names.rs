//! The names of PCI's vendors, devices and classes, from the list that distributions install.

use std::fs;
use std::io;

use super::Id;
use crate::error::Error;
use crate::system::System;

/// Where distributions have the list.
const PLACES: [&str; 3] = ["/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids", "/usr/share/pci.ids"];

/// The names of classes, for machines without the list (PCI Code and ID Assignment Specification 1.11, 1).
const CLASSES: [&str; 20] = [
    "device older than classes",
    "storage controller",
    "network controller",
    "display controller",
    "multimedia device",
    "memory controller",
    "bridge",
    "communication controller",
    "system peripheral",
    "input device",
    "docking station",
    "processor",
    "serial bus controller",
    "wireless controller",
    "intelligent controller",
    "satellite communication controller",
    "encryption controller",
    "signal processing controller",
    "processing accelerator",
    "instrumentation",
];

/// The list, <https://pci-ids.ucw.cz>; an empty one where it is not installed.
///
/// A line `1234  Name` is a vendor, `C 03  Name` a class; below it, behind a tab, are its devices or subclasses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    text: String,
}

impl Names {
    /// Reads the list.
    ///
    /// # Errors
    /// [`Error::Os`] if it is there and can't be read.
    pub fn load(system: &System) -> Result<Self, Error> {
        for path in PLACES.map(|place| system.path(place)) {
            match fs::read(&path) {
                Ok(bytes) => return Ok(Self { text: String::from_utf8_lossy(&bytes).into_owned() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::os("reading", path.display().to_string(), source)),
            }
        }
        Ok(Self::default())
    }

    /// The vendor's name.
    #[must_use]
    pub fn vendor(&self, id: Id) -> Option<&str> {
        self.section(&format!("{:04x}", id.vendor)).map(|(name, _)| name)
    }

    /// The device's name.
    #[must_use]
    pub fn device(&self, id: Id) -> Option<&str> {
        below(self.section(&format!("{:04x}", id.vendor))?.1, &format!("{:04x}", id.device))
    }

    /// The name of a class, of 24 bits as the kernel tells it: that of its subclass, or at least of its kind.
    #[must_use]
    pub fn class(&self, class: u32) -> Option<&str> {
        let [_, kind, subclass, _] = class.to_be_bytes();
        match self.section(&format!("C {kind:02x}")) {
            Some((name, lines)) => Some(below(lines, &format!("{subclass:02x}")).unwrap_or(name)),
            None => CLASSES.get(usize::from(kind)).copied(),
        }
    }

    /// The name behind a key at the start of a line, and the lines below it.
    fn section(&self, key: &str) -> Option<(&str, &str)> {
        let mut rest = self.text.as_str();
        while !rest.is_empty() {
            let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
            if let Some(name) = named(line, key) {
                return Some((name, next));
            }
            rest = next;
        }
        None
    }
}

/// The name behind a key in the lines of a section, which are behind one tab.
fn below<'a>(lines: &'a str, key: &str) -> Option<&'a str> {
    let section = lines.lines().take_while(|line| line.starts_with(['\t', '#']) || line.is_empty());
    section.filter_map(|line| line.strip_prefix('\t')).find_map(|line| named(line, key))
}

/// The name on a line of this key.
fn named<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix("  ").map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_own_section() {
        let text = "# list\n0001  First\n\t11e8  Wrong\n1234  Second\n# remark\n\t1111  Screen\n\t\t1234 11e8  Card\n\t11e8  Edu \n\n\
                    5678  Third\n\t2222  Other\nC 03  Display\n\t00  VGA\nC 0c  Bus\n";
        let names = Names { text: text.to_owned() };
        let id = |vendor, device| Id { vendor, device };
        assert_eq!((names.vendor(id(0x1234, 0)), names.device(id(0x1234, 0x11e8))), (Some("Second"), Some("Edu")));
        assert_eq!((names.device(id(0x1234, 0x2222)), names.vendor(id(9, 9))), (None, None));
        assert_eq!([names.class(0x03_00_01), names.class(0x03_80_00)], [Some("VGA"), Some("Display")]);
        assert_eq!(names.class(0x0c_03_30), Some("Bus"));
        assert_eq!([names.class(0x02_00_00), Names::default().class(0xff_ff_00)], [Some("network controller"), None]);
    }
}
