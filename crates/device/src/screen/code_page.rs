//! Code page 437: the characters that the font of a PC's text screen has.

/// What the bytes below 0x20 show, then 0x7f, then those from 0x80 on. The others are ASCII.
const LOW: &str = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const DELETE: char = '⌂';
const HIGH: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
                    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The character that a byte shows. Two show a blank that is no space: 0 is a space here, 0xff a no-break space.
#[must_use]
pub fn to_char(byte: u8) -> char {
    let shown = match byte {
        0..0x20 => LOW.chars().nth(byte.into()),
        0x7f => Some(DELETE),
        0x20..0x7f => Some(char::from(byte)),
        0x80.. => HIGH.chars().nth(usize::from(byte) - 0x80),
    };
    shown.unwrap_or_else(|| unreachable!("the tables have 32 and 128 characters, which a test counts"))
}

/// The byte that shows a character; `None` for one that the font does not have.
#[must_use]
pub fn from_char(character: char) -> Option<u8> {
    if character.is_ascii() {
        return u8::try_from(character).ok().filter(|byte| (0x20..0x7f).contains(byte));
    }
    (0..=u8::MAX).find(|byte| to_char(*byte) == character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_and_comes_back() {
        assert_eq!((LOW.chars().count(), HIGH.chars().count()), (0x20, 0x80));
        for byte in 1..=u8::MAX {
            assert_eq!(from_char(to_char(byte)), Some(byte), "{byte:#x} {}", to_char(byte));
        }
        assert_eq!([from_char('\n'), from_char('\x7f'), from_char('€'), from_char('ш')], [None; 4]);
        let some = ['é', '█', '☺', '~', 'π'].map(from_char);
        assert_eq!(some, [0x82, 0xdb, 0x01, 0x7e, 0xe3].map(Some));
    }

    #[test]
    fn the_font_has_every_character() {
        let missing = (1..=u8::MAX).map(to_char).filter(|shown| ibm437::char_offset_impl(*shown) == usize::from(b'?'));
        assert_eq!(missing.collect::<String>(), "?");
    }
}
