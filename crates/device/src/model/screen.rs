//! Screens in this process: memory, which the drivers use as they use a screen's, and as fast.

use mapio_map::MapOptions;

use crate::bus::Mmio;
use crate::error::Error;
use crate::screen::Size;

/// The memory of a text screen with so many columns and rows: a [`TextScreen`](crate::screen::TextScreen) for it shows what
/// would be seen. Zeros at first: blanks.
///
/// # Errors
/// [`Error::Invalid`] for a screen without cells; [`Error::Map`] when there is no memory.
pub fn text(size: Size) -> Result<Mmio, Error> {
    memory("simulated text screen", u64::from(size.width) * u64::from(size.height), 2)
}

/// So many bytes of a memory file.
fn memory(name: &str, count: u64, item_bytes: u64) -> Result<Mmio, Error> {
    let len = count.checked_mul(item_bytes).and_then(|len| usize::try_from(len).ok()).filter(|len| *len > 0);
    let len = len.ok_or_else(|| Error::invalid(name, "it has nothing to show, or more than memory holds"))?;
    let mapped = MapOptions::read_write().len(len).memfd(name);
    let mapping = mapped.map_err(|source| Error::Map { object: name.to_owned(), source })?;
    Ok(Mmio::new(mapping, name))
}
