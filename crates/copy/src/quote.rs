//! Names in messages, quoted so that a shell would read them back: the form that GNU's commands use.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::path::Path;
use std::str;

/// Shows a path in quotes, on one line, whatever bytes it has: `'a'`, `"it's"`, `'two'$'\n''lines'`.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a Path);

impl<'a> Quoted<'a> {
    /// Shows the path without quotes if it needs none.
    pub(crate) fn if_needed(self) -> impl fmt::Display + use<'a> {
        let bytes = self.0.as_os_str().as_encoded_bytes();
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"%+,-./:@_".contains(byte) || *byte >= 0x80;
        match str::from_utf8(bytes) {
            Ok(text) if !text.is_empty() && bytes.iter().all(is_plain) => Cow::Borrowed(text),
            _ => Cow::Owned(self.to_string()),
        }
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_os_str().as_encoded_bytes();
        if bytes.contains(&b'\'')
            && let Ok(text) = str::from_utf8(bytes)
            && text.chars().all(is_plain_in_double_quotes)
        {
            return write!(f, "\"{text}\"");
        }
        f.write_char('\'')?;
        let mut escaping = false;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\'' => {
                        escaping = false;
                        f.write_str("'\\''")?;
                    }
                    c if c.is_control() => {
                        let mut utf8 = [0; 4];
                        escape(f, &mut escaping, c.encode_utf8(&mut utf8).as_bytes())?;
                    }
                    c => {
                        if escaping {
                            f.write_str("''")?;
                            escaping = false;
                        }
                        f.write_char(c)?;
                    }
                }
            }
            escape(f, &mut escaping, chunk.invalid())?;
        }
        f.write_char('\'')
    }
}

/// Whether a character means itself in double quotes too, and nothing to a shell.
fn is_plain_in_double_quotes(c: char) -> bool {
    const SPECIAL: &str = "!\"$&()*;<=>?[\\^`{|}#~";
    !c.is_control() && !SPECIAL.contains(c)
}

/// Writes bytes that can't be shown as they are, as `$'\n'` would: in quotes of their own, which stay open.
fn escape(f: &mut fmt::Formatter<'_>, escaping: &mut bool, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        if !*escaping {
            f.write_str("'$'")?;
            *escaping = true;
        }
        match byte {
            0x07 => f.write_str("\\a")?,
            0x08 => f.write_str("\\b")?,
            b'\t' => f.write_str("\\t")?,
            b'\n' => f.write_str("\\n")?,
            0x0b => f.write_str("\\v")?,
            0x0c => f.write_str("\\f")?,
            b'\r' => f.write_str("\\r")?,
            other => write!(f, "\\{other:03o}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_gnu_commands_do() {
        for (name, quoted) in [
            (&b"a"[..], "'a'"),
            (b"", "''"),
            (b"two words", "'two words'"),
            (b"it's", "\"it's\""),
            (b"it's $5", "'it'\\''s $5'"),
            (b"dq\"x", "'dq\"x'"),
            (b"new\nline", "'new'$'\\n''line'"),
            (b"\nfirst", "''$'\\n''first'"),
            (b"bad\xff", "'bad'$'\\377'"),
            (b"esc\x1b[31m", "'esc'$'\\033''[31m'"),
            (b"it's\n", "'it'\\''s'$'\\n'"),
            (b"\n'", "''$'\\n'\\'''"),
            ("ä".as_bytes(), "'ä'"),
        ] {
            let path = crate::sys::path(name);
            if path.as_os_str().as_encoded_bytes() != name {
                mapio_testkit::skip("names_are_quoted_as_gnu_commands_do", &format!("no file has the name {quoted}"));
                continue;
            }
            assert_eq!(Quoted(&path).to_string(), quoted);
        }
    }
}
