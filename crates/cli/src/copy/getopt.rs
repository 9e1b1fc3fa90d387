//! The grammar of a command line as getopt_long(3) reads it, which is what every script that calls cp relies on.
//!
//! Options and operands come in any order, unless `POSIXLY_CORRECT` is set; `--` ends the options. Long options may be
//! abbreviated, short ones may share a dash, and what is wrong is said in the C library's words. The words come one by
//! one, in the order of the command line, because in cp later options change what earlier ones have said.

use std::ffi::OsString;

use mapio_copy::path_of_bytes;

/// An option that a command has.
#[derive(Debug)]
pub(super) struct Spec<T: 'static> {
    /// What it is to the program; two specs with one meaning are two names of it.
    pub(super) option: T,
    /// Its one letter.
    pub(super) short: Option<u8>,
    /// Its long name, without the dashes.
    pub(super) long: &'static str,
    /// Whether it has a value.
    pub(super) value: Value,
    /// Whether it gives way where an abbreviation could mean another option too.
    pub(super) gives_way: bool,
}

/// Whether an option has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    None,
    /// One in the same word: `--reflink=always`. The short form has none.
    Optional,
    /// One in the same word, or else the next word.
    Required,
}

/// A part of the command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<T> {
    Option(T, Option<OsString>),
    Operand(OsString),
}

/// Whether options may come after operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Any,
    /// As POSIX has it: what follows an operand is an operand.
    OptionsFirst,
}

/// Reads a command line.
#[derive(Debug)]
pub(super) struct Words<T: 'static, I> {
    specs: &'static [Spec<T>],
    /// Options that have a letter only, and no value.
    letters_only: &'static [(u8, T)],
    order: Order,
    words: I,
    /// What is left of a word of short options.
    letters: Vec<u8>,
    /// Whether only operands follow.
    operands_only: bool,
}

impl<T: Copy + PartialEq, I: Iterator<Item = OsString>> Words<T, I> {
    pub(super) fn new(specs: &'static [Spec<T>], letters_only: &'static [(u8, T)], order: Order, words: I) -> Self {
        Self { specs, letters_only, order, words, letters: Vec::new(), operands_only: false }
    }

    /// The next part, or what is wrong with it.
    pub(super) fn next_part(&mut self) -> Result<Option<Part<T>>, String> {
        if !self.letters.is_empty() {
            return self.short().map(Some);
        }
        let Some(word) = self.words.next() else { return Ok(None) };
        let bytes = word.as_encoded_bytes();
        if self.operands_only || bytes.len() < 2 || bytes[0] != b'-' {
            self.operands_only |= self.order == Order::OptionsFirst;
            return Ok(Some(Part::Operand(word)));
        }
        if bytes == b"--" {
            self.operands_only = true;
            return self.next_part();
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            return self.long(long).map(Some);
        }
        self.letters = bytes[1..].to_vec();
        self.short().map(Some)
    }

    fn short(&mut self) -> Result<Part<T>, String> {
        let letter = self.letters.remove(0);
        if let Some(&(_, option)) = self.letters_only.iter().find(|(other, _)| *other == letter) {
            return Ok(Part::Option(option, None));
        }
        let Some(spec) = self.specs.iter().find(|spec| spec.short == Some(letter)) else {
            return Err(format!("invalid option -- '{}'", shown(&[letter])));
        };
        if spec.value != Value::Required {
            return Ok(Part::Option(spec.option, None));
        }
        let rest = std::mem::take(&mut self.letters);
        let value = if rest.is_empty() { self.words.next() } else { Some(path_of_bytes(&rest).into_os_string()) };
        let missing = || format!("option requires an argument -- '{}'", shown(&[letter]));
        Ok(Part::Option(spec.option, Some(value.ok_or_else(missing)?)))
    }

    /// A long option, given without its dashes.
    fn long(&mut self, word: &[u8]) -> Result<Part<T>, String> {
        let mut halves = word.splitn(2, |&byte| byte == b'=');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().map(|value| path_of_bytes(value).into_os_string());
        let spec = find(self.specs, name, word)?;
        match (spec.value, value) {
            (Value::None, Some(_)) => Err(format!("option '--{}' doesn't allow an argument", spec.long)),
            (Value::Required, None) => {
                let missing = || format!("option '--{}' requires an argument", spec.long);
                Ok(Part::Option(spec.option, Some(self.words.next().ok_or_else(missing)?)))
            }
            (_, value) => Ok(Part::Option(spec.option, value)),
        }
    }
}

