//! Values that are one word of several, as GNU's commands read them: a word may be abbreviated as long as it is clear.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;

use mapio_copy::{Backup, Engine, Reflink, Sparse};

/// The words of an option. Those in one row mean the same.
pub(super) type Words<T> = [(&'static [&'static str], T)];

pub(super) const SPARSE: &Words<Sparse> =
    &[(&["never"], Sparse::Never), (&["auto"], Sparse::Auto), (&["always"], Sparse::Always)];

pub(super) const REFLINK: &Words<Reflink> =
    &[(&["auto"], Reflink::Auto), (&["always"], Reflink::Always), (&["never"], Reflink::Never)];

pub(super) const BACKUP: &Words<Backup> = &[
    (&["none", "off"], Backup::None),
    (&["simple", "never"], Backup::Simple),
    (&["existing", "nil"], Backup::Existing),
    (&["numbered", "t"], Backup::Numbered),
];

/// What `--update` leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Update {
    #[default]
    All,
    None,
    NoneFail,
    Older,
}

pub(super) const UPDATE: &Words<Update> = &[
    (&["all"], Update::All),
    (&["none"], Update::None),
    (&["none-fail"], Update::NoneFail),
    (&["older"], Update::Older),
];

/// What `--preserve` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Mode,
    Timestamps,
    Ownership,
    Links,
    Context,
    Xattr,
    All,
}

pub(super) const PRESERVE: &Words<Kept> = &[
    (&["mode"], Kept::Mode),
    (&["timestamps"], Kept::Timestamps),
    (&["ownership"], Kept::Ownership),
    (&["links"], Kept::Links),
    (&["context"], Kept::Context),
    (&["xattr"], Kept::Xattr),
    (&["all"], Kept::All),
];

/// When there is a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum When {
    /// On a terminal, for what takes more than a moment.
    #[default]
    Auto,
    Always,
    Never,
}

pub(super) const PROGRESS: &Words<When> =
    &[(&["auto"], When::Auto), (&["always"], When::Always), (&["never"], When::Never)];

pub(super) const SYNC: &Words<mapio_copy::Sync> =
    &[(&["file"], mapio_copy::Sync::File), (&["tree"], mapio_copy::Sync::Tree)];

/// The names that [`Engine::name`] gives, and the choice between them.
pub(super) const ENGINE: &Words<Option<Engine>> = &[
    (&["auto"], None),
    (&["read-write"], Some(Engine::ReadWrite)),
    (&["mapped"], Some(Engine::Mapped)),
    (&["mapped-source"], Some(Engine::MappedSource)),
    (&["mapped-destination"], Some(Engine::MappedDestination)),
    (&["copy-file-range"], Some(Engine::CopyFileRange)),
    (&["reflink"], Some(Engine::Reflink)),
    (&["splice"], Some(Engine::Splice)),
    (&["uring"], Some(Engine::Uring)),
    (&["direct"], Some(Engine::Direct)),
];

/// The words that an option knows, by its long name; none for one that takes anything.
pub(super) fn known(long: &str) -> Vec<&'static str> {
    fn all<T>(words: &Words<T>) -> Vec<&'static str> {
        words.iter().flat_map(|(names, _)| names.iter().copied()).collect()
    }
    match long {
        "sparse" => all(SPARSE),
        "reflink" => all(REFLINK),
        "backup" => all(BACKUP),
        "update" => all(UPDATE),
        "preserve" | "no-preserve" => all(PRESERVE),
        "progress" => all(PROGRESS),
        "sync" => all(SYNC),
        "engine" => all(ENGINE),
        _ => Vec::new(),
    }
}

/// Finds what a word means, or says which words there are. `context` is the option.
pub(super) fn find<T: Copy + PartialEq>(context: &str, word: &OsStr, words: &Words<T>) -> Result<T, String> {
    let each = || words.iter().flat_map(|(names, value)| names.iter().map(move |name| (name.as_bytes(), *value)));
    if let Some((_, exact)) = each().find(|(name, _)| *name == word.as_encoded_bytes()) {
        return Ok(exact);
    }
    let mut meant = each().filter(|(name, _)| name.starts_with(word.as_encoded_bytes())).map(|(_, value)| value);
    let problem = match meant.next() {
        Some(value) if meant.all(|other| other == value) => return Ok(value),
        Some(_) => "ambiguous",
        None => "invalid",
    };
    let context = quoted(OsStr::new(context));
    let mut said = format!("{problem} argument {} for {context}\nValid arguments are:", quoted(word));
    for (names, _) in words {
        let names: Vec<_> = names.iter().map(|name| quoted(OsStr::new(name))).collect();
        // Writing to a string can't fail.
        let _ = write!(said, "\n  - {}", names.join(", "));
    }
    Err(said)
}

/// A word in the quotes of the user's locale, on one line.
fn quoted(word: &OsStr) -> String {
    let (open, close) = if speaks_utf8() { ('‘', '’') } else { ('\'', '\'') };
    let mut text = String::from(open);
    for chunk in word.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c == close => text.extend(['\\', c]),
                '\t' | '\n' | '\r' => text.extend(c.escape_default()),
                c if c.is_control() => octal(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        octal(&mut text, chunk.invalid());
    }
    text.push(close);
    text
}

fn octal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string can't fail.
        let _ = write!(text, "\\{byte:03o}");
    }
}

/// Whether the locale that was asked for has these quotes.
fn speaks_utf8() -> bool {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_may_be_abbreviated_as_long_as_it_is_clear() {
        let find = |word: &str| find("--x", OsStr::new(word), BACKUP);
        assert_eq!(find("t"), Ok(Backup::Numbered));
        assert_eq!(find("ni"), Ok(Backup::Existing));
        assert_eq!(find("numbered"), Ok(Backup::Numbered));
        let said = find("n").unwrap_err();
        assert!(said.starts_with("ambiguous argument"), "{said}");
        assert_eq!(said.lines().count(), 6, "{said}");
        assert!(find("x\ny").unwrap_err().starts_with("invalid argument"));
        assert_eq!(super::find("--x", OsStr::new("none"), UPDATE), Ok(Update::None), "an exact word is not ambiguous");
    }

    #[test]
    fn every_engine_has_its_word() {
        for engine in Engine::ALL {
            assert_eq!(find("--engine", OsStr::new(engine.name()), ENGINE), Ok(Some(engine)));
        }
        assert_eq!(ENGINE.len(), Engine::ALL.len() + 1);
    }
}
