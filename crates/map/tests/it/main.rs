//! Tests of the crate from outside: each module is one promise.

mod atomics;
mod bad_sector;
mod coexistence;
mod compat;
mod contract;
mod every_byte;
mod faulty_fs;
mod full_disk;
mod kinds;
mod mapped_file;
mod model;
mod paging;
mod poison;
mod reading;
mod sharing;
mod storm;
mod support;
