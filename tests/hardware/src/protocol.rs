//! What the guest says on its console, line by line, and what the runner answers.
//!
//! Lines that begin with `@` are the guest program's; all others are chatter of the kernel. A request is answered by
//! one line, `ok` or the reason why not. Bytes are written in hexadecimal.

use std::fmt;
use std::time::Duration;

/// Bytes that a wire carries at once when they trickle: fewer than a FIFO waits for.
pub const BURST_BYTES: usize = 3;
/// The pause behind each of them: long enough for a guest to have taken them and to wait again.
pub const PAUSE: Duration = Duration::from_millis(20);

/// What the guest program says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A check has passed.
    Passed {
        /// Of the check.
        name: String,
        /// What was measured.
        figures: String,
    },
    /// A check has failed.
    Failed {
        /// Of the check.
        name: String,
        /// Why.
        reason: String,
    },
    /// A check could not be made.
    Skipped {
        /// Of the check.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A line to be shown.
    Note(String),
    /// The runner is asked to do something, and the guest waits for its answer.
    Ask(Request),
    /// That was all.
    End,
}

/// What the guest can't do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Look at what has come out of a wire since the last time: exactly these bytes?
    Expect {
        /// The wire's name.
        wire: String,
        /// What should have come.
        bytes: Vec<u8>,
    },
    /// Send bytes into a wire.
    Send {
        /// The wire's name.
        wire: String,
        /// What to send.
        bytes: Vec<u8>,
    },
    /// Send bytes into a wire, [`BURST_BYTES`] at a time with a [`PAUSE`] behind each. It is answered at once.
    Trickle {
        /// The wire's name.
        wire: String,
        /// What to send.
        bytes: Vec<u8>,
    },
    /// Take a picture of the screen, and keep it as PNG under this name.
    Photograph {
        /// Of the file, between the machine's name and the ending.
        name: String,
    },
    /// Compare the last picture with these cells of a text screen, 80 a row.
    CompareText {
        /// Character and attribute of each cell.
        cells: Vec<u8>,
        /// 16 bytes a character, the leftmost pixel in the highest bit.
        font: Vec<u8>,
    },
    /// Compare the last picture with what [`picture`](crate::picture) draws in memory.
    ComparePicture,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { name, figures } => write!(f, "@passed {name} {}", one_line(figures)),
            Self::Failed { name, reason } => write!(f, "@failed {name} {}", one_line(reason)),
            Self::Skipped { name, reason } => write!(f, "@skipped {name} {}", one_line(reason)),
            Self::Note(text) => write!(f, "@note {}", one_line(text)),
            Self::Ask(Request::Expect { wire, bytes }) => write!(f, "@expect {wire} {}", Hex(bytes)),
            Self::Ask(Request::Send { wire, bytes }) => write!(f, "@send {wire} {}", Hex(bytes)),
            Self::Ask(Request::Trickle { wire, bytes }) => write!(f, "@trickle {wire} {}", Hex(bytes)),
            Self::Ask(Request::Photograph { name }) => write!(f, "@photograph {name}"),
            Self::Ask(Request::CompareText { cells, font }) => write!(f, "@text {} {}", Hex(cells), Hex(font)),
            Self::Ask(Request::ComparePicture) => f.write_str("@picture"),
            Self::End => f.write_str("@end"),
        }
    }
}

impl Line {
    /// Understands a line of the console; `None` for what is not the guest program's.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (verb, rest) = split(line.trim_end().strip_prefix('@')?);
        let (first, second) = split(rest);
        let (name, text) = (first.to_owned(), second.to_owned());
        Some(match verb {
            "passed" => Self::Passed { name, figures: text },
            "failed" => Self::Failed { name, reason: text },
            "skipped" => Self::Skipped { name, reason: text },
            "note" => Self::Note(rest.to_owned()),
            "expect" => Self::Ask(Request::Expect { wire: name, bytes: bytes(second)? }),
            "send" => Self::Ask(Request::Send { wire: name, bytes: bytes(second)? }),
            "trickle" => Self::Ask(Request::Trickle { wire: name, bytes: bytes(second)? }),
            "photograph" => Self::Ask(Request::Photograph { name }),
            "text" => Self::Ask(Request::CompareText { cells: bytes(first)?, font: bytes(second)? }),
            "picture" => Self::Ask(Request::ComparePicture),
            "end" => Self::End,
            _ => return None,
        })
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', "; ")
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    hex.as_bytes().chunks(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood_as_it_was_meant() {
        let (name, wire) = (String::from("edu.poll"), String::from("com2"));
        for line in [
            Line::Passed { name: name.clone(), figures: "10! in 5 us".into() },
            Line::Passed { name: name.clone(), figures: String::new() },
            Line::Failed { name: name.clone(), reason: "a reason".into() },
            Line::Skipped { name: name.clone(), reason: "a reason".into() },
            Line::Note("r 0x0 id".into()),
            Line::Ask(Request::Expect { wire: wire.clone(), bytes: (0..=255).collect() }),
            Line::Ask(Request::Send { wire: wire.clone(), bytes: Vec::new() }),
            Line::Ask(Request::Trickle { wire, bytes: vec![0, 0x7f] }),
            Line::Ask(Request::Photograph { name: "text".into() }),
            Line::Ask(Request::CompareText { cells: vec![1, 2], font: vec![0xff; 16] }),
            Line::Ask(Request::ComparePicture),
            Line::End,
        ] {
            // A terminal ends its lines so.
            assert_eq!(Line::parse(&format!("{line}\r\n")), Some(line));
        }
    }

    #[test]
    fn what_is_not_the_guests_is_no_line_and_a_reason_is_one() {
        for chatter in ["", "[    0.1] Linux version 6.1", "@", "@unknown", "@send com2 0", "@send com2 0g", "passed a"]
        {
            assert_eq!(Line::parse(chatter), None, "{chatter}");
        }
        let line = Line::Failed { name: "a".into(), reason: "one\ntwo\n".into() };
        assert_eq!(line.to_string(), "@failed a one; two");
    }
}
