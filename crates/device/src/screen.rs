//! Screens that are memory: text, where each cell is a location, and pictures, where each pixel is one.
//!
//! ```text
//! TextScreen     offset (row * 80 + column) * 2      character | attribute
//! Framebuffer    offset row * stride + column * 4    blue | green | red | unused
//! ```
//!
//! Both are drivers over any bus: /dev/mem or a PCI device's memory, and the memory that
//! [`model::screen`](crate::model::screen) makes. What is on them is read back, and becomes a [`Picture`], which is
//! saved as PNG.

pub mod bochs;
pub mod code_page;
mod colour;
pub mod cursor;
pub mod fbdev;
mod format;
mod framebuffer;
mod picture;
mod text;

pub use colour::{Attribute, Colour};
/// Points, sizes, colours, and what can be drawn on: the types of `embedded-graphics`.
pub use embedded_graphics_core;
pub use embedded_graphics_core::geometry::Size;
pub use format::Format;
pub use framebuffer::{Framebuffer, Layout};
pub use picture::Picture;
pub use text::{Cell, Position, TEXT_ADDR, TEXT_BYTES, TextScreen};

use crate::error::Error;

/// A size as a machine counts it: columns, and rows.
///
/// # Errors
/// [`Error::Invalid`] if there are none of either, or no memory could hold them.
fn extent(object: &str, size: Size) -> Result<(usize, usize), Error> {
    let numbers = usize::try_from(size.width).ok().zip(usize::try_from(size.height).ok());
    let extent = numbers.filter(|(columns, rows)| columns.checked_mul(*rows).is_some_and(|count| count > 0));
    extent.ok_or_else(|| Error::invalid(object, format!("it can't be {} by {}", size.width, size.height)))
}
