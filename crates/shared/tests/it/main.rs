//! What the crate promises, between real processes.

mod cleaning;
mod contract;
mod hostile;
mod life;
mod object;
mod support;
