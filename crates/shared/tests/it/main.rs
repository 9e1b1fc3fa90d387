//! What the crate promises, between real processes.

mod object;
mod support;
mod sync;
