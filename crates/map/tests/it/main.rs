//! Tests of the crate from outside: each module is one promise.

mod bad_sector;
mod coexistence;
mod compat;
mod contract;
mod every_byte;
mod full_disk;
mod model;
mod storm;
mod support;
