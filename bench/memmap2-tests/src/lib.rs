//! memmap2's own unit tests, run over `mapio_map::compat`, and both libraries side by side where they refuse.
//!
//! None of memmap2's text is kept here: `build.rs` finds the source that cargo has downloaded, and `tests/memmap2.rs`
//! includes the tests from there, unaltered.
