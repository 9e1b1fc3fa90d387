//! Tests of the crate from outside: each module is one promise.

mod bad_sector;
mod coexistence;
mod contract;
mod every_byte;
mod full_disk;
mod model;
mod poison;
mod storm;
mod support;
