//! Tests of the crate from outside: each module is one promise.

mod combined;
mod comparing;
mod contract;
mod engines;
mod harmed;
mod injected;
mod killed;
mod nothing_lost;
mod resume;
mod streams;
mod support;
mod trees;
