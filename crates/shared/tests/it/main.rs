//! What the crate promises, between real processes.

mod channel;
mod cleaning;
mod contract;
mod forked;
mod full;
mod hostile;
mod interop;
mod killed;
mod life;
mod log;
mod object;
mod support;
mod sync;