/// The option that has this name, or whose name alone begins like this. `word` is `name` with its value.
fn find<T: Copy + PartialEq>(specs: &'static [Spec<T>], name: &[u8], word: &[u8]) -> Result<&'static Spec<T>, String> {
    if let Some(exact) = specs.iter().find(|spec| spec.long.as_bytes() == name) {
        return Ok(exact);
    }
    let mut meant: Vec<_> = specs.iter().filter(|spec| spec.long.as_bytes().starts_with(name)).collect();
    if meant.iter().any(|spec| !spec.gives_way) {
        meant.retain(|spec| !spec.gives_way);
    }
    match meant.first() {
        None => Err(format!("unrecognized option '--{}'", shown(word))),
        Some(first) if meant.iter().all(|spec| spec.option == first.option) => Ok(first),
        Some(first) => {
            let others = meant[1..].iter().filter(|spec| spec.option != first.option);
            let names: Vec<_> = [first].into_iter().chain(others).map(|spec| format!("'--{}'", spec.long)).collect();
            Err(format!("option '--{}' is ambiguous; possibilities: {}", shown(word), names.join(" ")))
        }
    }
}

/// Words of a user as a message can show them: on one line.
fn shown(bytes: &[u8]) -> String {
    crate::output::printable(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn spec(option: u8, long: &'static str, value: Value) -> Spec<u8> {
        Spec { option, short: Some(option), long, value, gives_way: option == b'm' }
    }

    const SPECS: [Spec<u8>; 6] = [
        spec(b'v', "verbose", Value::None),
        spec(b'p', "parents", Value::None),
        spec(b'p', "path", Value::None),
        spec(b's', "suffix", Value::Required),
        spec(b'b', "sub", Value::Optional),
        spec(b'm', "verify", Value::None),
    ];

    fn read(words: &[&str], order: Order) -> Result<String, String> {
        let mut words = Words::new(&SPECS, &[(b'l', b'l')], order, words.iter().map(OsString::from));
        let mut parts = Vec::new();
        while let Some(part) = words.next_part()? {
            parts.push(match part {
                Part::Option(option, None) => format!("-{}", char::from(option)),
                Part::Option(option, Some(value)) => format!("-{}={}", char::from(option), value.display()),
                Part::Operand(operand) => operand.display().to_string(),
            });
        }
        Ok(parts.join(" "))
    }

    #[test]
    fn words_are_read_as_the_c_library_reads_them() {
        for (words, parts) in [
            (&["a", "-v", "b"][..], "a -v b"),
            (&["-vpl", "-vsx", "-s", "-v", "-"], "-v -p -l -v -s=x -s=-v -"),
            (&["--suffix=", "--suffix", "--", "--", "-v", "--"], "-s= -s=-- -v --"),
            (&["--sub", "x", "--sub=x", "-bx"], "-b x -b=x -b"),
            (&["--pa", "--verb", "--ver", "--su=1"], "-p -v -v"),
        ] {
            let read = read(words, Order::Any);
            match words.last() {
                Some(&"-bx") => assert_eq!(read, Err("invalid option -- 'x'".to_owned())),
                Some(&"--su=1") => {
                    let possible = "option '--su=1' is ambiguous; possibilities: '--suffix' '--sub'";
                    assert_eq!(read, Err(possible.to_owned()));
                }
                _ => assert_eq!(read.as_deref(), Ok(parts)),
            }
        }
        assert_eq!(read(&["-v", "a", "-v", "--"], Order::OptionsFirst).as_deref(), Ok("-v a -v --"));
    }

    #[test]
    fn what_is_wrong_is_said_in_its_words() {
        for (words, said) in [
            (&["-q"][..], "invalid option -- 'q'"),
            (&["-s"], "option requires an argument -- 's'"),
            (&["--suffix"], "option '--suffix' requires an argument"),
            (&["--verb=1"], "option '--verbose' doesn't allow an argument"),
            (&["--frob=1"], "unrecognized option '--frob=1'"),
            (&["--fr\nob"], "unrecognized option '--fr\\nob'"),
        ] {
            assert_eq!(read(words, Order::Any), Err(said.to_owned()), "{words:?}");
        }
    }
}
