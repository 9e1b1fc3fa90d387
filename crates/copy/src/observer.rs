//! What a copy tells while it runs, and what it asks.

use std::path::Path;

use crate::error::Error;
use crate::report::Report;

/// Something that a copy has done.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A name is about to be copied, linked or made; a folder is told of before what is in it.
    Begun {
        /// What is copied.
        source: &'a Path,
        /// The name that the copy will have.
        destination: &'a Path,
        /// Where the old destination has gone.
        backup: Option<&'a Path>,
    },
    /// A folder was made because `--parents` needs it.
    ParentMade {
        /// The folder that it stands for.
        source: &'a Path,
        /// The folder.
        destination: &'a Path,
    },
    /// A destination that was in the way was removed.
    Removed(&'a Path),
    /// A destination that exists was left as it is, as was asked for.
    Kept(&'a Path),
    /// An operand was not copied because it was there already.
    Repeated {
        /// The operand.
        source: &'a Path,
        /// Whether it is a folder.
        is_folder: bool,
    },
    /// The contents of a regular file are copied, and its attributes.
    Copied(&'a Report),
}

/// A question of `--interactive`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question<'a> {
    /// The destination exists and would be overwritten.
    Overwrite(&'a Path),
    /// It exists, and its permissions do not allow writing.
    OverwriteUnwritable {
        /// The destination.
        path: &'a Path,
        /// Its mode: permission bits and set-id bits.
        mode: u32,
        /// Whether it will be replaced (`--force`, `--remove-destination`) rather than tried to be opened.
        replace: bool,
    },
}

/// Whoever watches a copy. The methods are called from the threads that copy, which wait meanwhile.
pub trait Observer: Sync {
    /// Whether [`Event::Begun`], [`Event::Removed`] and [`Event::Copied`] are wanted: they cost a path for each name.
    fn wants_every_name(&self) -> bool {
        false
    }

    /// Whether names are to be copied one after the other, so that questions and answers are about one at a time.
    fn wants_order(&self) -> bool {
        false
    }

    /// Takes notice of something that was done.
    fn event(&self, event: Event<'_>) {
        let _ = event;
    }

    /// Takes notice of a name that was not copied; the copy goes on with the next.
    fn failed(&self, error: Error);

    /// Answers a question. `false` leaves the destination as it is.
    fn ask(&self, question: Question<'_>) -> bool {
        let _ = question;
        false
    }
}
