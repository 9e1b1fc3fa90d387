//! `io_uring` elsewhere than on Linux: there is none.

use super::work::{Outcome, Work};
use crate::error::Error;

/// Refuses.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every engine")]
pub(super) fn copy(_work: &mut Work<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Refused("io_uring is Linux's".to_owned()))
}
