//! Tests of the crate from outside: each module is one promise.

mod atomics;
mod bad_sector;
mod coexistence;
mod contract;
mod every_byte;
mod full_disk;
mod model;
mod storm;
mod support;
