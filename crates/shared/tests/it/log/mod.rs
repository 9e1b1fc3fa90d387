//! The log.

mod contract;
mod hostile;
mod killed;
mod limits;
mod recovery;
mod sharing;
mod stepped;
mod support;
