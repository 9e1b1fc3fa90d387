//! What the crate promises, between real processes.

mod channel;
mod object;
mod support;
