//! Devices, through the public interface.

mod registers;
mod serial;
