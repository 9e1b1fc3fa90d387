//! copy_file_range(2) elsewhere than on Linux. The call of Windows that copies by itself, CopyFileEx, takes names,
//! which may mean other files by then, and opens, cuts and, where it is stopped, removes by them what is open here.

use super::work::{Outcome, Work};
use crate::error::Error;

/// Refuses.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every engine")]
pub(super) fn copy(_work: &mut Work<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Refused("CopyFileEx copies by paths, mapio copies by handles".to_owned()))
}
