//! Charts and pages that show what was measured.
//!
//! A [`Chart`] is [`Lines`] or [`Bars`]; [`svg`] and [`png()`] draw several of them below each other into one
//! picture. A [`Page`] is text, tables and charts in one HTML file. Whatever is made stands alone: it names no other
//! file, runs no script, brings the font that it was measured with or does without, and reads well on a light screen
//! and on a dark one. [`Target`] is a file that gets such a text or picture, whole or not at all.
//!
//! ```
//! use mapio_chart::{Axis, Lines, Page};
//!
//! let time = Axis::log("time in ms");
//! let chart = Lines::new("Copying 12 MB", Axis::log("buffer in bytes"), time)
//!     .line("read and write", vec![(10.0, 1200.0), (100.0, 128.0), (1000.0, 20.0)])
//!     .level("mapped", 10.0)
//!     .into();
//! let mut page = Page::new("A copy");
//! page.paragraph("Small buffers pay for system calls.").chart(&mapio_chart::svg(&[chart])?, "Lower is better.");
//! assert!(page.to_string().contains("<svg"));
//! # Ok::<(), mapio_chart::Error>(())
//! ```

mod axis;
mod bars;
mod error;
mod lines;
mod page;
mod palette;
mod picture;
mod shape;
mod sys;
mod target;

pub use axis::Axis;
pub use bars::Bars;
pub use error::Error;
pub use lines::Lines;
pub use page::Page;
pub use picture::{Chart, Format, png, svg};
pub use target::{Staged, Target};
