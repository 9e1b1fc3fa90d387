//! What a file may be replaced by its folder says, and what is read-only is not replaced.

use std::fs::{File, Metadata};
use std::io;

pub(crate) fn check_owner(_old: &Metadata, _folder: &Metadata, _own: &Metadata) -> io::Result<()> {
    Ok(())
}

pub(crate) fn make_alike(_new: &File, _old: &Metadata) -> io::Result<()> {
    Ok(())
}
