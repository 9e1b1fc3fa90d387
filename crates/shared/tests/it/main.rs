//! What the crate promises, between real processes.

mod log;
mod object;
mod support;
