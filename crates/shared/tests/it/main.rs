//! What the crate promises, between real processes.

mod log;
